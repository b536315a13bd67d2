//! The demo's treatment plant: what a sensor measured, what was done to it, and what came out; a dataset in the file of
//! the epidemic.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use siltstone::series::process::{By, Replacement};
use siltstone::series::tree::{Dataset, Output, Signal, functions};
use siltstone::series::{Series, SqliteBackend, StorageBackend};

use super::random::Random;
use super::show::Scene;
use crate::chart::{self, Canvas};
use crate::exit::Outcome;
use crate::human;

/// 2024-03-04 00:00 UTC, in ns since 1970, and a point every five minutes.
const START_NS: i64 = 1_709_510_400 * 1_000_000_000;
const STEP_NS: i64 = 300 * 1_000_000_000;
const DAYS: i64 = 14;
const A_DAY: i64 = 288;
/// The days on which the sensor was stuck, counted from 0: until then.
const FAULT: [i64; 2] = [4, 5];
const DATASET: &str = "demo plant";
/// What the sensor measured, in the file.
pub(super) const MEASURED: &str = "demo plant/ammonium#1/RAW#1";

/// Records two weeks of a sensor, repairs what it measured while it was stuck, and takes the mean of each hour.
pub(super) fn record(path: &Path, seed: u64, canvas: Canvas) -> Outcome<Scene> {
    let file = SqliteBackend::open(path)?;
    let mut dataset = Dataset::create(Arc::new(file.clone()), DATASET)?;
    let mut signal = Signal::new("ammonium", "mg/l")?;
    signal.edit(|record| {
        record.provenance.location = Some("inlet".into());
        record.provenance.equipment = Some("an ion-selective electrode".into());
    });
    let name = dataset.add(signal)?;
    let signal = dataset.signal_mut(&name)?;
    let mut random = Random::new(seed ^ 0x0070_6c61_6e74);
    let raw = signal.add(day(0, &mut random)?)?;
    let start = Instant::now();
    for number in 1..DAYS {
        file.append(MEASURED, &day(number, &mut random)?)?;
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
    let mut hourly = Vec::new();
    for of in [&raw, &filled] {
        let made = signal.process(&[of], functions::resample("h", "mean"), &next)?.remove(0);
        hourly.push((made.clone(), signal.get(&made)?.series()?.to_f64s().unwrap_or_default()));
    }
    let processed = start.elapsed();
    let points = signal.get(&raw)?.len()?;
    let steps: Vec<String> = (signal.get(&hourly[1].0)?.steps().iter())
        .map(|step| {
            let made = step.output_series_name.as_deref().unwrap_or_default();
            format!("{} -> {made}", step.function_info.name)
        })
        .collect();
    file.compact(None)?;
    let sql =
        "SELECT sum(length(index_data) + length(value_data)) * 1.0 / sum(rows) FROM series_block";
    let bytes_per_point = match file.database().sql(sql)?.rows.first().map(|row| &row[..]) {
        Some([siltstone::Value::Real(bytes)]) => *bytes,
        _ => f64::NAN,
    };
    let keys = file.list_keys(&format!("{DATASET}/"))?;
    file.database().clone().close()?;

    let mut scene = Scene::new(
        "A treatment plant: ammonium at the inlet, and a day on which the sensor was stuck",
    );
    let (points, took) = (human::plural(points, "point"), human::duration(took));
    let (made, processed) = (keys.len() - 1, human::duration(processed));
    scene.fact("recorded", format!("{points} in {took}, an append a day, each safe at once"));
    scene.fact("processed", format!("{made} series in {processed}, each with its history"));
    scene.fact("compacted", format!("{bytes_per_point:.2} bytes a point"));
    steps.iter().for_each(|step| scene.line(format!("  {step}")));
    scene.line("");
    let hours = 0..hourly[0].1.len();
    let labels: Vec<String> = hours.map(|hour| format!("day {}", hour / 24 + 1)).collect();
    let [measured, repaired] = [0, 1].map(|i| hourly[i].1.clone());
    let series = [("as measured", measured), ("repaired", repaired)];
    let band = [(FAULT[0] as usize * 24..FAULT[1] as usize * 24, "stuck")];
    scene.line(chart::lines(&series, &labels, &band, canvas));
    Ok(scene)
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
