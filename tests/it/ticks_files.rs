//! Files of quotes that other programs wrote.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use siltstone::Error;
use siltstone::table::{Batches, WriteOptions};
use siltstone::ticks::{
    EpochUnit, ImportOptions, ImportReport, QuoteColumns, QuoteFormat, QuoteOptions,
    RetentionPolicy, TickStore, TickStoreConfig, Ticks, import,
};

/// A folder with files, and one of ticks.
pub(crate) struct World(tempfile::TempDir);

impl World {
    pub(crate) fn new() -> Self {
        World(tempfile::tempdir().unwrap())
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn ticks(&self) -> PathBuf {
        self.0.path().join("ticks")
    }

    pub(crate) fn try_import(
        &self,
        files: &[PathBuf],
        quotes: QuoteOptions,
    ) -> siltstone::Result<ImportReport> {
        let options =
            ImportOptions { files: files.to_vec(), quotes, ..ImportOptions::new("", self.ticks()) };
        import(&options, &mut |_, _| Ok(()))
    }

    pub(crate) fn import(&self, file: &Path, quotes: QuoteOptions) -> ImportReport {
        self.try_import(&[file.to_owned()], quotes).unwrap()
    }

    /// Why a file was skipped. Nothing of it is there.
    pub(crate) fn refusal(
        &self,
        name: &str,
        content: impl AsRef<[u8]>,
        quotes: QuoteOptions,
    ) -> String {
        let report = self.import(&self.file(name, content), quotes);
        assert_eq!((report.files_done, report.ticks_migrated, report.skipped.len()), (0, 0, 1));
        report.skipped[0].to_string()
    }

    pub(crate) fn read(&self, symbol: &str) -> Ticks {
        let config =
            TickStoreConfig { sqlite_base_path: self.ticks(), ..TickStoreConfig::production("b") };
        let store = TickStore::new(config).unwrap();
        store.get_ticks_in_range(symbol, i64::MIN, i64::MAX).unwrap()
    }
}

pub(crate) fn symbol(symbol: &str) -> QuoteOptions {
    QuoteOptions { symbol: Some(symbol.into()), ..QuoteOptions::default() }
}

pub(crate) fn of(columns: &str) -> QuoteOptions {
    QuoteOptions { columns: Some(columns.parse().unwrap()), ..symbol("X") }
}

pub(crate) fn ns(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().unwrap().as_nanosecond() as i64
}

const HISTDATA: &str = "20120201 000003660,1.306600,1.306770,0\n20120201 000003973,1.306580,1.306750,0\n\
    20120201 000005003,1.306590,1.306760,0\n";

/// Goal: each format is recognised, its times are in UTC, its sides are where they belong, and that is said.
#[test]
fn files_of_known_formats_are_recognised() {
    let world = World::new();
    for (name, content, symbol, first, sides, said) in [
        (
            "DAT_ASCII_EURUSD_T_201202.csv",
            HISTDATA,
            "EURUSD",
            "2012-02-01T05:00:03.660Z",
            (1.3066, 1.30677),
            "histdata: no header, bid before ask, times of UTC-05:00 all year, symbol EURUSD",
        ),
        (
            "gold.csv",
            "Gmt time,Ask,Bid,AskVolume,BidVolume\r\n01.03.2013 00:00:00.605 GMT-0000,1581.15,1580.787,400,700\r\n",
            "XAU",
            "2013-03-01T00:00:00.605Z",
            (1580.787, 1581.15),
            "dukascopy: columns Bid and Ask, times of UTC, symbol XAU",
        ),
        (
            "local.csv",
            "\u{feff}Local time,Ask,Bid,AskVolume,BidVolume\n01.03.2013 00:00:00.605 GMT+0100,1581.15,1580.787,400,700\n",
            "LOCAL",
            "2013-02-28T23:00:00.605Z",
            (1580.787, 1581.15),
            "dukascopy: columns Bid and Ask, times with their offset from UTC, symbol LOCAL",
        ),
        (
            "BTCUSDT-bookTicker-2023-05-16.csv",
            "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time\n\
             1,27000.1,5,27000.2,3,1684195200001,1684195200005\n",
            "BTCUSDT",
            "2023-05-16T00:00:00.001Z",
            (27000.1, 27000.2),
            "binance: quotes, times in ms since 1970 UTC, symbol BTCUSDT",
        ),
    ] {
        let own = ["gold.csv", "local.csv"].contains(&name).then(|| symbol.to_owned());
        let options = QuoteOptions { symbol: own, ..QuoteOptions::default() };
        let path = world.file(name, content);
        let report = world.import(&path, options);
        assert!(report.is_complete(), "{name}: {:?}", report.skipped);
        assert_eq!(report.taken_for, [(path, said.to_owned())]);
        let ticks = world.read(symbol);
        assert_eq!((ticks.time_ns[0], (ticks.bid[0], ticks.ask[0])), (ns(first), sides), "{name}");
    }
    // Without a header trades are like nothing else: the format must be said. Their price is both sides.
    let trades = "4,42283.58,0.2,8456.7,1704067200000123,True,True\n5,42283.59,0.1,4228.3,1704067200500123,False,True\n";
    let path = world.file("ETHUSDT-trades-2025-01-01.csv", trades);
    let report = world.import(
        &path,
        QuoteOptions { format: Some(QuoteFormat::Binance), ..QuoteOptions::default() },
    );
    assert!(report.is_complete(), "{:?}", report.skipped);
    assert!(
        report.taken_for[0].1.starts_with("binance: trades, the price as both sides, times in us")
    );
    let ticks = world.read("ETHUSDT");
    assert_eq!(
        ticks.time_ns,
        [ns("2024-01-01T00:00:00.000123Z"), ns("2024-01-01T00:00:00.500123Z")]
    );
    assert_eq!((ticks.bid[1], ticks.ask[1]), (42283.59, 42283.59));
}

const MT5: &str = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n\
    2024.03.01\t00:00:00.060\t1.08210\t1.08222\t\t\t6\n2024.03.01\t00:00:00.403\t1.08211\t\t\t\t2\n\
    2024.03.01\t00:00:00.500\t\t1.08230\t\t\t4\n";

/// Goal: a side that did not change is carried only if told; else the line is named, and imported by a second import that is told.
#[test]
fn an_empty_side_is_carried_only_if_told() {
    let world = World::new();
    let refused = world.refusal("a.csv", MT5, symbol("X"));
    assert!(refused.contains("the zone of the times (--tz"), "{refused}");
    let path = world.file("b.csv", MT5);
    let told = QuoteOptions { time_zone: Some("Europe/Helsinki".into()), ..symbol("X") };
    let report = world.import(&path, told.clone());
    assert_eq!((report.ticks_migrated, report.ticks_bad), (1, 2));
    let why = report.skipped[0].to_string();
    assert!(
        why.contains("line 3: ask: expected a number, got nothing (--carry takes the last one)"),
        "{why}"
    );
    let report = world.import(&path, QuoteOptions { carry: true, ..told });
    assert_eq!((report.ticks_migrated, report.ticks_skipped, report.ticks_bad), (2, 1, 0));
    let ticks = world.read("X");
    assert_eq!(ticks.time_ns[0], ns("2024-02-29T22:00:00.060Z"));
    assert_eq!(
        (ticks.bid, ticks.ask),
        (vec![1.0821, 1.08211, 1.08211], vec![1.08222, 1.08222, 1.0823])
    );
}

/// Goal: sides are carried for each symbol, from lines that are no ticks too, and by nothing from a line without sides.
#[test]
fn each_side_of_each_symbol_is_carried() {
    let world = World::new();
    let text = "t,s,b,a\n\
        2024-03-01T10:00:00Z,A,100,\n2024-03-01T10:00:01Z,A,,51\n2024-03-01T10:00:02Z,B,7,8\n\
        no time,A,99,\n2024-03-01T10:00:04Z,A,,52\n2024-03-01T10:00:05Z,A,,\n2024-03-01T10:00:06Z,B,,9\n";
    let mut options = of("time=t,bid=b,ask=a,symbol=s");
    (options.symbol, options.carry) = (None, true);
    let report = world.import(&world.file("a.csv", text), options);
    assert_eq!((report.ticks_migrated, report.ticks_bad), (4, 3), "{:?}", report.skipped);
    let (a, b) = (world.read("A"), world.read("B"));
    assert_eq!((a.bid, a.ask), (vec![100.0, 99.0], vec![51.0, 52.0]));
    assert_eq!((b.bid, b.ask), (vec![7.0, 7.0], vec![8.0, 9.0]));
}

/// Goal: quotes keep separators, empty fields at the end of a line are fields, and a column or unit that can be two things is
/// refused.
#[test]
fn lines_are_split_as_they_are_written() {
    let world = World::new();
    let quoted = "t,n,b,a\n2024-03-01T10:00:00Z,\"hello, world\",\"1.5\",2\n";
    assert!(world.import(&world.file("q.csv", quoted), of("time=t,bid=b,ask=a")).is_complete());
    let empty = MT5
        .replace("\t<FLAGS>", "")
        .replace("\t6\n", "\n")
        .replace("\t2\n", "\n")
        .replace("\t4\n", "\n");
    let told = QuoteOptions { time_zone: Some("UTC".into()), carry: true, ..symbol("M") };
    assert_eq!(world.import(&world.file("m.csv", empty), told).ticks_migrated, 3);
    let twice = "ts,b,a,a\n1709251200123,1,2,3\n";
    let refused = world.refusal("t.csv", twice, of("time=ts,bid=b,ask=a"));
    assert!(refused.contains(r#"expected one of that name, got "a" twice"#), "{refused}");
    let mut seconds = of("time=ts,bid=b,ask=c");
    seconds.time_unit = Some(EpochUnit::S);
    let refused = world.refusal("u.csv", twice.replace("a,a", "c,a"), seconds);
    assert!(refused.contains("--time-unit ms is"), "{refused}");
    let refused = world.refusal("s.csv", twice, of("time=ts,bid=b,ask=b,symbol=a"));
    assert!(refused.contains("twice") || refused.contains("got both"), "{refused}");
}

/// Goal: columns are named by the caller, in text and in Parquet, with whatever times; what can be read in two ways is refused
/// with the option that decides it.
#[test]
fn columns_are_named_by_the_caller() {
    let world = World::new();
    let counts =
        "ts;b;a;who;what\n1709251200123;1,5;1.6;LP1;EURUSD\n1709251200124;1.5;1.6;LP2;USDJPY\n";
    let refused = world.refusal("a.csv", counts, of("time=ts,bid=b,ask=a"));
    assert!(refused.contains("--time-unit"), "{refused}");
    let refused = world.refusal("a.csv", counts, of("time=ts,bid=b,ask=ask"));
    assert!(refused.contains(r#"one of ts, b, a, who, what, got "ask""#), "{refused}");
    let refused = world.refusal("a.csv", counts, of("time=ts,bid=2,ask=a"));
    assert!(refused.contains("all by name, or all by number"), "{refused}");
    let refused = world.refusal("a.csv", counts, QuoteOptions::default());
    assert!(
        refused.contains("a file of histdata, dukascopy, mt5, binance: say which (--format)"),
        "{refused}"
    );
    let columns = "time=ts,bid=b,ask=a,symbol=what,lp=who".parse::<QuoteColumns>().unwrap();
    let options = QuoteOptions {
        columns: Some(columns),
        time_unit: Some(EpochUnit::Ms),
        ..QuoteOptions::default()
    };
    let report = world.import(&world.file("b.csv", counts), options);
    assert_eq!((report.ticks_migrated, report.ticks_bad), (1, 1));
    assert!(report.skipped[0].to_string().contains(r#"line 2: bid: expected a number, got "1,5""#));
    let ticks = world.read("USDJPY");
    assert_eq!((ticks.time_ns[0], ticks.get(0).lp), (1_709_251_200_124_000_000, "LP2"));

    let numbered = "02/03/2024 10:00:00.5|1.5|1.6\n";
    let mut options = of("time=1,bid=2,ask=3");
    options.time_format = Some("%d/%m/%Y %H:%M:%S%.f".into());
    let refused = world.refusal("c.csv", numbered, options.clone());
    assert!(refused.contains("--tz"), "{refused}");
    options.time_zone = Some("-05:00".into());
    assert!(world.import(&world.file("c.csv", numbered), options).is_complete());
    assert_eq!(world.read("X").time_ns, [ns("2024-03-02T15:00:00.5Z")]);

    let write = |name: &str, time: ArrayRef| {
        let numbers = |x: f64| Arc::new(Float64Array::from(vec![Some(x), None])) as ArrayRef;
        let names = Arc::new(StringArray::from(vec!["P", "P"])) as ArrayRef;
        let columns = [("at", time), ("b", numbers(1.5)), ("a", numbers(1.75)), ("symbol", names)];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let path = world.0.path().join(name);
        let batches = Batches::from_batches(batch.schema(), vec![batch]);
        siltstone::table::write(&path, batches, &WriteOptions::default(), &mut |_, _| Ok(()))
            .unwrap();
        path
    };
    let naive = Arc::new(TimestampMillisecondArray::from(vec![1_709_251_200_123, 0])) as ArrayRef;
    let path = write("naive.parquet", naive);
    let columns = |zone: Option<&str>, unit| QuoteOptions {
        columns: Some("time=at,bid=b,ask=a,symbol=symbol".parse().unwrap()),
        time_zone: zone.map(str::to_owned),
        time_unit: unit,
        ..QuoteOptions::default()
    };
    let report = world.import(&path, columns(None, None));
    assert!(report.skipped[0].to_string().contains("--tz"), "{:?}", report.skipped);
    let report = world.import(&path, columns(Some("UTC"), None));
    assert_eq!((report.ticks_migrated, report.ticks_bad), (1, 1));
    let counts = write("counts.parquet", Arc::new(Int64Array::from(vec![1_709_251_200, 0])));
    let report = world.import(&counts, columns(None, None));
    assert!(report.skipped[0].to_string().contains("--time-unit"), "{:?}", report.skipped);
    assert_eq!(world.import(&counts, columns(None, Some(EpochUnit::S))).ticks_migrated, 1);
    assert_eq!(world.read("P").time_ns, [1_709_251_200_000_000_000, 1_709_251_200_123_000_000]);
}

/// Goal: an import that is repeated stores nothing twice, one of a file that has grown only what is new, and equal ticks of
/// one file are all kept; packed files are as plain ones.
#[test]
fn an_import_can_be_repeated_and_a_file_may_grow() {
    let world = World::new();
    let twice = HISTDATA.to_owned() + "20120201 000005003,1.306590,1.306760,0\n";
    let path = world.file("a.csv", &twice);
    assert_eq!(world.import(&path, symbol("X")).ticks_migrated, 4);
    assert_eq!(world.import(&path, symbol("X")).ticks_migrated, 0);
    let grown = twice + "20120202 000000000,1.3,1.4,0\n20120202 00000";
    let path = world.file("a.csv", grown);
    let report = world.import(&path, symbol("X"));
    assert_eq!((report.ticks_migrated, report.ticks_skipped, report.ticks_bad), (1, 4, 1));
    assert!(
        report.skipped[0].to_string().contains("line 6: it has no newline"),
        "{:?}",
        report.skipped
    );
    assert_eq!(world.read("X").len(), 5);
    let path = world.file("a.csv", "20120202 000000000,1.3,1.4,0\n20120202 000000001,1.3,1.4,0");
    let options = QuoteOptions { finished: true, ..symbol("Y") };
    assert_eq!(world.import(&path, options).ticks_migrated, 2);
    // A number that is cut is none.
    let cut = HISTDATA.trim_end_matches("6760,0\n");
    assert_eq!(world.import(&world.file("cut.csv", cut), symbol("CUT")).ticks_migrated, 2);
    assert_eq!(world.import(&world.file("cut.csv", HISTDATA), symbol("CUT")).ticks_migrated, 1);
    assert_eq!(world.read("CUT").ask, [1.30677, 1.30675, 1.30676]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(HISTDATA.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(world.import(&world.file("a.csv.gz", &gzip), symbol("GZ")).ticks_migrated, 3);
    let zstd = zstd::encode_all(HISTDATA.as_bytes(), 1).unwrap();
    assert_eq!(world.import(&world.file("a.csv.zst", zstd), symbol("ZST")).ticks_migrated, 3);
    // A torn one is refused.
    let report = world.import(&world.file("torn.csv.gz", &gzip[..gzip.len() - 9]), symbol("TORN"));
    assert!(report.skipped[0].to_string().contains("packed text"), "{:?}", report.skipped);
    let refused = world.refusal("a.zip", b"PK\x03\x04more", symbol("X"));
    assert!(refused.contains("a zip archive: unpack it first"), "{refused}");
}

/// Goal: many days, in order and not, in more than fits into one piece: every tick is there, once.
#[test]
fn a_long_file_is_read_in_pieces() {
    let world = World::new();
    let mut text = String::from("t,b,a\n");
    let n = 1_300_000i64;
    for i in 0..n {
        // Three days, and then the first one again.
        let t = 1_704_067_200_000 + i * 250 % (3 * 86_400_000);
        text += &format!("{t},{},{}\n", i % 1000, i % 1000 + 1);
    }
    let options = QuoteOptions { time_unit: Some(EpochUnit::Ms), ..of("time=t,bid=b,ask=a") };
    let path = world.file("long.csv", text);
    let report = world.import(&path, options.clone());
    assert!(report.is_complete(), "{:?}", report.skipped);
    assert_eq!((report.ticks_migrated, report.days.len()), (n as u64, 3));
    assert_eq!(world.import(&path, options).ticks_migrated, 0);
    assert_eq!(world.read("X").len() as i64, n);
}

/// Goal: hostile and foreign files are refused in words, without memory for what they claim.
#[test]
fn hostile_files_are_refused() {
    let world = World::new();
    for (content, said) in [
        (Vec::new(), "an empty one"),
        (b"\xff\xfe\x00\x01\n\xff\n".to_vec(), "text in UTF-8"),
        (vec![b'1'; 1 << 20], "of more than 65536 bytes"),
        (b"<html><body>403</body></html>\n".to_vec(), "say which (--format)"),
        (
            b"2011.12.08,18:49,77.708,77.710,77.702,77.702,30\n".to_vec(),
            "bars, as MetaTrader 4 exports them",
        ),
    ] {
        let refused = world.refusal("x.csv", content, symbol("X"));
        assert!(refused.contains(said), "{refused}");
    }
    // A file that is mostly something else ends the import of it early.
    let mixed = format!("{HISTDATA}{}", "no tick\n".repeat(500));
    let report = world.import(&world.file("mixed.csv", mixed), symbol("X"));
    let why = report.skipped[0].to_string();
    assert!(why.contains("line 4: 4 fields expected, got 1"), "{why}");
    let path = world.file("h.csv", HISTDATA);
    for bad in ["../x", "", "a\0b"] {
        let error = world.try_import(std::slice::from_ref(&path), symbol(bad)).unwrap_err();
        assert!(error.to_string().contains("symbol: expected 1 to 64 letters"), "{error}");
    }
    let mars = QuoteOptions { time_zone: Some("Mars".into()), ..symbol("X") };
    for (files, options, said) in
        [(vec![path], mars, "time zone"), (vec!["none.csv".into()], symbol("X"), "none.csv")]
    {
        let error = world.try_import(&files, options).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    let not_finite = "20120201 000003660,nan,1.306770,0\n20120201 000003973,1.3,inf,0\n20120201 000004000,1.3,1.4,0\n";
    let report = world.import(&world.file("nan.csv", not_finite), symbol("NAN"));
    assert_eq!((report.ticks_migrated, report.ticks_bad), (1, 2));
    for (text, said) in [("mt4", "exports bars"), ("x", "one of histdata, dukascopy, mt5, binance")]
    {
        let error = text.parse::<QuoteFormat>().unwrap_err();
        assert!(
            matches!(error, Error::Invalid { .. }) && error.to_string().contains(said),
            "{error}"
        );
    }
    for text in [
        "",
        "time=a",
        "time=a,bid=b",
        "time=,bid=b,ask=c",
        "time=a,bid=b,ask=c,volume=d",
        "date=a,bid=b,ask=c",
    ] {
        assert!(text.parse::<QuoteColumns>().is_err(), "{text}");
    }
}

/// Goal: a dry run names each line that is no tick, so that a file can be mended; an import names the first.
#[test]
fn a_dry_run_names_all_bad_lines() {
    let world = World::new();
    let bad: String = (0..9).map(|_| "20120201 000005003,x,1.3,0\n").collect();
    let path = world.file("a.csv", HISTDATA.to_owned() + &bad);
    let quotes = symbol("EURUSD");
    let reason = |dry_run| {
        let files = vec![path.clone()];
        let quotes = quotes.clone();
        let options =
            ImportOptions { files, quotes, dry_run, ..ImportOptions::new("", world.ticks()) };
        import(&options, &mut |_, _| Ok(())).unwrap().skipped[0].reason.clone()
    };
    assert!(
        (4..13).all(|line| reason(true).contains(&format!("line {line}:"))),
        "{}",
        reason(true)
    );
    assert!(
        reason(false).contains("line 6:") && reason(false).ends_with("; ..."),
        "{}",
        reason(false)
    );
}

/// Goal: what a wrong import brought can be taken back to the tick, from rows and from blocks, and the right one follows.
#[test]
fn ticks_of_a_wrong_import_are_taken_back() {
    let text = |day: u8| HISTDATA.replace("20120201", &format!("201202{day:02}"));
    for compact in [None, Some(0)] {
        let world = World::new();
        let load = |name: &str, content: String, as_symbol: &str| {
            let files = vec![world.file(name, content)];
            let quotes = symbol(as_symbol);
            let options = ImportOptions {
                files,
                quotes,
                compact_after_days: compact,
                ..ImportOptions::new("", world.ticks())
            };
            import(&options, &mut |_, _| Ok(())).unwrap().ticks_migrated
        };
        load("a.csv", text(1), "EURUSD");
        load("b.csv", text(1), "GBPUSD");
        load("c.csv", text(2), "EURUSD");
        let (eur, gbp) = (world.read("EURUSD"), world.read("GBPUSD"));
        let config = TickStoreConfig {
            sqlite_base_path: world.ticks(),
            compact_every: None,
            ..TickStoreConfig::production("b")
        };
        let store = TickStore::new(config).unwrap();
        let second = ns("2012-02-01T05:00:03.973Z");
        let removed = |dry_run| store.remove_ticks("EURUSD", second, second, dry_run).unwrap();
        assert_eq!((removed(true)[0].removed, removed(true)[0].ticks), (1, 6));
        assert_eq!(world.read("EURUSD").time_ns, eur.time_ns, "a dry run does nothing");
        let days = removed(false);
        assert_eq!((days.len(), &*days[0].day, days[0].action_name()), (1, "2012-02-01", "remove"));
        assert_eq!(days[0].imported_files, 2, "the log does not know symbols");
        let mut left = eur.time_ns.clone();
        left.retain(|time| *time != second);
        let after = world.read("EURUSD");
        assert_eq!((after.time_ns, &after.bid[0]), (left, &eur.bid[0]));
        assert_eq!(world.read("GBPUSD").bid, gbp.bid);
        assert!(removed(false).is_empty());
        // All of the rest, of both days; what is wrong is refused.
        assert_eq!(store.remove_ticks("EURUSD", i64::MIN, i64::MAX, false).unwrap().len(), 2);
        assert!(world.read("EURUSD").is_empty());
        let unknown = store.remove_ticks("EURSUD", i64::MIN, i64::MAX, true);
        assert!(matches!(unknown, Err(Error::NotFound { .. })), "{unknown:?}");
        store.stop().unwrap();
        // The same file brings them again, and no other one twice.
        assert_eq!((load("a.csv", text(1), "EURUSD"), load("b.csv", text(1), "GBPUSD")), (3, 0));
        assert_eq!(world.read("GBPUSD").len(), 3);
        let report = siltstone::ticks::doctor(world.ticks()).unwrap();
        assert!(report.is_ok(), "{report:?}");
    }
}

/// Goal: a file whose ticks of one symbol were taken back brings these again, once, and not what was thinned out of another
/// symbol, or taken back of it before the file was imported again; rows and blocks.
#[test]
fn an_import_after_a_removal_leaves_other_symbols_alone() {
    let text = "time,symbol,bid,ask\n".to_owned()
        + &(0..12)
            .map(|n| format!("{},{},{n}.5,{n}.75\n", 1_328_054_400 + n, ["A", "B", "C"][n % 3]))
            .collect::<String>();
    for compact in [None, Some(0)] {
        let world = World::new();
        let files = vec![world.file("a.csv", &text)];
        let columns = "time=time,bid=bid,ask=ask,symbol=symbol".parse::<QuoteColumns>().unwrap();
        let quotes = QuoteOptions {
            columns: Some(columns),
            time_unit: Some(EpochUnit::S),
            ..QuoteOptions::default()
        };
        let load = || {
            let (files, quotes) = (files.clone(), quotes.clone());
            let options = ImportOptions {
                files,
                quotes,
                compact_after_days: compact,
                ..ImportOptions::new("", world.ticks())
            };
            let report = import(&options, &mut |_, _| Ok(())).unwrap();
            assert!(report.is_complete(), "{:?}", report.skipped);
            report.ticks_migrated
        };
        let lengths = || ["A", "B", "C"].map(|symbol| world.read(symbol).len());
        assert_eq!((load(), load(), lengths()), (12, 0, [4, 4, 4]));
        let store = TickStore::new(TickStoreConfig {
            sqlite_base_path: world.ticks(),
            compact_every: None,
            ..TickStoreConfig::production("b")
        })
        .unwrap();
        let policy = RetentionPolicy {
            thin_after_days: Some(1),
            keep_one_of: 2,
            ..RetentionPolicy::default()
        };
        store.retain(&policy).unwrap();
        assert_eq!((load(), lengths()), (0, [2, 2, 2]));
        let remove =
            |symbol| store.remove_ticks(symbol, i64::MIN, i64::MAX, false).unwrap()[0].removed;
        assert_eq!((remove("A"), lengths()), (2, [0, 2, 2]));
        assert_eq!((load(), load(), lengths()), (4, 0, [4, 2, 2]));
        assert_eq!((remove("B"), load(), load(), lengths()), (2, 4, 0, [4, 4, 2]));
        assert_eq!((remove("A"), remove("B"), load(), lengths()), (4, 4, 8, [4, 4, 2]));
        store.stop().unwrap();
        let report = siltstone::ticks::doctor(world.ticks()).unwrap();
        assert!(report.is_ok(), "{report:?}");
    }
}

/// Goal: of a day under way, whose ticks come in batches, what was taken back of a symbol comes again once too.
#[test]
fn a_day_under_way_is_imported_again_once() {
    let world = World::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let begin = now.as_secs() / 86_400 * 86_400;
    let rows =
        (0..6).map(|n| format!("{},{},{n}.5,{n}.75\n", begin + n, ["A", "B"][n as usize / 3]));
    let text = "time,symbol,bid,ask\n".to_owned() + &rows.collect::<String>();
    let files = vec![world.file("a.csv", &text)];
    let columns = "time=time,bid=bid,ask=ask,symbol=symbol".parse::<QuoteColumns>().unwrap();
    let quotes = QuoteOptions {
        columns: Some(columns),
        time_unit: Some(EpochUnit::S),
        ..QuoteOptions::default()
    };
    let load = || {
        let (files, quotes) = (files.clone(), quotes.clone());
        let options = ImportOptions { files, quotes, ..ImportOptions::new("", world.ticks()) };
        import(&options, &mut |_, _| Ok(())).unwrap().ticks_migrated
    };
    let remove = || {
        let store = TickStore::new(TickStoreConfig {
            sqlite_base_path: world.ticks(),
            compact_every: None,
            ..TickStoreConfig::production("b")
        })
        .unwrap();
        let removed = store.remove_ticks("A", i64::MIN, i64::MAX, false).unwrap()[0].removed;
        store.stop().unwrap();
        removed
    };
    let imports = || {
        let mut day = world.ticks();
        while day.is_dir() {
            let entries = std::fs::read_dir(&day).unwrap().map(|entry| entry.unwrap().path());
            day = entries
                .filter(|path| path.is_dir() || path.extension() == Some("db".as_ref()))
                .max()
                .unwrap();
        }
        let day = siltstone::Database::builder(day).open_read_only().unwrap();
        day.sql("SELECT id FROM migration_log").unwrap().rows
    };
    assert_eq!((load(), load()), (6, 0));
    let before = imports();
    assert_eq!((remove(), load()), (3, 3));
    let after = imports();
    assert!(after != before, "the next import takes it for one before the removal");
    assert_eq!((load(), imports()), (0, after));
}
