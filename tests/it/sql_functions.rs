//! The SQL functions of stores, in our own connections.

use std::path::Path;

use siltstone::memory::{MemoryStore, NewConcept};
use siltstone::simulation::{Attribute, Group, SimulationDatabase};
use siltstone::ticks::{OhlcOptions, Price, TickStore, TickStoreConfig};
use siltstone::{Array, Database, Value};

use crate::store::group;

fn rows(db: &Database, sql: &str) -> Vec<Vec<Value>> {
    db.sql(sql).unwrap_or_else(|error| panic!("{sql}: {error}")).rows
}

fn refusal(db: &Database, sql: &str) -> String {
    db.sql(sql).expect_err(sql).to_string()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// A run of two attributes, lists, texts and values that are not given.
pub(crate) fn write_run(path: &Path) -> SimulationDatabase {
    let db = SimulationDatabase::open(path).unwrap();
    let lists =
        Attribute::ragged(Array::from_slice(&[7i32, 8, 9]), Array::from_slice(&[0i64, 2, 3]));
    let points = Array::from_slice(&[0.0, 1.0, 2.0, 3.0]).reshape(vec![2, 2]).unwrap();
    let first = Group {
        name: "roads".into(),
        attributes: vec![
            ("id".into(), Attribute::new(Array::from_slice(&[1i64, 2]))),
            ("speed".into(), Attribute::new(Array::from_slice(&[50.0, 60.5]))),
            ("name".into(), Attribute::new(Array::from_strs(&["a'b", "c"]))),
            ("lanes".into(), lists),
            ("at".into(), Attribute::new(points)),
        ],
    };
    db.store_update(0, 0, "net", vec![first], None).unwrap();
    for t in 1..80 {
        let speeds = [t as f64 / 4.0, f64::from(t as i32) + 0.25];
        let columns =
            [("id", Array::from_slice(&[2i64, 3])), ("speed", Array::from_slice(&speeds))];
        db.store_update(t, 0, "net", vec![group("roads", &columns)], None).unwrap();
    }
    db
}

/// Adds arrays that are large enough to be worth a block, and compacts them: SQL reads each as before.
fn compact(run: &SimulationDatabase) {
    for t in 0..20 {
        let column =
            |of: i32| -> Vec<f64> { (0..50).map(|i| f64::from(of + t * 50 + i) / 4.0).collect() };
        let ids = Array::from_slice(&(0..50).collect::<Vec<i64>>());
        let [flow, head] = [column(0), column(70_000)].map(|values| Array::from_slice(&values));
        let pipes = group("pipes", &[("id", ids), ("flow", flow), ("head", head)]);
        run.store_update(2_000 + i64::from(t), 0, "wide", vec![pipes], None).unwrap();
    }
    let sql = "SELECT id, silt_array(dtype, shape, codec, data) FROM numpy_array ORDER BY id";
    let before = rows(run.database(), sql);
    assert!(run.compact(&mut |_, _| Ok(())).unwrap().blocks > 1);
    assert_eq!(rows(run.database(), sql), before);
}

/// Goal: the state is that of `state_at`, a row for each value that there is, rows or blocks, keyframe or not.
#[test]
fn silt_state_is_the_state_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(&folder.path().join("run.db"));
    let first = rows(run.database(), "SELECT * FROM silt_state('net', 'roads', 0)");
    let wanted = [
        [Value::Integer(1), text("speed"), Value::Real(50.0)],
        [Value::Integer(2), text("speed"), Value::Real(60.5)],
        [Value::Integer(1), text("name"), text("a'b")],
        [Value::Integer(2), text("name"), text("c")],
        [Value::Integer(1), text("lanes"), text("[7,8]")],
        [Value::Integer(2), text("lanes"), text("[9]")],
        [Value::Integer(1), text("at"), text("[0.0,1.0]")],
        [Value::Integer(2), text("at"), text("[2.0,3.0]")],
    ];
    assert_eq!(first, wanted);
    let same_speeds = || {
        for t in [-1, 0, 1, 40, 79, 1000] {
            let sql = format!(
                "SELECT id, value FROM silt_state('net', 'roads', {t}) WHERE attribute = 'speed'"
            );
            let state = run.state_at("net", "roads", t).unwrap();
            let speeds = state.values::<f64>("speed").unwrap();
            let column = state.column("speed").unwrap();
            let wanted: Vec<_> = (0..state.ids.len())
                .filter(|i| column.is_defined(*i))
                .map(|i| vec![Value::Integer(state.ids[i]), Value::Real(speeds[i])])
                .collect();
            assert_eq!(rows(run.database(), &sql), wanted, "at {t}");
        }
    };
    same_speeds();
    run.build_keyframes().unwrap();
    same_speeds();
    compact(&run);
    same_speeds();
    // Without a time it is the last state; a time may come from another table.
    let last = "SELECT count(*) FROM silt_state('net', 'roads') EXCEPT \
        SELECT count(*) FROM silt_state('net', 'roads', 79)";
    assert!(rows(run.database(), last).is_empty());
    let joined = "SELECT u.timestamp, s.value FROM \"update\" u \
        JOIN silt_state('net', 'roads', u.timestamp) s WHERE s.id = 3 AND u.timestamp IN (0, 4, 7) ORDER BY 1";
    let wanted = [(4, 4.25), (7, 7.25)].map(|(t, x)| [Value::Integer(t), Value::Real(x)]);
    assert_eq!(rows(run.database(), joined), wanted);
}

