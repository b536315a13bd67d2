//! The arrays that the cells of a column become.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, DurationNanosecondArray, Float64Array, Int64Array, StringArray,
    TimestampNanosecondArray, UInt64Array,
};

use super::PointsOptions;
use super::column::{Role, is_left_out, span_ns};
use super::number::Marks;
use super::time::{Cell, TimeReading};
use crate::error::Result;
use crate::series::text::{Column, Field, bad_line, boolean};

/// What the cells of a column become.
#[derive(Debug, Clone)]
pub(super) enum Form {
    Signed(Marks),
    Positive(Marks),
    Float(Marks),
    Boolean,
    Times(TimeReading),
    Spans,
    Text,
}

/// How a column is read, and what was met there.
#[derive(Debug, Clone)]
pub(in crate::series) struct Reading {
    pub(super) form: Form,
    /// Whether what stands in quotes is no number and no boolean.
    pub(super) is_json: bool,
    pub(super) has_offsets: bool,
    pub(super) missing: u64,
    /// Cells that are left out because they do not fit, and some of them with their lines.
    pub(super) bad: u64,
    pub(super) examples: Vec<(u64, String)>,
}

/// The cells that a report names.
const MOST_EXAMPLES: usize = 5;

impl Reading {
    /// The array of some cells of values. The zone is that of times with an offset.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a time that ns cannot hold.
    pub(in crate::series) fn values(
        &mut self,
        column: &Column<'_>,
        (options, location): (&PointsOptions, &str),
    ) -> Result<ArrayRef> {
        Ok(match self.form.clone() {
            Form::Signed(marks) => {
                Arc::new(Int64Array::from(self.each(column, options, |t| marks.integer(t))))
            }
            Form::Positive(marks) => {
                Arc::new(UInt64Array::from(self.each(column, options, |t| marks.integer(t))))
            }
            Form::Float(marks) => {
                let items = self.each(column, options, |text| marks.exact_float(text));
                let nan = items.into_iter().map(|item| item.unwrap_or(f64::NAN));
                Arc::new(Float64Array::from_iter_values(nan))
            }
            Form::Boolean => Arc::new(BooleanArray::from(self.each(column, options, boolean))),
            Form::Spans => {
                let read = |text: &str| span_ns(text, Role::Values);
                Arc::new(DurationNanosecondArray::from(self.each(column, options, read)))
            }
            Form::Times(times) => {
                let read = |text: &str| {
                    let stamp = times.read(text)?;
                    let offset = i128::from(stamp.offset.unwrap_or(0)) * 1_000_000_000;
                    i64::try_from(stamp.wall - offset).ok()
                };
                let zone = self.has_offsets.then(|| Arc::from("UTC"));
                let items = self.each(column, options, read);
                if let Some((line, text)) = self.examples.first() {
                    return Err(bad_line(location, *line, "a time from 1677 to 2262", text));
                }
                Arc::new(TimestampNanosecondArray::from(items).with_timezone_opt(zone))
            }
            Form::Text => {
                let text = |field: &Field<'_>| {
                    let left = options.missing.iter().any(|mark| *mark == field.text.trim());
                    (!field.is_missing() && !left).then(|| field.text.clone().into_owned())
                };
                let texts: Vec<Option<String>> = column.fields.iter().map(text).collect();
                self.missing += texts.iter().filter(|text| text.is_none()).count() as u64;
                Arc::new(StringArray::from(texts))
            }
        })
    }

    /// The value of each cell; `None` where nothing was measured, and for a cell that does not fit, which is noted.
    fn each<V>(
        &mut self,
        column: &Column<'_>,
        options: &PointsOptions,
        read: impl Fn(&str) -> Option<V>,
    ) -> Vec<Option<V>> {
        let mut items = Vec::with_capacity(column.fields.len());
        for (field, line) in column.fields.iter().zip(&column.lines) {
            let text = field.text.trim();
            let is_text = self.is_json && field.quoted;
            if !is_text && is_left_out(field, options) || options.is_missing_mark(text) {
                items.push(None);
                continue;
            }
            let is_of_texts = matches!(self.form, Form::Times(_) | Form::Spans);
            let item = if is_text && !is_of_texts { None } else { read(text) };
            if item.is_none() && self.examples.len() < MOST_EXAMPLES {
                self.examples.push((*line, Cell::new(*line, text).text));
            }
            items.push(item);
        }
        items
    }

    /// What the column was taken for.
    pub(super) fn reported(&self) -> String {
        let numbers = |kind: &str, marks: &Marks| match *marks {
            Marks::POINT => kind.to_owned(),
            Marks { decimal: ',', .. } => format!("{kind} with a decimal comma"),
            Marks { thousands, .. } => format!("{kind} with {thousands:?} between thousands"),
        };
        match &self.form {
            Form::Signed(marks) | Form::Positive(marks) => numbers("integers", marks),
            Form::Float(marks) => numbers("numbers", marks),
            Form::Boolean => "true or false".into(),
            Form::Spans => "time spans".into(),
            Form::Text => "texts".into(),
            Form::Times(times) => {
                let zone = if self.has_offsets { " of UTC" } else { "" };
                format!("timestamps{zone}{}", times.reported())
            }
        }
    }
}
