//! Ticks for a picture, by the outlines of those that lie in one place.

use siltstone::ticks::{
    Drawn, OhlcOptions, Outlines, Price, QueueFull, Stretch, TickStore, TickStoreConfig,
};

const SECOND: i64 = 1_000_000_000;
const START: i64 = 20_000 * 86_400 * SECOND;

/// Two days of ticks in blocks, then late ones among them and new ones behind, which are rows.
fn store(folder: &std::path::Path) -> (TickStore, Vec<(i64, f64, f64)>) {
    let config = TickStoreConfig {
        sqlite_base_path: folder.join("ticks"),
        queue_full: QueueFull::Block,
        ..TickStoreConfig::production("test")
    };
    let store = TickStore::new(config).unwrap();
    let mut state = 7u64;
    let mut put = |time: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let (a, b) = ((state >> 33) % 1_000, (state >> 43) % 50);
        let bid = (108_000 + a) as f64 / 1e5;
        let ask = (108_001 + a + b) as f64 / 1e5;
        let _ = store.store_tick("A", bid, ask, ask - bid, "lp", time).unwrap();
        (time, bid, ask)
    };
    // Uneven, so that the times of a block are several pieces.
    let time = |i: i64| START + i * 4 * SECOND + i * i * 2_654_435_761 % 2_999 * 1_000_000;
    let mut all: Vec<_> = (0..40_000).map(|i| put(time(i))).collect();
    store.flush().unwrap();
    store.compact_finished().unwrap();
    // Late ones of the second day alone: the first day stays in blocks.
    all.extend((30_000..30_010).map(|i| put(time(i) + 7)));
    all.extend((40_000..41_000).map(|i| put(START + i * 4 * SECOND)));
    store.flush().unwrap();
    all.sort_by_key(|tick| tick.0);
    (store, all)
}

/// What is kept of the ticks of one place: their number, first, last, least and greatest bid and ask.
type Place = (i64, u64, [f64; 2], [f64; 4]);

fn add(places: &mut Vec<Place>, place: i64, ticks: u64, ends: [f64; 2], extremes: [f64; 4]) {
    match places.last_mut().filter(|known| known.0 == place) {
        None => places.push((place, ticks, ends, extremes)),
        Some((_, n, known, range)) => {
            *n += ticks;
            known[1] = ends[1];
            for i in [0, 2] {
                range[i] = range[i].min(extremes[i]);
                range[i + 1] = range[i + 1].max(extremes[i + 1]);
            }
        }
    }
}

/// Goal: whatever is one place, and whatever was seen before, outlines say what all ticks say; and they do stand for ticks.
#[test]
fn outlines_say_what_all_ticks_say() {
    let folder = tempfile::tempdir().unwrap();
    let (store, all) = store(folder.path());
    let known = Outlines::default();
    let mut outlined = 0;
    for (from, to, place_ns) in [
        (i64::MIN, i64::MAX, 10_000 * SECOND),
        (START + 17, START + 150_000 * SECOND, 50_000 * SECOND),
        (i64::MIN, i64::MAX, 86_400 * SECOND),
        (START + 100 * SECOND, START + 900 * SECOND, 10 * SECOND),
        (START + 12 * SECOND, START + 12 * SECOND, SECOND),
        (i64::MIN, i64::MAX, 30_000 * SECOND),
        (START + 1, START, SECOND),
    ] {
        let place = |time: i64| (time - START).div_euclid(place_ns);
        let mut expected = Vec::new();
        for (time, bid, ask) in all.iter().filter(|tick| (from..=to).contains(&tick.0)) {
            add(&mut expected, place(*time), 1, [*bid; 2], [*bid, *bid, *ask, *ask]);
        }
        for round in 0..2 {
            let mut found = Vec::new();
            let is_one = |first, last| place(first) == place(last);
            let mut take = |stretch: Stretch<'_>| {
                match stretch {
                    Stretch::Ticks(times, bids, asks) => {
                        for ((time, bid), ask) in times.iter().zip(bids).zip(asks) {
                            add(&mut found, place(*time), 1, [*bid; 2], [*bid, *bid, *ask, *ask]);
                        }
                    }
                    Stretch::Outline(of) => {
                        outlined += 1;
                        assert_eq!(place(of.ends[0].time_ns), place(of.ends[1].time_ns));
                        let [least, greatest] = of.bids.map(|quote| quote.bid);
                        let [low, high] = of.asks.map(|quote| quote.ask);
                        for quote in [of.ends, of.bids, of.asks].concat() {
                            let tick = (quote.time_ns, quote.bid, quote.ask);
                            assert!(all.contains(&tick), "{tick:?}");
                            assert!(quote.number < of.ticks);
                        }
                        let ends = of.ends.map(|quote| quote.bid);
                        let place = place(of.ends[0].time_ns);
                        add(&mut found, place, of.ticks.into(), ends, [least, greatest, low, high]);
                    }
                    _ => panic!("another stretch"),
                }
                Ok(())
            };
            let drawn = Drawn { from_ns: from, to_ns: to, is_one: &is_one, known: &known };
            store.outline("A", drawn, &mut take).unwrap();
            assert_eq!(found, expected, "{from} {to} {place_ns}, round {round}");
        }
    }
    assert!(outlined >= 12, "{outlined} outlines");
}

/// Goal: bars by outlines are those of all ticks.
#[test]
fn bars_by_outlines_are_those_of_all_ticks() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = store(folder.path());
    let known = Outlines::default();
    for price in [Price::Mid, Price::Bid, Price::Ask] {
        for (interval, origin_ns) in [(3_600, 0), (86_400, 0), (60_000, 17), (7, 0)] {
            for from_ns in [i64::MIN, START + 40_000 * SECOND] {
                let options = OhlcOptions { price, origin_ns, from_ns, ..OhlcOptions::default() };
                let plain = store.ohlc("A", interval * SECOND, options).unwrap();
                let found = store.ohlc_outlined("A", interval * SECOND, options, &known).unwrap();
                assert_eq!(found, plain, "{price:?} {interval}");
                assert!(!found.is_empty());
            }
        }
    }
}

/// Goal: a gap of which some lies in a range is found, where its ends lie beyond too.
#[test]
fn gaps_reach_beyond_a_range() {
    let folder = tempfile::tempdir().unwrap();
    let config = TickStoreConfig {
        sqlite_base_path: folder.path().join("ticks"),
        ..TickStoreConfig::production("test")
    };
    let store = TickStore::new(config).unwrap();
    for second in [0, 10, 110, 120] {
        let _ = store.store_tick("A", 1.0, 1.1, 0.1, "lp", START + second * SECOND).unwrap();
    }
    store.flush().unwrap();
    let gaps = |from: i64, to: i64| {
        let (from, to) = (START + from * SECOND, START + to * SECOND);
        let found = store.gaps("A", 50 * SECOND, from, to).unwrap();
        found.iter().map(|gap| (gap.from_ns, gap.to_ns)).collect::<Vec<_>>()
    };
    let all = [(START + 10 * SECOND, START + 110 * SECOND)];
    for (from, to) in [(0, 120), (0, 20), (20, 30), (60, 115), (11, 109), (20, 110)] {
        assert_eq!(gaps(from, to), all, "{from} {to}");
    }
    for (from, to) in [(0, 10), (110, 120), (111, 500), (-9, 5), (30, 20)] {
        assert_eq!(gaps(from, to), [], "{from} {to}");
    }
}