/// Goal: what is wrong with an argument is said, with its name; NULL gives no rows.
#[test]
fn arguments_of_table_functions_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(&folder.path().join("run.db"));
    let db = run.database();
    for (sql, said) in [
        (
            "SELECT * FROM silt_state('net')",
            "silt_state(dataset, entity_group, at): entity_group is missing",
        ),
        ("SELECT * FROM silt_state", "dataset is missing"),
        ("SELECT * FROM silt_state('net', 'rails', 0)", "entity group \"net/rails\" is not in"),
        (
            "SELECT * FROM silt_state('net', 7, 0)",
            "entity_group of silt_state: expected a text, got 7",
        ),
        (
            "SELECT * FROM silt_state('net', 'roads', 'x')",
            "at of silt_state: expected an integer, got \"x\"",
        ),
        (
            "SELECT * FROM silt_ohlc('EURUSD', '1m')",
            "symbol \"EURUSD\" is not in the ticks of the file",
        ),
        ("SELECT * FROM silt_ohlc('EURUSD', '1x')", "interval of silt_ohlc: expected seconds"),
        ("SELECT * FROM silt_ohlc('EURUSD', 0)", "got 0"),
        ("SELECT * FROM silt_ohlc('EURUSD', 9223372036854775807)", "got 9223372036854775807"),
        (
            "SELECT * FROM silt_ohlc('EURUSD', 60, NULL, NULL, 'last')",
            "price: expected mid, bid or ask",
        ),
    ] {
        let error = refusal(db, sql);
        assert!(error.contains(said), "{sql}: {error}");
    }
    for sql in ["SELECT * FROM silt_state(NULL, 'roads', 0)", "SELECT * FROM silt_ohlc(NULL, 60)"] {
        assert!(rows(db, sql).is_empty(), "{sql}");
    }
    let given = "SELECT dataset, entity_group, at FROM silt_state('net', 'roads', 1.0) LIMIT 1";
    assert_eq!(rows(db, given), [[text("net"), text("roads"), Value::Real(1.0)]]);
}

