//! Ticks of a symbol: bars, and bid and ask in a window.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampNanosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use siltstone::series::process::parse_time;
use siltstone::table::Batches;
use siltstone::ticks::{
    Bar, Direction, Drawn, OhlcOptions, Outlines, Price, Stretch, TickStore, bars_to_arrow,
};
use siltstone::{Error, Handle, Result};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read, stop};
use crate::m4::{self, M4, Picture, Position};
use crate::table::{Format, Table};

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Lengths of bars that people know, in ns.
const INTERVALS: [i64; 20] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    60 * SECOND,
    120 * SECOND,
    300 * SECOND,
    600 * SECOND,
    900 * SECOND,
    1_800 * SECOND,
    3_600 * SECOND,
    7_200 * SECOND,
    14_400 * SECOND,
    28_800 * SECOND,
    DAY,
    7 * DAY,
    28 * DAY,
    364 * DAY,
];
/// Pixels of a bar with its distance to the next.
const BAR_PIXELS: usize = 7;
/// Pixels of a picture whose width is not said.
const WIDTH: usize = 1_000;

/// A query about the ticks of one symbol.
#[derive(Debug, Deserialize)]
pub(crate) struct Window {
    pub(crate) symbol: String,
    /// From this time on: ns since 1970, or ISO 8601.
    from: Option<String>,
    /// Before this time.
    until: Option<String>,
    /// Pixels.
    pub(crate) width: Option<usize>,
    /// Of gaps, the shortest one, in ns.
    pub(crate) min: Option<i64>,
    /// Which price bars are made of: mid, bid or ask.
    price: Option<String>,
    /// Whether the ticks before and behind the window come too.
    #[serde(default)]
    edges: bool,
    #[serde(default)]
    pub(crate) format: Format,
}

/// The times of a window, and of all ticks of the symbol.
pub(crate) struct Times {
    pub(crate) from: i64,
    pub(crate) until: i64,
    first: i64,
    last: i64,
}

impl Window {
    /// All ticks of a symbol, for a picture so many pixels wide.
    pub(crate) fn all(symbol: &str, width: usize) -> Self {
        let (symbol, width, format) = (symbol.to_owned(), Some(width), Format::Json);
        Window {
            symbol,
            from: None,
            until: None,
            width,
            min: None,
            price: None,
            edges: false,
            format,
        }
    }

    pub(crate) fn times(&self, store: &TickStore) -> Result<Times> {
        let at_end = store.last(&self.symbol)?;
        let at_begin = store.asof(&self.symbol, &[i64::MIN], None, Direction::Forward)?;
        let (Some(last), Some(first)) = (at_end, at_begin.ticks.time_ns.first()) else {
            return Err(Error::NotFound {
                what: "the symbol",
                name: self.symbol.clone(),
                location: store.config().sqlite_base_path.display().to_string(),
            });
        };
        let time = |text: &Option<String>, default| match text {
            None => Ok(default),
            Some(text) => text.parse::<i64>().or_else(|_| parse_time(text, Some("UTC"))),
        };
        Ok(Times {
            from: time(&self.from, *first)?,
            until: time(&self.until, last.time_ns.saturating_add(1))?,
            first: *first,
            last: last.time_ns,
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.width.unwrap_or(WIDTH).max(1)
    }
}

/// `GET /api/ticks/bars`: bars of the length that suits the window.
pub(crate) async fn bars(State(shared): State<Shared>, Query(asked): Query<Window>) -> Answer {
    let source = shared.source.clone();
    let written = read(&shared, LONGEST, move |handle| {
        let format = asked.format;
        bars_of(handle, &asked, &source.outlines)?.write(format)
    });
    Ok(written.await?.into_response())
}

/// The bars of a window.
///
/// # Errors
/// [`Error::NotFound`] for no such symbol.
pub(crate) fn bars_of(handle: &Handle, asked: &Window, known: &Outlines) -> Result<Table> {
    let store = handle.ticks()?;
    let times = asked.times(store)?;
    let price: Price = asked.price.as_deref().unwrap_or("mid").parse()?;
    let interval_ns = interval(&times, asked.width());
    let (from_ns, to_ns) = (times.from, times.until.saturating_sub(1));
    // Whole bars: the first and the last one reach beyond the window.
    let from_ns = from_ns.saturating_sub(from_ns.rem_euclid(interval_ns));
    let to_ns = to_ns.saturating_add(interval_ns - 1 - to_ns.rem_euclid(interval_ns));
    let bars = halves((from_ns, to_ns), interval_ns, |(from_ns, to_ns)| {
        let options = OhlcOptions { from_ns, to_ns, price, ..OhlcOptions::default() };
        store.ohlc_outlined(&asked.symbol, interval_ns, options, known)
    })?;
    let bars: Vec<Bar> = bars.into_iter().flatten().collect();
    let ticks: u64 = bars.iter().map(|bar| bar.volume).sum();
    let outside = count(store, asked, (from_ns, times.from.saturating_sub(1)), known)?
        + count(store, asked, (times.until, to_ns), known)?;
    let ticks = ticks.saturating_sub(outside);
    let batch = bars_to_arrow(&bars)?;
    let mut about = about(&asked.symbol, &times, ticks);
    about["interval_ns"] = json!(interval_ns);
    about["said"] = json!("exact");
    Ok(table(about, Batches::from_batches(batch.schema(), vec![batch])))
}

/// The ticks from a time to another one, both included.
fn count(
    store: &TickStore,
    asked: &Window,
    (first, last): (i64, i64),
    known: &Outlines,
) -> Result<u64> {
    if last < first {
        return Ok(0);
    }
    let mut ticks = 0;
    let drawn = Drawn { from_ns: first, to_ns: last, is_one: &|_, _| true, known };
    store.outline(&asked.symbol, drawn, &mut |stretch| {
        ticks += match stretch {
            Stretch::Ticks(times, ..) => times.len() as u64,
            Stretch::Outline(outline) => u64::from(outline.ticks),
            _ => 0,
        };
        Ok(())
    })?;
    Ok(ticks)
}

/// Works on two halves of a span, both ends included, at one time; they meet at a multiple of `step`. A query that is
/// stopped stops both.
fn halves<T: Send>(
    (first, last): (i64, i64),
    step: i64,
    work: impl Fn((i64, i64)) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let middle = first.midpoint(last);
    let middle = middle.saturating_sub(middle.rem_euclid(step));
    if middle <= first {
        return Ok(vec![work((first, last))?]);
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let (failed, stop) = (is_over.clone(), stop());
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let stop = move || failed.load(Ordering::Relaxed) || stop();
            siltstone::interruptible(stop, || work((middle, last)))
        });
        let first = work((first, middle - 1));
        is_over.store(first.is_err(), Ordering::Relaxed);
        let second = second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(vec![first?, second?])
    })
}

