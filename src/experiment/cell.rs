//! One value on its way into a table of records.

use super::schema::{Column, ColumnType, Storage};
use crate::error::{Error, Result};

/// A value of a record.
///
/// A `bool` counts as an integer, an integer without loss as a float and the other way round; a column of the type
/// `category` takes integers as their digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// An integer, or a time in ns since 1970-01-01 UTC.
    Int(i64),
    /// A float; NaN and infinities are themselves.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(&'a str),
}

macro_rules! from {
    ($($t:ty => $value:ident $cell:expr;)*) => {
        $(impl<'a> From<$t> for Cell<'a> {
            fn from($value: $t) -> Self { $cell }
        })*
    };
}

from! {
    i64 => n Cell::Int(n);
    i32 => n Cell::Int(n.into());
    u32 => n Cell::Int(n.into());
    f64 => x Cell::Float(x);
    f32 => x Cell::Float(x.into());
    bool => b Cell::Bool(b);
    &'a str => text Cell::Text(text);
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// A value that fits its column.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fitted<'a> {
    Null,
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// The digits of it.
    Number(i64),
}

/// The value as the column holds it.
pub(super) fn fit<'a>(table: &str, column: &Column, cell: Cell<'a>) -> Result<Fitted<'a>> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let kind = column.kind;
    let fitted = match (kind.storage(), cell) {
        (_, Cell::Null) => Some(Fitted::Null),
        (Storage::Int, Cell::Int(n)) => in_range(kind, n),
        (Storage::Int, Cell::Bool(b)) => Some(Fitted::Int(b.into())),
        (Storage::Int, Cell::Float(x)) if x.fract() == 0.0 && x.abs() <= EXACT => {
            in_range(kind, x as i64)
        }
        (Storage::Float, Cell::Float(x)) if kind == ColumnType::Float32 => {
            Some(Fitted::Float(f64::from(x as f32)))
        }
        (Storage::Float, Cell::Float(x)) => Some(Fitted::Float(x)),
        (Storage::Float, Cell::Int(n)) => exact_float(kind, n).map(Fitted::Float),
        (Storage::Float, Cell::Bool(b)) => Some(Fitted::Float(f64::from(u8::from(b)))),
        (Storage::Text, Cell::Text(text)) => Some(Fitted::Text(text)),
        (Storage::Name, Cell::Text(text)) => {
            if !super::id::is_id(text) {
                super::id::check_id(&format!("{} of {table}", column.name), text)?;
            }
            Some(Fitted::Text(text))
        }
        (Storage::Name, Cell::Int(n)) => Some(Fitted::Number(n)),
        _ => None,
    };
    fitted.ok_or_else(|| misfit(table, column, cell))
}

/// The float that is this integer.
pub(super) fn exact_float(kind: ColumnType, n: i64) -> Option<f64> {
    let x = match kind {
        ColumnType::Float32 => f64::from(n as f32),
        _ => n as f64,
    };
    (x as i128 == i128::from(n)).then_some(x)
}

fn in_range<'a>(kind: ColumnType, n: i64) -> Option<Fitted<'a>> {
    let (least, greatest) = kind.range();
    (least..=greatest).contains(&n).then_some(Fitted::Int(n))
}

fn misfit(table: &str, column: &Column, cell: Cell<'_>) -> Error {
    let got = match cell {
        Cell::Null => "nothing".to_owned(),
        Cell::Int(n) => n.to_string(),
        Cell::Float(x) => format!("{x:?}"),
        Cell::Bool(b) => b.to_string(),
        Cell::Text(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
    };
    let what = format!("{} of {table}", column.name);
    Error::invalid_type(what, format!("a value that {} holds", column.kind), got)
}