/// Writes a day of two symbols, the first half of it in blocks, with ticks that come late.
pub(crate) fn write_day(folder: &Path) -> TickStore {
    const NOON: i64 = 1_768_824_000_000_000_000; // 2026-01-19T12:00:00Z
    let config = TickStoreConfig {
        sqlite_base_path: folder.into(),
        compact_every: None,
        ..TickStoreConfig::production("b")
    };
    let store = TickStore::new(config).unwrap();
    let put = |from: i64, to: i64| {
        for i in from..to {
            let (symbol, bid) = (["EURUSD", "XAUUSD"][i as usize % 2], 1.0 + (i % 37) as f64 / 1e3);
            let time = NOON + i * 250_000_000;
            let _ = store.store_tick(symbol, bid, bid + 0.5, 0.5, "YOFX", time).unwrap();
        }
    };
    put(100, 3000);
    store.compact("2026-01-19").unwrap();
    put(0, 100);
    put(3000, 4000);
    store.flush().unwrap();
    store
}

/// Goal: bars are those of `TickStore::ohlc`, of rows and blocks, in any bounds and of any price.
#[test]
fn silt_ohlc_is_the_bars_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = write_day(folder.path());
    let path = folder.path().join("2026/01/ticks_2026-01-19.db");
    let db = Database::builder(path).open_read_only().unwrap();
    let (from_ns, until_ns) = (1_768_824_030_000_000_000, 1_768_824_300_500_000_000);
    let bounded = OhlcOptions { from_ns, to_ns: until_ns - 1, ..OhlcOptions::default() };
    for (arguments, interval_s, options) in [
        ("'EURUSD', 60".to_owned(), 60, OhlcOptions::default()),
        ("'XAUUSD', 'M5'".to_owned(), 300, OhlcOptions::default()),
        ("'XAUUSD', '1 h'".to_owned(), 3600, OhlcOptions::default()),
        (format!("'EURUSD', '10s', {from_ns}, {until_ns}"), 10, bounded),
        (
            format!("'EURUSD', '1min', {from_ns}, {until_ns}, 'ask'"),
            60,
            OhlcOptions { price: Price::Ask, ..bounded },
        ),
    ] {
        let symbol = &arguments[1..7];
        let bars = store.ohlc(symbol, interval_s * 1_000_000_000, options).unwrap();
        let wanted: Vec<_> = (bars.iter())
            .map(|bar| {
                let prices = [bar.open, bar.high, bar.low, bar.close].map(Value::Real);
                let times = [bar.time_ns, bar.time_ns / 1_000_000].map(Value::Integer);
                [&times[..], &prices, &[Value::Integer(bar.volume as i64)]].concat()
            })
            .collect();
        assert!(!wanted.is_empty());
        assert_eq!(rows(&db, &format!("SELECT * FROM silt_ohlc({arguments})")), wanted);
    }
    let none = format!("SELECT * FROM silt_ohlc('EURUSD', 60, NULL, {})", i64::MIN);
    assert!(rows(&db, &none).is_empty());
    store.stop().unwrap();
}

