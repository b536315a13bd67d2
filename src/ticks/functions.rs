//! SQL functions over the ticks of one file.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::vtab::Context;

use super::bars::{Bar, Timeframe};
use super::ohlc::{Bars, OhlcOptions};
use super::part::{Part, Span};
use super::read::{Cursor, STEP};
use super::tables;
use super::tick::{Origins, Ticks, Wanted, check_symbol};
use crate::error::{Error, Result};
use crate::kernel::{Arguments, ReadTx, RowSource, TableFunction};

/// The table-valued functions of the store.
pub(crate) const TABLES: &[TableFunction] = &[TableFunction {
    name: "silt_ohlc",
    columns: &["time_ns", "timestamp", "open", "high", "low", "close", "volume"],
    arguments: &["symbol", "interval", "from_ns", "until_ns", "price"],
    required: 2,
    table: "tick_symbol",
    rows: ohlc,
}];

fn ohlc(tx: &ReadTx<'_>, arguments: &Arguments) -> Result<Box<dyn RowSource>> {
    let (symbol, interval_ns) = (arguments.text(0)?, interval_ns(arguments)?);
    let mut options = OhlcOptions::default();
    options.from_ns = arguments.integer(2)?.unwrap_or(options.from_ns);
    if let Some(until_ns) = arguments.integer(3)? {
        let Some(to_ns) = until_ns.checked_sub(1) else { return Ok(Box::new(Vec::<Bar>::new())) };
        options.to_ns = to_ns;
    }
    if *arguments.value(4) != Value::Null {
        options.price = arguments.text(4)?.parse()?;
    }
    check_symbol(symbol)?;
    let mut bars = Bars::new(interval_ns, options)?;
    let unknown = || Error::NotFound {
        what: "symbol",
        name: symbol.to_owned(),
        location: "the ticks of the file".into(),
    };
    let is_there = tables::are_there(tx)?;
    let id = if is_there { tables::symbol_id(tx, symbol)? } else { None }.ok_or_else(unknown)?;
    let origins = Origins::default();
    let numbers: HashMap<i64, u32> = tables::origins(tx, &origins)?;
    let part = Part { id, origins: &origins, numbers: &numbers };
    let name: Arc<str> = symbol.into();
    let mut at = Some(Cursor { time_ns: options.from_ns, skip: 0 });
    while let Some(cursor) = at {
        let span = Span {
            from_ns: cursor.time_ns,
            to_ns: options.to_ns,
            skip: cursor.skip,
            limit: STEP,
            wanted: Wanted::Prices,
        };
        let mut ticks = Ticks::new(name.clone());
        let more = part.read(tx, &span, &mut ticks)?;
        bars.add(&ticks.time_ns, &ticks.bid, &ticks.ask)?;
        at = if more { cursor.behind(&ticks) } else { None };
    }
    Ok(Box::new(bars.bars))
}

/// The length of a bar: seconds, the name of a timeframe, or a number and a unit.
fn interval_ns(arguments: &Arguments) -> Result<i64> {
    const SECOND_NS: i64 = 1_000_000_000;
    const UNITS: [(&str, i64); 6] = [
        ("ms", SECOND_NS / 1000),
        ("s", SECOND_NS),
        ("min", 60 * SECOND_NS),
        ("m", 60 * SECOND_NS),
        ("h", 3_600 * SECOND_NS),
        ("d", 86_400 * SECOND_NS),
    ];
    let with_unit = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = (text[..digits].parse::<i64>().ok()?, text[digits..].trim_start());
        let (_, ns) = UNITS.iter().find(|(name, _)| *name == unit)?;
        count.checked_mul(*ns)
    };
    let ns = match arguments.value(1) {
        Value::Integer(seconds) => seconds.checked_mul(SECOND_NS),
        Value::Text(text) => match text.parse::<Timeframe>() {
            Ok(timeframe) => Some(timeframe.seconds() * SECOND_NS),
            Err(_) => with_unit(text),
        },
        _ => None,
    };
    let expected = "seconds above zero, a text as 30s, 1m, 1h or 1d, or M1, M5, M15, H1, H4 or D1";
    ns.filter(|ns| *ns > 0).ok_or_else(|| arguments.wrong(1, expected))
}

impl RowSource for Vec<Bar> {
    fn rows(&self) -> usize {
        self.len()
    }

    fn give(&self, row: usize, column: usize, to: &mut Context) -> rusqlite::Result<()> {
        let bar = &self[row];
        match column {
            0 => to.set_result(&bar.time_ns),
            1 => to.set_result(&bar.time_ns.div_euclid(1_000_000)),
            2 => to.set_result(&bar.open),
            3 => to.set_result(&bar.high),
            4 => to.set_result(&bar.low),
            5 => to.set_result(&bar.close),
            _ => to.set_result(&(bar.volume as i64)),
        }
    }
}
