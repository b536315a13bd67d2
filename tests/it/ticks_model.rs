//! The tick store against a plain sorted list, whatever is done in whatever order.

use std::path::Path;

use proptest::prelude::*;
use siltstone::ticks::{
    Direction, Duplicates, Fill, Names, OhlcOptions, QueueFull, TickBatch, TickStore,
    TickStoreConfig, Timeframe, doctor,
};

const DAY: i64 = 86_400_000_000_000;
const SYMBOLS: [&str; 2] = ["EURUSD", "GBP/JPY"];
const SOURCES: [&str; 2] = ["YOFX", "other \"<lp>\""];

#[derive(Debug, Clone, Copy, PartialEq)]
struct Made {
    symbol: usize,
    time: i64,
    bid: f64,
    ask: f64,
    spread: f64,
    lp: usize,
}

impl Made {
    fn bits(&self) -> (i64, u64, u64, u64, &'static str) {
        let Made { time, bid, ask, spread, lp, .. } = *self;
        (time, bid.to_bits(), ask.to_bits(), spread.to_bits(), SOURCES[lp])
    }
}

#[derive(Debug, Clone)]
enum Step {
    Tick(Made),
    Batch(Vec<Made>),
    /// So many ticks of one symbol at neighbouring times, at once.
    Bulk(Made, usize),
    Flush,
    Compact,
    Reopen,
    Check(i64, i64, usize),
}

fn times() -> impl Strategy<Value = i64> {
    let day = prop::sample::select(vec![-1i64, 0, 20_472, 20_473]);
    let offset = prop_oneof![0i64..6, DAY - 6..DAY, Just(DAY / 2), DAY / 3..DAY / 3 + 20];
    (day, offset).prop_map(|(day, offset)| day * DAY + offset)
}

fn made() -> impl Strategy<Value = Made> {
    let price = prop::sample::select(vec![0.0, -0.0, 1.0850, 1.0852, 1e-7, -3.25, f64::MAX]);
    (0usize..2, times(), price.clone(), price, any::<bool>(), 0usize..2).prop_map(
        |(symbol, time, bid, ask, derived, lp)| {
            let spread = if derived && (ask - bid).is_finite() { ask - bid } else { 0.5 };
            Made { symbol, time, bid, ask, spread, lp }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => made().prop_map(Step::Tick),
        3 => prop::collection::vec(made(), 1..12).prop_map(Step::Batch),
        1 => (made(), 2_048usize..5_000).prop_map(|(made, n)| Step::Bulk(made, n)),
        2 => Just(Step::Flush),
        2 => Just(Step::Compact),
        2 => Just(Step::Reopen),
        4 => (times(), times(), 1usize..12).prop_map(|(a, b, n)| Step::Check(a, b, n)),
    ]
}

struct Model {
    duplicates: Duplicates,
    /// In the order of arrival, of each symbol.
    ticks: [Vec<Made>; 2],
}

impl Model {
    fn add(&mut self, made: Made) {
        let ticks = &mut self.ticks[made.symbol];
        let there = || ticks.iter().any(|other| other.time == made.time);
        let taken = match self.duplicates {
            Duplicates::First | Duplicates::Error => !there(),
            Duplicates::ExactRow => !ticks.iter().any(|other| other.bits() == made.bits()),
            Duplicates::Last => {
                ticks.retain(|other| other.time != made.time);
                true
            }
            _ => true,
        };
        if taken {
            ticks.push(made);
        }
    }

    fn sorted(&self, symbol: usize) -> Vec<Made> {
        let mut sorted = self.ticks[symbol].clone();
        sorted.sort_by_key(|made| made.time);
        sorted
    }
}

fn open(base: &Path, duplicates: Duplicates) -> TickStore {
    let config = TickStoreConfig {
        sqlite_base_path: base.to_owned(),
        queue_full: QueueFull::Block,
        max_ticks_per_symbol: 8,
        batch_size: 7,
        queue_size: 50,
        duplicates,
        ..TickStoreConfig::production("b")
    };
    TickStore::new(config).unwrap()
}

fn store_batch(store: &TickStore, batch: &[Made]) {
    let symbols: Vec<&str> = batch.iter().map(|made| SYMBOLS[made.symbol]).collect();
    let time: Vec<i64> = batch.iter().map(|made| made.time).collect();
    let bid: Vec<f64> = batch.iter().map(|made| made.bid).collect();
    let ask: Vec<f64> = batch.iter().map(|made| made.ask).collect();
    let spread: Vec<f64> = batch.iter().map(|made| made.spread).collect();
    let codes: Vec<u32> = batch.iter().map(|made| made.lp as u32).collect();
    let batch = TickBatch {
        symbol: Names::Each(&symbols),
        spread: Some(&spread),
        lp: Names::Coded(&codes, &SOURCES),
        ..TickBatch::new("", &time, &bid, &ask)
    };
    store.store_ticks(&batch).unwrap();
}

type Bits<'a> = Vec<(i64, u64, u64, u64, &'a str)>;

