//! The demo's treatment plant: what a sensor measured, what was done to it, and what came out; a dataset in the file of
//! the epidemic.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use siltstone::series::process::{By, Replacement};
use siltstone::series::tree::{Dataset, Output, Signal, functions};
use siltstone::series::{Series, SqliteBackend, StorageBackend};

use super::random::Random;
use crate::exit::Outcome;

/// 2024-03-04 00:00 UTC, in ns since 1970.
const START_NS: i64 = 1_709_510_400 * SECOND_NS;
const SECOND_NS: i64 = 1_000_000_000;
/// A point every five minutes.
const STEP_NS: i64 = 300 * SECOND_NS;
const DAYS: i64 = 14;
const A_DAY: i64 = 288;
/// The sensor stuck from here to there, in days since the start.
const FAULT: [i64; 2] = [4, 5];

const DATASET: &str = "demo plant";
const SIGNAL: &str = "ammonium";

/// What was recorded and what was made of it.
pub(super) struct Plant {
    pub(super) points: u64,
    /// From the first point to all of them in the file, an append a day.
    pub(super) took: Duration,
    /// All functions, with what they wrote.
    pub(super) processed: Duration,
    /// The keys of what was measured, and of what was made of it.
    pub(super) keys: Vec<String>,
    /// What was done, in order, to the last of them.
    pub(super) steps: Vec<String>,
    pub(super) bytes_per_point: f64,
    /// Means of an hour: as measured, and as repaired.
    pub(super) hourly: [Vec<f64>; 2],
    /// Which hours were repaired.
    pub(super) fault: std::ops::Range<usize>,
}

/// Records two weeks of a sensor, repairs what it measured while it was stuck, and takes the mean of each hour.
pub(super) fn record(path: &Path, seed: u64) -> Outcome<Plant> {
    let file = SqliteBackend::open(path)?;
    let mut dataset = Dataset::create(Arc::new(file.clone()), DATASET)?;
    let mut signal = Signal::new(SIGNAL, "mg/l")?;
    signal.edit(|record| {
        record.provenance.location = Some("inlet".into());
        record.provenance.equipment = Some("an ion-selective electrode".into());
    });
    let name = dataset.add(signal)?;
    let signal = dataset.signal_mut(&name)?;

    let mut random = Random::new(seed ^ 0x0070_6c61_6e74);
    let raw = signal.add(day(0, &mut random)?)?;
    let key = format!("{DATASET}/{name}/RAW#1");
    let start = Instant::now();
    for number in 1..DAYS {
        file.append(&key, &day(number, &mut random)?)?;
    }
    let took = start.elapsed();

    let start = Instant::now();
    let at = |day: i64| Some((START_NS + day * A_DAY * STEP_NS).into());
    let stuck = vec![(at(FAULT[0]), at(FAULT[1]))];
    let next = Output::next();
    let cut = functions::replace_ranges(stuck, "the electrode was stuck", Replacement::Missing);
    let cut = signal.process(&[&raw], cut, &next)?.remove(0);
    let fill = functions::linear_interpolation(By::Time);
    let filled = signal.process(&[&cut], fill, &next)?.remove(0);
    let hourly = |of| [of].map(|of: &str| of.to_owned());
    let (from_raw, from_filled) = (hourly(&raw), hourly(&filled));
    let mean = || functions::resample("h", "mean");
    let before = signal.process(&[&from_raw[0]], mean(), &next)?.remove(0);
    let after = signal.process(&[&from_filled[0]], mean(), &next)?.remove(0);
    let processed = start.elapsed();

    let values = |name: &str| -> Outcome<Vec<f64>> {
        Ok(signal.get(name)?.series()?.to_f64s().unwrap_or_default())
    };
    let steps = signal.get(&after)?.steps();
    let steps = steps.iter().map(|step| {
        let made = step.output_series_name.as_deref().unwrap_or_default();
        format!("{} -> {made}", step.function_info.name)
    });
    let plant = Plant {
        points: signal.get(&raw)?.len()?,
        took,
        processed,
        keys: file.list_keys(&format!("{DATASET}/"))?,
        steps: steps.collect(),
        bytes_per_point: 0.0,
        hourly: [values(&before)?, values(&after)?],
        fault: (FAULT[0] as usize * 24)..(FAULT[1] as usize * 24),
    };
    file.compact(None)?;
    let sql =
        "SELECT sum(length(index_data) + length(value_data)) * 1.0 / sum(rows) FROM series_block";
    let bytes_per_point = file.database().sql(sql)?.rows.first().and_then(|row| match row[..] {
        [siltstone::Value::Real(bytes)] => Some(bytes),
        _ => None,
    });
    file.database().clone().close()?;
    Ok(Plant { bytes_per_point: bytes_per_point.unwrap_or(f64::NAN), ..plant })
}

/// One day of the sensor: people rise, work and sleep; it reads to a hundredth.
fn day(number: i64, random: &mut Random) -> siltstone::Result<Series> {
    let (mut times, mut values) = (Vec::new(), Vec::new());
    for step in 0..A_DAY {
        let hour = step as f64 / 12.0;
        let bump = |at: f64, width: f64| (-((hour - at) / width).powi(2)).exp();
        let weekend = if number % 7 >= 5 { 0.8 } else { 1.0 };
        let mut value = 18.0 + weekend * (14.0 * bump(9.0, 2.5) + 10.0 * bump(20.0, 3.0));
        value += 0.9 * random.bell();
        if (FAULT[0]..FAULT[1]).contains(&number) {
            value = 61.7;
        }
        times.push(START_NS + (number * A_DAY + step) * STEP_NS);
        values.push((value * 100.0).round() / 100.0);
    }
    Series::from_times_ns(&times, &values)
}

impl Plant {
    pub(super) fn document(&self) -> Value {
        json!({
            "dataset": DATASET,
            "points": self.points,
            "seconds": self.took.as_secs_f64(),
            "process_seconds": self.processed.as_secs_f64(),
            "bytes_per_point": self.bytes_per_point,
            "series": self.keys,
            "steps": self.steps,
        })
    }
}
