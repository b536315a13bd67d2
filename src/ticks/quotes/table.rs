//! Quotes in a Parquet file.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Schema, TimeUnit};

use super::clock::{Clock, Form, in_zone};
use super::{Gathered, Quote, QuoteColumns, QuoteOptions};
use crate::error::{Error, Result};
use crate::table::{self, from_arrow, rounded};

/// How the numbers of the time column become ns since 1970 UTC.
enum Times {
    /// Timestamps, or counts of a unit: so many ns each.
    Utc(i64),
    Clocks(Clock),
}

/// The column of a name, or none if the names are the usual ones and it is not there.
fn column(path: &Path, schema: &Schema, name: &str, is_needed: bool) -> Result<Option<usize>> {
    let found = schema.fields().iter().position(|field| field.name() == name);
    if found.is_some() || !is_needed {
        return Ok(found);
    }
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let expected = format!("one of {} (--columns)", names.join(", "));
    Err(Error::invalid(format!("{}: column", path.display()), expected, format!("{name:?}")))
}

fn cast(path: &Path, column: &ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, kind, &options)
        .map_err(|e| from_arrow(&path.display().to_string(), e))
}

/// How a time column of this type is read, and what to say of it.
fn times(path: &Path, kind: &DataType, options: &QuoteOptions) -> Result<(Times, String)> {
    let wrong = |expected: &str| {
        Err(Error::invalid(format!("{}: time", path.display()), expected, kind.to_string()))
    };
    match (kind, &options.time_zone) {
        (DataType::Timestamp(_, Some(_)), _) => Ok((Times::Utc(1), "times with their zone".into())),
        (DataType::Timestamp(_, None), Some(name)) => {
            let clock = Clock { form: Form::Wall, zone: options.zone()? };
            Ok((Times::Clocks(clock), format!("times of {name}")))
        }
        (DataType::Timestamp(_, None), None) => {
            wrong("timestamps with a zone, or the zone of the times (--tz)")
        }
        (kind, _) if kind.is_integer() => match options.time_unit {
            Some(unit) => Ok((Times::Utc(unit.ns()), format!("times in {unit} since 1970 UTC"))),
            None => wrong("the unit of times that are numbers (--time-unit s, ms, us or ns)"),
        },
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, _) => {
            let zone = options.zone()?;
            let form = options.time_format.clone().map_or(Form::Wall, Form::Format);
            Ok((Times::Clocks(Clock { form, zone }), "times as texts".into()))
        }
        _ => wrong("timestamps, numbers or texts"),
    }
}

pub(super) fn read(path: &Path, options: &QuoteOptions, out: &mut Gathered<'_>) -> Result<()> {
    if let Some(format) = options.format {
        let got = format!("a Parquet file as {format}: name its columns (--columns)");
        return Err(Error::invalid(path.display().to_string(), "a text", got));
    }
    let batches = table::read(path)?;
    let schema = batches.schema().clone();
    let usual = QuoteColumns {
        time: "time".into(),
        bid: "bid".into(),
        ask: "ask".into(),
        ..QuoteColumns::default()
    };
    let names = options.columns.as_ref().unwrap_or(&usual);
    if names.clock.is_some() {
        let got = "a date and a time of the day";
        return Err(Error::invalid(
            format!("{}: columns", path.display()),
            "one column of times",
            got,
        ));
    }
    let needed = |name: &str| column(path, &schema, name, true).map(Option::unwrap_or_default);
    let or_usual = |named: &Option<String>, usual: &str| match named {
        Some(name) => column(path, &schema, name, true),
        None if options.columns.is_none() => column(path, &schema, usual, false),
        None => Ok(None),
    };
    let (time, bid, ask) = (needed(&names.time)?, needed(&names.bid)?, needed(&names.ask)?);
    let spread = or_usual(&names.spread, "spread")?;
    let symbol = or_usual(&names.symbol, "symbol")?.filter(|_| options.symbol.is_none());
    let lp = or_usual(&names.lp, "lp")?.filter(|_| options.lp.is_none());
    let (times, said) = times(path, schema.field(time).data_type(), options)?;
    out.begin(
        &format!("Parquet: columns {} and {}, {said}", names.bid, names.ask),
        symbol.is_some(),
    )?;
    let mut line = 0;
    for batch in batches {
        let batch = batch.map_err(|e| from_arrow(&path.display().to_string(), e))?;
        let floats = |at: usize| cast(path, batch.column(at), &DataType::Float64);
        let texts = |at: Option<usize>| {
            at.map(|at| cast(path, batch.column(at), &DataType::Utf8)).transpose()
        };
        let (bids, asks, spreads) = (floats(bid)?, floats(ask)?, spread.map(floats).transpose()?);
        let (symbols, sources) = (texts(symbol)?, texts(lp)?);
        let number = |name: &str, at: usize, column: &ArrayRef, i: usize| {
            if let Some(n) = rounded(batch.column(at), i) {
                return Err(format!("{name}: expected a number that a float has exactly, got {n}"));
            }
            Ok((!column.is_null(i)).then(|| column.as_primitive::<Float64Type>().value(i)))
        };
        let own = batch.column(time);
        let own = match (&times, own.data_type()) {
            (_, DataType::Timestamp(_, zone)) => {
                cast(path, own, &DataType::Timestamp(TimeUnit::Nanosecond, zone.clone()))?
            }
            (Times::Utc(_), _) => cast(path, own, &DataType::Int64)?,
            _ => cast(path, own, &DataType::Utf8)?,
        };
        let at = |i: usize| -> Result<i64, String> {
            if own.is_null(i) {
                return Err("time: expected a time, got null".into());
            }
            if let Some(stamps) = own.as_primitive_opt::<TimestampNanosecondType>() {
                let ns = stamps.value(i);
                return match &times {
                    Times::Clocks(Clock { zone: Some(zone), .. }) => {
                        in_zone(ns, zone, &ns.to_string())
                    }
                    _ => Ok(ns),
                };
            }
            match &times {
                Times::Clocks(clock) => clock.read(own.as_string::<i32>().value(i)),
                Times::Utc(ns) => {
                    let count = own.as_primitive::<Int64Type>().value(i);
                    count
                        .checked_mul(*ns)
                        .ok_or_else(|| format!("time: expected one up to 2262, got {count}"))
                }
            }
        };
        let text = |column: &Option<ArrayRef>, i: usize| -> Option<String> {
            let column: &StringArray = column.as_ref()?.as_string::<i32>();
            Some(if column.is_null(i) { String::new() } else { column.value(i).to_owned() })
        };
        for i in 0..batch.num_rows() {
            line += 1;
            let (symbol, lp) = (text(&symbols, i), text(&sources, i));
            let quote = || -> Result<Quote<'_>, String> {
                Ok(Quote {
                    time_ns: at(i),
                    bid: number("bid", bid, &bids, i)?,
                    ask: number("ask", ask, &asks, i)?,
                    spread: match (spread, &spreads) {
                        (Some(at), Some(column)) => number("spread", at, column, i)?,
                        _ => None,
                    },
                    symbol: symbol.as_deref(),
                    lp: lp.as_deref(),
                })
            };
            out.push(line, quote())?;
        }
    }
    Ok(())
}