/// The shortest length of which no more bars are needed than fit.
fn interval(times: &Times, width: usize) -> i64 {
    let most = (width / BAR_PIXELS).max(1) as i128;
    let span = i128::from(times.until) - i128::from(times.from);
    let fits = |interval: &&i64| span <= i128::from(**interval) * most;
    *INTERVALS.iter().find(fits).unwrap_or(&INTERVALS[INTERVALS.len() - 1])
}

/// `GET /api/ticks/quotes`: bid and ask, of each column of pixels those that its picture needs.
pub(crate) async fn quotes(State(shared): State<Shared>, Query(asked): Query<Window>) -> Answer {
    let source = shared.source.clone();
    let written = read(&shared, LONGEST, move |handle| {
        let store = handle.ticks()?;
        let times = asked.times(store)?;
        let last = times.until.saturating_sub(1);
        let Some(width) = asked.width else {
            let batches = store.scan(Some(&[&asked.symbol]), times.from, last)?;
            let mut about = about(&asked.symbol, &times, 0);
            about["said"] = json!("exact");
            if let Json::Object(fields) = &mut about {
                fields.remove("points"); // they are not counted: the rows are
            }
            return table(about, batches).write(asked.format);
        };
        let width = width.clamp(1, m4::MOST);
        let pixel = |time: i64| time.pixel(times.from, times.until, width);
        let is_one = |first, last| pixel(first) == pixel(last);
        let parts = halves((times.from, last), 1, |(from_ns, to_ns)| {
            let mut m4 = M4::<i64, 2>::new(times.from, times.until, asked.width);
            let drawn = Drawn { from_ns, to_ns, is_one: &is_one, known: &source.outlines };
            store.outline(&asked.symbol, drawn, &mut |stretch| {
                match stretch {
                    Stretch::Ticks(time, bid, ask) => m4.extend(time, [bid, ask]),
                    Stretch::Outline(outline) => m4.push_outline(outline),
                    _ => {}
                }
                Ok(())
            })?;
            Ok(m4)
        })?;
        let mut m4 = M4::<i64, 2>::new(times.from, times.until, asked.width);
        parts.into_iter().for_each(|part| m4.append(part));
        let mut picture = m4.finish();
        let mut about = about(&asked.symbol, &times, picture.points);
        about["said"] = json!(picture.said());
        if asked.edges {
            add_edges(store, &asked.symbol, &times, &mut picture)?;
        }
        table(about, quotes_of(picture)?).write(asked.format)
    });
    Ok(written.await?.into_response())
}

/// Adds the tick that held when the window begins, and the first one behind it.
fn add_edges(
    store: &TickStore,
    symbol: &str,
    times: &Times,
    picture: &mut Picture<i64, 2>,
) -> Result<()> {
    let one = |time, direction| -> Result<_> {
        let found = store.asof(symbol, &[time], None, direction)?.ticks;
        let tick = found.last();
        Ok(tick.map(|tick| crate::m4::Point { row: 0, x: tick.time_ns, y: [tick.bid, tick.ask] }))
    };
    picture.shown.splice(0..0, one(times.from, Direction::Before)?);
    picture.shown.extend(one(times.until, Direction::Forward)?);
    Ok(())
}

pub(crate) fn about(symbol: &str, times: &Times, ticks: u64) -> Json {
    json!({
        "symbol": symbol,
        "from": times.from,
        "until": times.until,
        "first": times.first,
        "last": times.last,
        "points": ticks,
    })
}

pub(crate) fn table(about: Json, batches: Batches) -> Table {
    let about = match about {
        Json::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    Table { about, batches }
}

/// A column of ticks.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or(Error::NotFound {
        what: "the column",
        name: name.to_owned(),
        location: "the ticks".to_owned(),
    })
}

fn quotes_of(picture: Picture<i64, 2>) -> Result<Batches> {
    let times = picture.shown.iter().map(|point| point.x);
    let times = TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC");
    let line = |i: usize| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(picture.shown.iter().map(|point| point.y[i])))
    };
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let schema = Arc::new(Schema::new(vec![
        Field::new("time", time, false),
        Field::new("bid", DataType::Float64, false),
        Field::new("ask", DataType::Float64, false),
    ]));
    let columns = vec![Arc::new(times) as ArrayRef, line(0), line(1)];
    let batch = RecordBatch::try_new(schema.clone(), columns).map_err(|error| Error::Invalid {
        what: "the ticks".to_owned(),
        expected: "a table that Arrow takes".to_owned(),
        got: error.to_string(),
    })?;
    Ok(Batches::from_batches(schema, vec![batch]))
}