/// Goal: the cosine of two embeddings is that of a search, also of a vector in JSON; an embedding is a JSON list.
#[test]
fn silt_similarity_is_the_cosine_of_a_search() {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemoryStore::open(folder.path().join("agent.db")).unwrap();
    let put =
        |name: &str, array: Array| memory.store_concept(NewConcept::new(name, array)).unwrap();
    put("double", Array::from_slice(&[3.0, 4.0]));
    put("single", Array::from_slice(&[4.0f32, 3.0]));
    put("whole", Array::from_slice(&[0i64, 2]));
    put("long", Array::from_slice(&[1.0, 2.0, 3.0]));
    put("table", Array::from_slice(&[1i64, 2, 3, 4]).reshape(vec![2, 2]).unwrap());
    let db = memory.database();
    let near = "SELECT name, silt_similarity(embedding, '[3, 4]') FROM concepts WHERE id <= 3 ORDER BY 2 DESC";
    let wanted = [("double", 1.0), ("single", 0.96), ("whole", 0.8)];
    for (row, (name, cosine)) in rows(db, near).iter().zip(wanted) {
        let Value::Real(x) = row[1] else { panic!("{row:?}") };
        assert!(row[0] == text(name) && (x - cosine).abs() < 1e-12, "{row:?}");
    }
    let null = "SELECT silt_similarity(NULL, embedding), silt_array(NULL) FROM concepts LIMIT 1";
    assert_eq!(rows(db, null), [[Value::Null, Value::Null]]);
    let lists = "SELECT silt_array(embedding) FROM concepts WHERE name IN ('single', 'table') ORDER BY name";
    assert_eq!(rows(db, lists), [[text("[4.0,3.0]")], [text("[[1,2],[3,4]]")]]);
    for (sql, said) in [
        (
            "SELECT silt_similarity(embedding, '[1]') FROM concepts LIMIT 1",
            "expected 2 dimensions as the first, got 1",
        ),
        ("SELECT silt_similarity(x'00', '[1]')", "a payload is damaged"),
        (
            "SELECT silt_similarity('[1, null]', '[1]')",
            "expected an embedding of a memory, or a JSON list of numbers",
        ),
        (
            "SELECT silt_similarity('[]', '[1]')",
            "an array of real numbers, of one dimension or more, not empty",
        ),
        ("SELECT silt_similarity(1, '[1]')", "got 1"),
        (
            "SELECT silt_similarity(embedding, embedding) FROM concepts WHERE name = 'table'",
            "an array of one dimension",
        ),
        ("SELECT silt_array('x')", "expected the bytes of an embedding, or dtype, shape and data"),
    ] {
        let error = refusal(db, sql);
        assert!(error.contains(said), "{sql}: {error}");
    }
}

/// Goal: an array of a simulation is a JSON list of its shape, packed or not; what asks for too much is refused.
#[test]
fn silt_array_is_a_list_in_the_shape_of_the_array() {
    let folder = tempfile::tempdir().unwrap();
    let run = write_run(&folder.path().join("run.db"));
    let sql = "SELECT silt_array(dtype, shape, data) FROM numpy_array WHERE shape = '[2, 2]'";
    assert_eq!(rows(run.database(), sql), [[text("[[0.0,1.0],[2.0,3.0]]")]]);
    let count =
        "SELECT count(*) FROM numpy_array WHERE silt_array(dtype, shape, codec, data) IS NULL";
    assert_eq!(rows(run.database(), count), [[Value::Integer(0)]]);
    compact(&run);
    assert_eq!(rows(run.database(), sql), [[text("[[0.0,1.0],[2.0,3.0]]")]]);
    assert_eq!(rows(run.database(), count), [[Value::Integer(0)]]);
    for (sql, said) in [
        ("SELECT silt_array('<f8', '[2]', x'00')", "there are 1 bytes where 16 belong"),
        ("SELECT silt_array('|b1', '[2000000000]', x'00')", "expected at most 10^9 bytes"),
        ("SELECT silt_raw('|b1', '[2000000000]', 'zstd', x'00')", "expected at most 10^9 bytes"),
        ("SELECT silt_array('O', '[1]', x'00')", "dtype: expected a numpy dtype"),
    ] {
        let error = refusal(run.database(), sql);
        assert!(error.contains(said), "{sql}: {error}");
    }
}

/// Goal: a block that another program changes is read anew, though its neighbours were read from it just before.
#[test]
fn a_block_of_arrays_that_was_changed_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let run = write_run(&path);
    compact(&run);
    let sql = "SELECT count(silt_raw(dtype, shape, codec, data)) FROM numpy_array_rows WHERE codec = 'block'";
    let count = rows(run.database(), sql);
    assert!(matches!(count[0][0], Value::Integer(n) if n >= 20), "{count:?}");
    let conn = rusqlite::Connection::open(&path).unwrap();
    let damage = "UPDATE array_block SET data = substr(data, 1, length(data) - 1)";
    assert!(conn.execute(damage, []).unwrap() > 0);
    refusal(run.database(), sql);
}
