//! Series in an SQLite file, by a user's own SQL.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, DurationMillisecondArray, Float64Array, Int32Array, Int64Array,
    StringArray, TimestampNanosecondArray, UInt8Array, UInt64Array,
};
use siltstone::series::{IndexMetadata, Metadata, Series, SqliteBackend, StorageBackend};
use siltstone::{Error, Value};

const SECOND_NS: i64 = 1_000_000_000;
/// 2013-01-01 00:00:00 UTC.
const NEW_YEAR_S: i64 = 1_356_998_400;

fn backend() -> (tempfile::TempDir, SqliteBackend) {
    let folder = tempfile::tempdir().unwrap();
    let backend = SqliteBackend::open(folder.path().join("series.db")).unwrap();
    (folder, backend)
}

fn save(
    backend: &SqliteBackend,
    key: &str,
    index: impl Into<ArrayRef>,
    values: impl Into<ArrayRef>,
) {
    let series = Series::new(index.into(), values.into()).unwrap();
    backend.save(key, &series, &Metadata::new()).unwrap();
}

fn array(array: impl arrow_array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

fn floats(n: usize) -> ArrayRef {
    array(Float64Array::from_iter_values((0..n).map(|i| i as f64)))
}

/// The rows, a line each, as a person reads them.
fn lines(backend: &SqliteBackend, sql: &str) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(n) => n.to_string(),
        Value::Real(x) => format!("{x:?}"),
        Value::Text(text) => format!("'{text}'"),
        other => format!("{other:?}"),
    };
    let found = backend.database().sql(sql).unwrap();
    found.rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect()
}

/// An hour of seconds in each of three days.
fn three_days(zone: Option<&str>) -> ArrayRef {
    let times = (0..3).flat_map(|day| (0..3_600).map(move |s| NEW_YEAR_S + day * 86_400 + s));
    let times = TimestampNanosecondArray::from_iter_values(times.map(|s| s * SECOND_NS));
    array(times.with_timezone_opt(zone))
}

/// Goal: the documented table has the documented columns, and numbers, texts, times and what is missing are what SQL calls so.
#[test]
fn the_documented_table_has_the_points() {
    let (_folder, backend) = backend();
    let times = TimestampNanosecondArray::from(vec![0, SECOND_NS / 2, SECOND_NS + 1]);
    let numbers = Float64Array::from(vec![Some(20.5), Some(f64::NAN), None]);
    save(&backend, "plain", array(times.clone()), array(numbers));
    let zoned = times.with_timezone("Europe/Paris");
    save(&backend, "zoned", array(zoned), array(BooleanArray::from(vec![true, false, true])));
    let spans = DurationMillisecondArray::from(vec![86_400_000, -500, 0]);
    let wide = UInt64Array::from(vec![1, u64::MAX, i64::MAX as u64]);
    save(&backend, "spans", array(spans), array(wide));
    let texts = StringArray::from(vec![Some("a"), Some(""), None]);
    save(&backend, "whole", array(Int64Array::from(vec![3, i64::MIN, i64::MAX])), array(texts));
    let words = StringArray::from(vec!["b", "'", "1"]);
    save(&backend, "words", array(words), array(TimestampNanosecondArray::from(vec![0, 1, 2])));
    save(&backend, "empty", array(Int64Array::from(Vec::<i64>::new())), floats(0));

    let columns = backend.database().sql("SELECT * FROM time_series_data").unwrap().columns;
    assert_eq!(columns, ["key", "index_value", "value", "idx"]);
    let points = |key: &str| {
        let sql = "SELECT index_value, value FROM time_series_data WHERE key = ";
        lines(&backend, &format!("{sql}'{key}' ORDER BY idx"))
    };
    assert_eq!(
        points("plain"),
        [
            "'1970-01-01 00:00:00' 20.5",
            "'1970-01-01 00:00:00.500000' NULL",
            "'1970-01-01 00:00:01.000000001' NULL",
        ]
    );
    assert_eq!(points("zoned")[1], "'1970-01-01 01:00:00.500000+01:00' 0");
    assert_eq!(
        points("spans"),
        [
            "'1 days 00:00:00' 1",
            "'-1 days +23:59:59.500000' 1.8446744073709552e19",
            "'0 days 00:00:00' 9223372036854775807",
        ]
    );
    assert_eq!(
        points("whole"),
        ["3 'a'", "-9223372036854775808 ''", "9223372036854775807 NULL"],
        "numbers stay numbers"
    );
    assert_eq!(points("words")[2], "'1' '1970-01-01 00:00:00.000000002'");
    assert_eq!(
        lines(
            &backend,
            "SELECT m.key, count(d.idx) FROM time_series_metadata m \
             LEFT JOIN time_series_data d ON d.key = m.key GROUP BY m.key ORDER BY 1"
        ),
        ["'empty' 0", "'plain' 3", "'spans' 3", "'whole' 3", "'words' 3", "'zoned' 3"]
    );
}