fn bits(ticks: &siltstone::ticks::Ticks) -> Bits<'_> {
    let bit =
        |t: siltstone::ticks::Tick<'_>| (t.bid.to_bits(), t.ask.to_bits(), t.spread.to_bits());
    let one = |i: usize| {
        let tick = ticks.get(i);
        let (bid, ask, spread) = bit(tick);
        let lp = SOURCES.iter().find(|lp| **lp == tick.lp).copied().unwrap();
        (tick.time_ns, bid, ask, spread, lp)
    };
    (0..ticks.len()).map(one).collect()
}

/// Everything that a store says of its ticks, against the list.
fn check(
    store: &TickStore,
    model: &Model,
    from: i64,
    to: i64,
    n: usize,
) -> Result<(), TestCaseError> {
    for (symbol, name) in SYMBOLS.iter().enumerate() {
        let sorted = model.sorted(symbol);
        let all = store.get_ticks_in_range(name, i64::MIN, i64::MAX).unwrap();
        let expected: Bits<'_> = sorted.iter().map(Made::bits).collect();
        prop_assert_eq!(bits(&all), expected.clone(), "{} whole", name);
        let within = store.get_ticks_in_range(name, from, to).unwrap();
        let expected_within: Bits<'_> =
            expected.iter().copied().filter(|t| (from..=to).contains(&t.0)).collect();
        prop_assert_eq!(bits(&within), expected_within, "{} in {}..={}", name, from, to);
        let recent = store.get_recent_ticks(name, n).unwrap();
        prop_assert_eq!(bits(&recent), expected[expected.len().saturating_sub(n)..].to_vec());
        let scanned = store.scan(Some(&[*name]), from, to).unwrap().collect_batches().unwrap();
        let rows: usize = scanned.iter().map(|batch| batch.num_rows()).sum();
        prop_assert_eq!(rows, within.len());
        check_bars(store, name, &sorted, from, to, n)?;
        check_asof(store, name, &sorted, from, to)?;
    }
    Ok(())
}

fn check_bars(
    store: &TickStore,
    name: &str,
    sorted: &[Made],
    from: i64,
    to: i64,
    n: usize,
) -> Result<(), TestCaseError> {
    let bars = |interval: i64, from: i64, to: i64| {
        let mut bars: Vec<(i64, [f64; 4], u64)> = Vec::new();
        for made in sorted.iter().filter(|made| (from..=to).contains(&made.time)) {
            let (begin, price) =
                (made.time.div_euclid(interval) * interval, (made.bid + made.ask) / 2.0);
            match bars.last_mut().filter(|bar| bar.0 == begin) {
                Some((_, [_, high, low, close], volume)) => {
                    (*high, *low, *close) = (high.max(price), low.min(price), price);
                    *volume += 1;
                }
                None => bars.push((begin, [price; 4], 1)),
            }
        }
        bars
    };
    let plain = |found: Vec<siltstone::ticks::Bar>| -> Vec<(i64, [f64; 4], u64)> {
        found.iter().map(|b| (b.time_ns, [b.open, b.high, b.low, b.close], b.volume)).collect()
    };
    let options =
        OhlcOptions { from_ns: from, to_ns: to, fill: Fill::None, ..OhlcOptions::default() };
    let found = store.ohlc(name, 3, options).unwrap();
    prop_assert_eq!(plain(found), bars(3, from, to));
    let expected = bars(Timeframe::H1.seconds() * 1_000_000_000, i64::MIN, i64::MAX);
    let found = store.get_ohlc(name, Timeframe::H1, n).unwrap();
    prop_assert_eq!(plain(found), expected[expected.len().saturating_sub(n)..].to_vec());
    Ok(())
}

