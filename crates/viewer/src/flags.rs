//! What is odd about ticks: times without one, and quotes that cannot be.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType};
use arrow_array::{RecordBatch, TimestampNanosecondArray, UInt8Array, UInt64Array};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use serde_json::json;
use siltstone::table::Batches;
use siltstone::ticks::{gaps_to_arrow, quality};
use siltstone::{Error, Handle, Result};

use crate::Shared;
use crate::answer::{Answer, LONGEST, read};
use crate::m4::Position;
use crate::table::Table;
use crate::ticks::{Window, about, column, table};

/// The shortest gap that is drawn, in pixels.
const GAP_PIXELS: i128 = 3;
/// The shortest gap in any picture, in ns: a market is quiet for a second now and then.
const SHORTEST_GAP: i64 = 1_000_000_000;
/// Names of the bits of [`quality`].
const NAMES: [&str; 7] = [
    "the bid is zero or less",
    "the ask is zero or less",
    "crossed: the ask is below the bid",
    "locked: bid and ask are equal",
    "the spread is negative",
    "the spread is above a tenth of the bid",
    "the spread is not ask - bid",
];

/// `GET /api/ticks/gaps`: times without a tick that are longer than `min` ns, or than its picture can show.
pub(crate) async fn gaps(State(shared): State<Shared>, Query(asked): Query<Window>) -> Answer {
    let written =
        read(&shared, LONGEST, move |handle| gaps_of(handle, &asked)?.write(asked.format));
    Ok(written.await?.into_response())
}

fn gaps_of(handle: &Handle, asked: &Window) -> Result<Table> {
    let store = handle.ticks()?;
    let times = asked.times(store)?;
    let pixel = (i128::from(times.until) - i128::from(times.from)) / asked.width() as i128;
    let seen = i64::try_from(pixel * GAP_PIXELS).unwrap_or(i64::MAX);
    let min_ns = asked.min.unwrap_or_else(|| seen.max(SHORTEST_GAP));
    let gaps = store.gaps(&asked.symbol, min_ns, times.from, times.until.saturating_sub(1))?;
    let mut about = about(&asked.symbol, &times, 0);
    about["min_ns"] = json!(min_ns);
    about["said"] = json!("exact");
    if let Some(fields) = about.as_object_mut() {
        fields.remove("points");
    }
    let batch = gaps_to_arrow(&gaps)?;
    Ok(table(about, Batches::from_batches(batch.schema(), vec![batch])))
}

/// What is odd in a column of pixels.
#[derive(Debug, Clone, Copy)]
struct Odd {
    time: i64,
    /// Any of its bits.
    flags: u8,
    ticks: u64,
}

/// `GET /api/ticks/flags`: quotes that cannot be, by the bits of the library's quality; of each column of pixels the first
/// one, all of their bits and how many there are. Without a width, each of them.
pub(crate) async fn flags(State(shared): State<Shared>, Query(asked): Query<Window>) -> Answer {
    let written =
        read(&shared, LONGEST, move |handle| flags_of(handle, &asked)?.write(asked.format));
    Ok(written.await?.into_response())
}

fn flags_of(handle: &Handle, asked: &Window) -> Result<Table> {
    let store = handle.ticks()?;
    let times = asked.times(store)?;
    let last = times.until.saturating_sub(1);
    let mut batches = store.scan(Some(&[&asked.symbol]), times.from, last)?;
    let mut found: Vec<(usize, Odd)> = Vec::new();
    let (mut ticks, mut odd) = (0, 0);
    let mut counts = [0u64; NAMES.len()];
    while let Some(batch) = batches.next_batch()? {
        ticks += batch.num_rows() as u64;
        let time = column(&batch, "time")?.as_primitive::<TimestampNanosecondType>().values();
        let price =
            |name| Ok::<_, Error>(column(&batch, name)?.as_primitive::<Float64Type>().values());
        let (bid, ask, spread) = (price("bid")?, price("ask")?, price("spread")?);
        for i in 0..batch.num_rows() {
            let flags = quality(bid[i], ask[i], spread[i]);
            if flags == 0 {
                continue;
            }
            odd += 1;
            for (bit, count) in counts.iter_mut().enumerate() {
                *count += u64::from(flags >> bit & 1);
            }
            let pixel =
                asked.width.map(|width| time[i].pixel(times.from, times.until, width.max(1)));
            match (pixel, found.last_mut()) {
                (Some(pixel), Some((at, known))) if pixel == *at => {
                    known.flags |= flags;
                    known.ticks += 1;
                }
                (pixel, _) => {
                    found.push((pixel.unwrap_or(0), Odd { time: time[i], flags, ticks: 1 }))
                }
            }
        }
    }
    let mut about = about(&asked.symbol, &times, ticks);
    about["odd"] = json!(odd);
    let named = NAMES.iter().zip(counts).enumerate().filter(|(_, (_, count))| *count > 0);
    let named =
        named.map(|(bit, (name, count))| json!({ "bit": bit, "name": name, "ticks": count }));
    about["counts"] = named.collect();
    about["said"] = json!(match found.len() as u64 == odd {
        true => "exact".to_owned(),
        false => format!("{odd} odd ticks in {} columns of pixels", found.len()),
    });
    Ok(table(about, of_odd(&found)?))
}

fn of_odd(found: &[(usize, Odd)]) -> Result<Batches> {
    let all = || found.iter().map(|(_, odd)| odd);
    let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let schema = Arc::new(Schema::new(vec![
        Field::new("time", time, false),
        Field::new("flags", DataType::UInt8, false),
        Field::new("ticks", DataType::UInt64, false),
    ]));
    let times = TimestampNanosecondArray::from_iter_values(all().map(|odd| odd.time));
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(times.with_timezone("UTC")),
            Arc::new(UInt8Array::from_iter_values(all().map(|odd| odd.flags))),
            Arc::new(UInt64Array::from_iter_values(all().map(|odd| odd.ticks))),
        ],
    );
    let batch = batch.map_err(|error| Error::Invalid {
        what: "the odd ticks".to_owned(),
        expected: "a table that Arrow takes".to_owned(),
        got: error.to_string(),
    })?;
    Ok(Batches::from_batches(schema, vec![batch]))
}
