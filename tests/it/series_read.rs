//! Series out of files: our own CSV, and tables of Parquet and Arrow that others wrote.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::Int8Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    DurationNanosecondArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{Field, Schema};
use serde_json::json;
use siltstone::series::{Points, PointsOptions, Series, TimeUnit, read_points};
use siltstone::table::{Batches, Format, WriteOptions, write};
use siltstone::{Error, Result};

fn save(path: &Path, table: RecordBatch) {
    let format = Format::of_path(path).unwrap();
    let options = WriteOptions { format, overwrite: true, ..WriteOptions::default() };
    let batches = Batches::from_batches(table.schema(), vec![table]);
    write(path, batches, &options, &mut |_, _| Ok(())).unwrap();
}

fn read(path: &Path) -> Result<Points> {
    read_points(path, &PointsOptions::default())
}

/// Goal: what we write as CSV is the same when it is read: numbers by bits, texts with any sign in them, what is missing.
#[test]
fn our_own_csv_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.csv");
    let hour = 3_600_000_000_000;
    let indexes: [ArrayRef; 5] = [
        Arc::new(DurationNanosecondArray::from(vec![-1, 0, 90_000_000_000, hour])),
        Arc::new(Int64Array::from(vec![-1, 2, 20_100_101, 7])),
        Arc::new(Float64Array::from(vec![1.299, 2.5e300, -0.0, 1e-7])),
        Arc::new(TimestampNanosecondArray::from(vec![0, hour, 25 * hour + 1, 26 * hour])),
        Arc::new(StringArray::from(vec!["a b", "Zürich", "1 m", "a,\"b"])),
    ];
    let values: [ArrayRef; 9] = [
        Arc::new(DurationNanosecondArray::from(vec![Some(-1), None, Some(90), Some(hour)])),
        Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None, Some(90), Some(hour)])),
        Arc::new(Float64Array::from(vec![1.299, 1.3, 12.345, 987.001])),
        Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::MIN, 5e-324])),
        Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX, 0, 7])),
        Arc::new(Int64Array::from(vec![Some(1), None, Some(3), None])),
        Arc::new(UInt64Array::from(vec![u64::MAX, 1, 2, 3])),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)])),
        Arc::new(StringArray::from(vec![Some(""), None, Some("a\r\n\"b\",c"), Some("open \"")])),
    ];
    for index in indexes {
        for values in &values {
            let series = Series::new(index.clone(), values.clone()).unwrap().with_name("v");
            save(&path, series.to_batch());
            let own = read(&path).unwrap();
            let what = format!("{:?} {values:?}", index.data_type());
            assert_eq!(own.series[0].index().to_data(), index.to_data(), "{what}");
            assert_eq!(own.series[0].values().to_data(), values.to_data(), "{what}");
            assert_eq!(own.series[0].name(), Some("v"));
        }
    }
}

/// A table with what pandas writes down of its index.
fn table(index_columns: Option<serde_json::Value>, columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let field = |(name, array): &(&str, ArrayRef)| {
        let field = Field::new(*name, array.data_type().clone(), true);
        match name.strip_prefix("period ") {
            None => field,
            Some(_) => field.with_metadata(HashMap::from([(
                "ARROW:extension:name".to_owned(),
                "pandas.period".to_owned(),
            )])),
        }
    };
    let known = index_columns.map(|list| json!({ "index_columns": list }).to_string());
    let metadata = known.map(|known| ("pandas".to_owned(), known)).into_iter().collect();
    let fields: Vec<Field> = columns.iter().map(field).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    RecordBatch::try_new(schema, columns.iter().map(|(_, array)| array.clone()).collect()).unwrap()
}

fn both(folder: &Path) -> [PathBuf; 2] {
    ["parquet", "arrow"].map(|ending| folder.join(format!("table.{ending}")))
}