fn check_asof(
    store: &TickStore,
    name: &str,
    sorted: &[Made],
    a: i64,
    b: i64,
) -> Result<(), TestCaseError> {
    let times = [a, b, a + 1, b - 1];
    for (direction, tolerance) in [
        (Direction::Backward, None),
        (Direction::Backward, Some(3)),
        (Direction::Before, None),
        (Direction::Forward, None),
        (Direction::Nearest, Some(DAY)),
        (Direction::Nearest, None),
    ] {
        let found = store.asof(name, &times, tolerance, direction).unwrap();
        for (time, offset) in times.iter().zip(&found.indices) {
            let back = sorted.iter().rposition(|made| made.time <= *time);
            let before = sorted.iter().rposition(|made| made.time < *time);
            let forward = sorted.iter().position(|made| made.time >= *time);
            let away = |i: usize| time.abs_diff(sorted[i].time);
            let expected = match direction {
                Direction::Before => before,
                Direction::Forward => forward,
                Direction::Nearest => match (back, forward) {
                    (Some(b), Some(f)) => Some(if away(f) < away(b) { f } else { b }),
                    (one, other) => one.or(other),
                },
                _ => back,
            };
            let expected =
                expected.filter(|i| tolerance.is_none_or(|most| away(*i) <= most as u64));
            let found = offset.map(|i| bits(&found.ticks)[i]);
            prop_assert_eq!(found, expected.map(|i| sorted[i].bits()), "{:?} {}", direction, time);
        }
    }
    Ok(())
}

fn run(base: &Path, duplicates: Duplicates, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = Model { duplicates, ticks: [Vec::new(), Vec::new()] };
    let mut store = open(base, duplicates);
    // With `Error` a flush tells that ticks were refused, which the model does not count.
    let flush = |store: &TickStore| match store.flush() {
        Err(error) if duplicates != Duplicates::Error => panic!("{error}"),
        _ => {}
    };
    for step in steps {
        match step {
            Step::Tick(made) => {
                let Made { symbol, time, bid, ask, spread, lp } = made;
                let symbol = SYMBOLS[symbol];
                let _ = store.store_tick(symbol, bid, ask, spread, SOURCES[lp], time).unwrap();
                model.add(made);
            }
            Step::Batch(_) | Step::Bulk(..) if duplicates == Duplicates::Error => {}
            Step::Batch(batch) => {
                store_batch(&store, &batch);
                batch.into_iter().for_each(|made| model.add(made));
            }
            // The list would look at each pair of so many.
            Step::Bulk(..) if duplicates != Duplicates::KeepAll => {}
            Step::Bulk(first, n) => {
                let tick = |i: usize| Made { time: first.time + (i as i64 * 7) % 40, ..first };
                let batch: Vec<Made> = (0..n).map(tick).collect();
                store_batch(&store, &batch);
                batch.into_iter().for_each(|made| model.add(made));
            }
            Step::Flush => flush(&store),
            Step::Compact => {
                flush(&store);
                store.compact_all().unwrap();
            }
            Step::Reopen => {
                flush(&store);
                drop(store);
                store = open(base, duplicates);
            }
            Step::Check(a, b, n) => check(&store, &model, a.min(b), a.max(b), n)?,
        }
    }
    check(&store, &model, i64::MIN + DAY, i64::MAX - DAY, 5)?;
    flush(&store);
    drop(store);
    if base.exists() {
        let report = doctor(base).unwrap();
        prop_assert!(report.is_ok(), "{:?}", report.findings);
        let there: usize = model.ticks.iter().map(Vec::len).sum();
        prop_assert_eq!(report.ticks, there as u64);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Goal: whatever arrives in whatever order, however it is written, compacted and opened again at any
    /// moment: reads give the sorted list, under each rule for duplicates.
    #[test]
    fn the_store_is_a_sorted_list(
        duplicates in prop::sample::select(vec![
            Duplicates::KeepAll, Duplicates::KeepAll, Duplicates::First, Duplicates::Last,
            Duplicates::ExactRow, Duplicates::Error,
        ]),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        run(&folder.path().join("db"), duplicates, steps)?;
    }
}