/// Goal: SQL sees categories as their values, periods as their texts and an index of booleans as 0 and 1, and filters by
/// them; a code that stands for nothing is named.
#[test]
fn numbers_are_what_they_stand_for() {
    let (_folder, backend) = backend();
    let known = |kind: &str, dtype: &str, categories| IndexMetadata {
        kind: kind.into(),
        dtype: Some(dtype.into()),
        categories,
        ..IndexMetadata::default()
    };
    let save = |key: &str, index: ArrayRef, known, codes: Vec<Option<i32>>| {
        let dtype = r#"category:{"categories": ["wet", "dry"], "dtype": "object"}"#;
        let series = Series::new(index, array(Int32Array::from(codes))).unwrap();
        let series = series.with_index_metadata(known).with_dtype(Some(dtype.into()));
        backend.save(key, &series, &Metadata::new()).unwrap();
    };
    let months = array(Int64Array::from(vec![647, 648, 649]));
    save("m", months, known("PeriodIndex", "period[M]", None), vec![Some(1), None, Some(0)]);
    let categories = Some(vec![2.5.into(), 0.5.into()]);
    let codes = array(Int32Array::from(vec![1, 0]));
    save("c", codes, known("CategoricalIndex", "category", categories), vec![Some(0), Some(1)]);
    let flags = array(UInt8Array::from(vec![1, 0]));
    save("b", flags, known("Index", "bool", None), vec![Some(0), Some(7)]);
    let points = |key: &str, only: &str| {
        let sql = "SELECT index_value, value FROM time_series_data WHERE key = ";
        lines(&backend, &format!("{sql}'{key}' {only} ORDER BY idx"))
    };
    assert_eq!(points("m", ""), ["'2023-12' 'dry'", "'2024-01' NULL", "'2024-02' 'wet'"]);
    assert_eq!(points("m", "AND index_value >= '2024-01'").len(), 2);
    assert_eq!(points("m", "AND value = 'dry'").len(), 1);
    assert_eq!(points("c", "AND index_value > 1"), ["2.5 'dry'"]);
    let indexes = "SELECT index_value FROM time_series_data WHERE key = 'b'";
    assert_eq!(lines(&backend, indexes), ["1", "0"]);
    let error = backend.database().sql("SELECT value FROM time_series_data WHERE key = 'b'");
    assert!(error.unwrap_err().to_string().contains("the values"));
}