/// Goal: the index is what pandas wrote down in the file, and never the values; an index that no series has is refused by name.
#[test]
fn pandas_names_the_index() {
    let folder = tempfile::tempdir().unwrap();
    let ints = |items: [i64; 3]| Arc::new(Int64Array::from(items.to_vec())) as ArrayRef;
    let (values, index) =
        (Arc::new(Float64Array::from(vec![1.5, 2.5, 3.5])) as ArrayRef, ints([7, 8, 9]));
    let times = Arc::new(TimestampNanosecondArray::from(vec![0, 1, 2])) as ArrayRef;
    let range = |start: i64, step: i64, name: Option<&str>| {
        Some(json!([{ "kind": "range", "start": start, "stop": 99, "step": step, "name": name }]))
    };
    for path in both(folder.path()) {
        let index_of = |known, columns: &[(&str, ArrayRef)]| {
            save(&path, table(known, columns));
            read(&path).map(|read| {
                let series = &read.series[0];
                let name = series.index_metadata().name.clone();
                (series.index().clone(), name, read.series.len(), read.columns[0].to_string())
            })
        };
        let unnamed = Some(json!(["__index_level_0__"]));
        let columns = [("v", values.clone()), ("__index_level_0__", index.clone())];
        let (found, name, ..) = index_of(unnamed, &columns).unwrap();
        assert_eq!((&found, name), (&index, None));
        let named = index_of(Some(json!(["t"])), &[("v", values.clone()), ("t", index.clone())]);
        let (found, name, ..) = named.unwrap();
        assert_eq!((&found, name.as_deref()), (&index, Some("t")));
        let (found, name, count, _) =
            index_of(range(5, 2, Some("n")), &[("t", times.clone()), ("v", values.clone())])
                .unwrap();
        assert_eq!((&found, name.as_deref(), count), (&ints([5, 7, 9]), Some("n"), 2));
        let rows = range(0, 1, None);
        let (found, _, count, _) = index_of(rows.clone(), &[("v", values.clone())]).unwrap();
        assert_eq!((&found, count), (&ints([0, 1, 2]), 1));
        let (found, _, _, reported) =
            index_of(rows, &[("t", times.clone()), ("v", values.clone())]).unwrap();
        assert_eq!((&found, &*reported), (&times, "t: timestamps without a zone"));

        let refused = |known, columns: &[(&str, ArrayRef)], part: &str| {
            let refused = index_of(known, columns).unwrap_err();
            assert!(matches!(refused, Error::Invalid { .. }), "{refused:?}");
            assert!(refused.to_string().contains(part), "{part:?}: {refused}");
        };
        let columns = [("v", values.clone()), ("a", index.clone()), ("b", index.clone())];
        refused(Some(json!(["a", "b"])), &columns, "MultiIndex of 2");
        refused(
            Some(json!(["period p"])),
            &[("v", values.clone()), ("period p", index.clone())],
            "periods",
        );
        refused(Some(json!(["gone"])), &[("v", values.clone())], "gone");
        refused(None, &[("v", values.clone()), ("t", times.clone())], "--index \"t\"");
    }
}

/// Goal: what no series has, and a unit that makes times of another age, are errors with the file and the column or row.
#[test]
fn an_error_of_a_table_names_file_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let values = Arc::new(Float64Array::from(vec![1.5, 2.5])) as ArrayRef;
    let flags = Arc::new(BooleanArray::from(vec![true, false])) as ArrayRef;
    let times = Arc::new(Int64Array::from(vec![0, 1_730_426_400_123])) as ArrayRef;
    let lists =
        arrow_array::ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>([
            Some([Some(1)]),
            Some([Some(2)]),
        ]);
    for path in both(folder.path()) {
        let file = path.display().to_string();
        let refused = |columns: &[(&str, ArrayRef)], options: PointsOptions| {
            save(&path, table(None, columns));
            let error = read_points(&path, &options).unwrap_err().to_string();
            assert!(error.starts_with(&file), "{error}");
            error
        };
        let odd = [("t", times.clone()), ("odd", Arc::new(lists.clone()) as ArrayRef)];
        assert!(refused(&odd, PointsOptions::default()).contains("\"odd\""));
        let flagged = [("flag", flags.clone()), ("v", values.clone())];
        assert!(refused(&flagged, PointsOptions::default()).contains("\"flag\""));
        let seconds = PointsOptions { time_unit: Some(TimeUnit::S), ..PointsOptions::default() };
        let error = refused(&[("t", times.clone()), ("v", values.clone())], seconds);
        let said = ["row 2", "the year 56", "--time-unit ms gives 2024"];
        assert!(said.iter().all(|part| error.contains(part)), "{error}");
    }
}

/// Goal: dates, dictionaries and decimals are taken where nothing is lost, and else refused by name.
#[test]
fn other_types_of_tables_are_taken_or_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let days = Arc::new(Date32Array::from(vec![0, 1])) as ArrayRef;
    let decimals = |units: [i128; 2]| {
        let units = Decimal128Array::from(units.to_vec());
        Arc::new(units.with_precision_and_scale(38, 2).unwrap()) as ArrayRef
    };
    let words: DictionaryArray<Int8Type> = ["a", "b"].into_iter().collect();
    for path in both(folder.path()) {
        let columns = [
            ("day", days.clone()),
            ("price", decimals([125, -1])),
            ("word", Arc::new(words.clone())),
        ];
        save(&path, table(None, &columns));
        let found = read(&path).unwrap();
        let second = arrow_schema::TimeUnit::Second;
        assert_eq!(
            found.series[0].index().data_type(),
            &arrow_schema::DataType::Timestamp(second, None)
        );
        let prices: ArrayRef = Arc::new(Float64Array::from(vec![1.25, -0.01]));
        assert_eq!(found.series[0].values(), &prices);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        assert_eq!(found.series[1].values(), &texts);
        save(
            &path,
            table(None, &[("day", days.clone()), ("price", decimals([1, i128::pow(10, 17)]))]),
        );
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("\"price\"") && refused.contains("decimal128"), "{refused}");
        // The points of the one would replace the other's.
        save(&path, table(None, &[("day", days.clone()), ("v", days.clone()), ("v", prices)]));
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("\"v\" twice"), "{refused}");
    }
}