/// Goal: SQL filters by comparing texts and numbers as it does in a plain table, whatever is passed over.
#[test]
fn filters_find_what_a_plain_table_finds() {
    let (_folder, backend) = backend();
    for (key, zone) in
        [("utc", None), ("paris", Some("Europe/Paris")), ("apia", Some("Pacific/Apia"))]
    {
        save(&backend, key, three_days(zone), floats(3 * 3_600));
    }
    let n = 3 * 3_600;
    let falling: Vec<i64> = (0..n).rev().map(|i| i - 5_000).collect();
    save(&backend, "whole", array(Int64Array::from(falling)), floats(n as usize));
    let reals = (0..n).map(|i| if i == 7 { f64::NAN } else { i as f64 / 8.0 });
    save(&backend, "real", array(Float64Array::from_iter_values(reals)), floats(n as usize));
    let texts = (0..n).map(|i| format!("p{i:05}"));
    save(&backend, "text", array(StringArray::from_iter_values(texts)), floats(n as usize));
    backend.compact(Some("utc")).unwrap();

    let filters = [
        "= '2013-01-02 00:00:00'",
        ">= '2013-01-02'",
        "< '2013-01-02'",
        "BETWEEN '2013-01-01 00:59:58' AND '2013-01-02 00:00:01'",
        "LIKE '2013-01-03 00:00:0_%'",
        "> '2013-01-03 00:59:58'",
        "= '2013-01-02 01:00:00+01:00'",
        ">= 'a'",
        "<= 17",
        "> 100.25",
        "= 5",
        "= -1",
        "BETWEEN 1 AND 2.5",
        "= 'p00100'",
        "= 'P00100' COLLATE NOCASE",
        "<> 3",
        "<= 0",
        ">= 1349.875",
        "<= '2013-01-01 00:00:00'",
        "> '2013-01-03 01:30:00'",
        "> '2013-01-03 13:30:00'",
        "IS NULL",
        "IN (5, 6, 'p00002', '2013-01-03 00:00:00')",
    ];
    // The same points, in a table that SQLite itself keeps.
    let all = "WITH plain AS MATERIALIZED (SELECT * FROM time_series_data)";
    let mut found = 0;
    for filter in filters {
        let wanted = "key, count(*), min(idx), max(idx), sum(value)";
        let ask = |table: &str| {
            format!(
                "SELECT {wanted} FROM {table} WHERE index_value {filter} GROUP BY key ORDER BY key"
            )
        };
        let ours = lines(&backend, &ask("time_series_data"));
        assert_eq!(ours, lines(&backend, &format!("{all} {}", ask("plain"))), "{filter}");
        found += ours.len();
    }
    assert!(found > filters.len(), "the filters find something");
    let one = "SELECT key, value FROM time_series_data WHERE index_value = '2013-01-02 00:00:00'";
    assert_eq!(lines(&backend, one), ["'utc' 3600.0"]);
}

/// Goal: of other series, and of blocks beyond the range that is asked for, nothing is read: they may be damaged.
#[test]
fn what_is_not_asked_for_is_not_read() {
    let (_folder, backend) = backend();
    let points = 3 * 3_600;
    // A block a day, since a larger one is not joined: the second day is damaged, and so is the series beside it.
    for day in 0..3_usize {
        let index = three_days(None).slice(day * 3_600, 3_600 - day);
        backend.append("days", &Series::new(index, floats(3_600 - day)).unwrap()).unwrap();
    }
    save(&backend, "other", three_days(None), floats(points));
    backend
        .append("whole", &Series::new(array(Int64Array::from(vec![1])), floats(1)).unwrap())
        .unwrap();
    backend.database().clone().close().unwrap();
    let path = backend.database().path();
    let conn = rusqlite::Connection::open(path).unwrap();
    let blocks: i64 =
        conn.query_row("SELECT count(*) FROM series_block", [], |r| r.get(0)).unwrap();
    assert!(blocks >= 5, "{blocks}");
    let damage = "UPDATE series_block SET value_data = x'00', index_data = x'00' \
        WHERE first_row = 3600 OR series_id = 2";
    assert!(conn.execute(damage, []).unwrap() >= 2);
    drop(conn);

    let count = |filter: &str| {
        let sql = "SELECT count(value) FROM time_series_data WHERE ";
        backend.database().sql(&format!("{sql}{filter}")).map(|found| found.rows[0][0].clone())
    };
    let whole = |n| Ok::<_, Error>(Value::Integer(n));
    let is = |found: Result<Value, Error>, n| assert_eq!(found.unwrap(), whole(n).unwrap());
    is(count("key = 'days' AND index_value < '2013-01-02'"), 3_600);
    is(count("key = 'days' AND index_value >= '2013-01-03'"), 3_598);
    is(count("key = 'days' AND index_value = '2013-01-03 00:10:00'"), 1);
    is(count("key IN ('whole')"), 1);
    // To count points needs none of them.
    let all = backend.database().sql("SELECT count(*) FROM time_series_data").unwrap();
    assert_eq!(all.rows[0][0], Value::Integer(2 * points as i64 - 3 + 1));
    for filter in ["key = 'days'", "key = 'days' AND index_value >= '2013-01-02 00:59:59'", "1"] {
        let error = count(filter).unwrap_err();
        assert!(error.to_string().contains("series_block"), "{error}");
    }
}
