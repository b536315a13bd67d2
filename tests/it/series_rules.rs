//! The rules of the functions of series, on series made for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationMillisecondArray, Float32Array, Float64Array,
    Int64Array, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use arrow_schema::DataType;
use proptest::prelude::*;
use siltstone::Error;
use siltstone::series::process::{
    Aggregation, By, Frequency, Replacement, average, interpolate, normalize_index, parse_time,
    predict_from_previous_point, replace_ranges, resample, subset, subset_rank,
};
use siltstone::series::{IndexMetadata, IndexValue, Series};

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
const NAN: f64 = f64::NAN;

fn every(text: &str) -> Frequency {
    Frequency::parse(text).unwrap()
}

fn ns(text: &str) -> i64 {
    parse_time(text, None).unwrap()
}

fn at(times: &[i64], values: &[f64]) -> Series {
    Series::from_times_ns(times, values).unwrap()
}

fn means(series: &Series, frequency: &str) -> Series {
    resample(series, &every(frequency), Aggregation::Mean).unwrap()
}

/// The index as integers, with the values.
fn points(series: &Series) -> Vec<(i64, f64)> {
    let index = arrow_cast::cast(series.index(), &DataType::Int64).unwrap();
    let index = index.as_primitive::<Int64Type>().values().to_vec();
    index.into_iter().zip(series.to_f64s().unwrap()).collect()
}

/// Equal, and NaN is NaN.
fn assert_points(series: &Series, wanted: &[(i64, f64)]) {
    let got = points(series);
    assert_eq!(format!("{got:?}"), format!("{wanted:?}"));
}

fn label(text: &str) -> Option<IndexValue> {
    Some(text.into())
}

/// Goal: a day is what the clocks of the zone say: 23 hours in spring, 25 in autumn.
#[test]
fn days_follow_the_clocks() {
    for (start, hours) in [("2010-03-13", [24.0, 23.0, 24.0]), ("2010-11-06", [24.0, 25.0, 24.0])] {
        let zone = "America/Los_Angeles";
        let start = parse_time(start, Some(zone)).unwrap();
        let times: Vec<i64> =
            (0..hours.iter().sum::<f64>() as i64).map(|i| start + i * HOUR).collect();
        let ones: ArrayRef = Arc::new(Float64Array::from(vec![1.0; times.len()]));
        let times = TimestampNanosecondArray::from(times).with_timezone(zone);
        let series = Series::new(Arc::new(times), ones).unwrap();
        let days = resample(&series, &every("D"), Aggregation::Sum).unwrap();
        assert_eq!(days.to_f64s(), Some(hours.to_vec()));
        assert_eq!(days.index().data_type(), series.index().data_type());
        let next = (hours[0] * HOUR as f64) as i64;
        assert_eq!(points(&days)[1].0 - start, next);
        // 24 hours are not a day.
        let spans = resample(&series, &every("24h"), Aggregation::Count).unwrap();
        assert_eq!(
            points(&spans).iter().map(|(time, _)| (time - start) % (24 * HOUR)).sum::<i64>(),
            0
        );
        // Months, and a partial date, end at local midnight too.
        let month = resample(&series, &every("ME"), Aggregation::Count).unwrap();
        assert_eq!(month.to_f64s().unwrap(), [hours.iter().sum::<f64>()]);
        let name = if hours[1] == 23.0 { "2010-03-14" } else { "2010-11-07" };
        assert_eq!(
            subset(&series, label(name).as_ref(), label(name).as_ref()).unwrap().len() as f64,
            hours[1]
        );
    }
}

/// Goal: series of no point, of one, and of nothing but missing values are series like others.
#[test]
fn few_points_are_points() {
    let empty = at(&[], &[]).with_name("flow");
    let result = means(&empty, "W");
    assert_eq!((result.len(), result.name()), (0, Some("flow")));
    assert_eq!(result.index_metadata().frequency.as_deref(), Some("W-SUN"));
    assert_eq!(interpolate(&empty, By::Time).unwrap(), empty);
    assert_eq!(average(&[&empty, &empty]).unwrap().len(), 0);
    assert_eq!(normalize_index(&empty, "s", None).unwrap().len(), 0);
    assert_eq!(subset(&empty, label("2010").as_ref(), None).unwrap().len(), 0);
    assert_eq!(subset_rank(&empty, Some(-3), Some(5)).unwrap().len(), 0);

    let one = at(&[ns("2012-02-29 13:07")], &[4.0]);
    for (frequency, time) in [
        ("h", "2012-02-29 13:00"),
        ("7min", "2012-02-29 13:04"),
        ("D", "2012-02-29"),
        ("5D", "2012-02-29"),
        ("W", "2012-03-04"),
        ("W-WED", "2012-02-29"),
        ("MS", "2012-02"),
        ("ME", "2012-02-29"),
        ("QS", "2012-01"),
        ("QE", "2012-03-31"),
        ("QE-JAN", "2012-04-30"),
        ("YS", "2012"),
        ("YE", "2012-12-31"),
        ("YS-JUL", "2011-07"),
        ("2ME", "2012-02-29"),
    ] {
        assert_eq!(points(&means(&one, frequency)), [(ns(time), 4.0)], "{frequency}");
    }

    let missing = at(&[0, HOUR, 2 * HOUR], &[NAN; 3]);
    assert_points(&means(&missing, "2h"), &[(0, NAN), (2 * HOUR, NAN)]);
    assert_points(&interpolate(&missing, By::Position).unwrap(), &points(&missing));
    assert_points(&average(&[&missing, &missing]).unwrap(), &points(&missing));
    let counts = resample(&missing, &every("2h"), Aggregation::Count).unwrap();
    assert_eq!(points(&counts), [(0, 0.0), (2 * HOUR, 0.0)]);
}

/// Goal: order and repetition of times do not change a mean, and times before 1970 fall where they belong.
#[test]
fn times_may_fall_repeat_and_be_long_ago() {
    let minute = HOUR / 60;
    let series = at(&[-minute, -DAY, 0, -minute, -DAY + 1], &[1.0, 2.0, 7.0, 3.0, 4.0]);
    assert_eq!(points(&means(&series, "D")), [(-DAY, (1.0 + 2.0 + 3.0 + 4.0) / 4.0), (0, 7.0)]);
    let first = resample(&series, &every("D"), Aggregation::First).unwrap();
    assert_eq!(points(&first), [(-DAY, 2.0), (0, 7.0)]);
    let last = resample(&series, &every("D"), Aggregation::Last).unwrap();
    assert_eq!(points(&last), [(-DAY, 3.0), (0, 7.0)]);
    assert_eq!(
        subset(&series, label("1969-12-31").as_ref(), label("1969").as_ref()).unwrap().len(),
        4
    );
    let old = at(&[ns("1899-12-31 23:59"), ns("1900-01-01")], &[1.0, 3.0]);
    assert_eq!(points(&means(&old, "ME")), [(ns("1899-12-31"), 1.0), (ns("1900-01-31"), 3.0)]);
}

/// The number of days from 1970 to the first of a month, by counting.
fn days_until(year: i64, month: i64) -> i64 {
    let leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let lengths = |year| [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = match year >= 1970 {
        true => (1970..year).map(|year| 365 + i64::from(leap(year))).sum(),
        false => -(year..1970).map(|year| 365 + i64::from(leap(year))).sum::<i64>(),
    };
    years + lengths(year)[..month as usize].iter().sum::<i64>()
}

/// The day that names the bin of a day, found by trying.
fn named_by(frequency: &str, day: i64) -> i64 {
    let months = || (1950..2000).flat_map(|year| (0..12).map(move |month| (year, month)));
    let firsts = |keep: &dyn Fn(i64) -> bool| {
        let kept: Vec<i64> =
            months().filter(|(_, m)| keep(*m)).map(|(y, m)| days_until(y, m)).collect();
        kept
    };
    let not_after = |days: Vec<i64>| days.into_iter().filter(|first| *first <= day).max().unwrap();
    let not_before =
        |days: Vec<i64>| days.into_iter().map(|first| first - 1).find(|last| *last >= day).unwrap();
    match frequency {
        "W" => (day..).find(|day| (day + 4) % 7 == 0).unwrap(),
        "W-MON" => (day..).find(|day| (day + 3) % 7 == 0).unwrap(),
        "MS" => not_after(firsts(&|_| true)),
        "ME" => not_before(firsts(&|_| true)),
        "QS-FEB" => not_after(firsts(&|month| month % 3 == 1)),
        "QE" => not_before(firsts(&|month| month % 3 == 0)),
        "YS" => not_after(firsts(&|month| month == 0)),
        "YE-JUN" => not_before(firsts(&|month| month == 6)),
        other => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Goal: bins, means, sums, least and greatest values are those of a model that sorts each point by itself.
    #[test]
    fn resampling_is_what_sorting_each_point_gives(
        rows in prop::collection::vec((-300_000_i64..300_000, prop::option::of(-1e6..1e6)), 1..60),
        frequency in prop::sample::select(vec![
            "h", "6h", "7min", "5h", "D", "3D", "W", "W-MON", "MS", "ME", "QS-FEB", "QE", "YS", "YE-JUN",
        ]),
    ) {
        // Narrow frequencies over some days, wide ones over years.
        let scale = if frequency.ends_with('h') || frequency.ends_with("min") { 3_000_000_000 } else { 1_800_000_000_000 };
        let times: Vec<i64> = rows.iter().map(|(time, _)| time * scale).collect();
        let values: Vec<f64> = rows.iter().map(|(_, value)| value.unwrap_or(NAN)).collect();
        let series = at(&times, &values);
        let midnight = times.iter().min().unwrap().div_euclid(DAY) * DAY;
        let name = |time: i64| {
            let span = match frequency {
                "h" => HOUR, "6h" => 6 * HOUR, "5h" => 5 * HOUR, "7min" => HOUR / 60 * 7, "D" => DAY, "3D" => 3 * DAY,
                dates => return named_by(dates, time.div_euclid(DAY)) * DAY,
            };
            midnight + (time - midnight).div_euclid(span) * span
        };
        let mut model: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for (time, value) in times.iter().zip(&values) {
            let bin = model.entry(name(*time)).or_default();
            if !value.is_nan() {
                bin.push(*value);
            }
        }
        let result = points(&means(&series, frequency));
        let least = points(&resample(&series, &every(frequency), Aggregation::Min).unwrap());
        let greatest = points(&resample(&series, &every(frequency), Aggregation::Max).unwrap());
        let sums = points(&resample(&series, &every(frequency), Aggregation::Sum).unwrap());
        prop_assert_eq!(result[0].0, *model.keys().next().unwrap());
        prop_assert_eq!(result.last().unwrap().0, *model.keys().last().unwrap());
        prop_assert!(result.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert!(model.keys().all(|name| result.iter().any(|(label, _)| label == name)));
        for (i, (label, mean)) in result.iter().enumerate() {
            let bin = model.get(label).cloned().unwrap_or_default();
            let sum: f64 = bin.iter().sum();
            prop_assert!((sums[i].1 - sum).abs() <= 1e-9 * bin.iter().map(|x| x.abs()).sum::<f64>());
            if bin.is_empty() {
                prop_assert!(mean.is_nan() && least[i].1.is_nan() && greatest[i].1.is_nan());
                continue;
            }
            prop_assert!((mean - sum / bin.len() as f64).abs() <= 1e-9 * mean.abs().max(1.0));
            prop_assert_eq!(least[i].1, bin.iter().copied().reduce(f64::min).unwrap());
            prop_assert_eq!(greatest[i].1, bin.iter().copied().reduce(f64::max).unwrap());
        }
    }
}

/// Goal: the line between two points runs by position, or by time; ends are as in meteaudata.
#[test]
fn lines_run_by_position_or_by_time() {
    let series = at(&[0, HOUR, 10 * HOUR], &[0.0, NAN, 10.0]);
    assert_eq!(interpolate(&series, By::Position).unwrap().to_f64s(), Some(vec![0.0, 5.0, 10.0]));
    assert_eq!(interpolate(&series, By::Time).unwrap().to_f64s(), Some(vec![0.0, 1.0, 10.0]));
    let ends = at(&[0, 1, 2, 3, 4], &[NAN, 1.0, NAN, 2.0, NAN]);
    for by in [By::Position, By::Time] {
        let filled = points(&interpolate(&ends, by).unwrap());
        assert_eq!(format!("{filled:?}"), "[(0, NaN), (1, 1.0), (2, 1.5), (3, 2.0), (4, 2.0)]");
    }
    let same = at(&[5, 5, 5, 9, 9], &[1.0, NAN, 3.0, NAN, 4.0]);
    assert_eq!(
        interpolate(&same, By::Time).unwrap().to_f64s(),
        Some(vec![1.0, 3.0, 3.0, 4.0, 4.0])
    );
    let falling = at(&[2, 1, 0], &[0.0, NAN, 10.0]);
    assert_eq!(interpolate(&falling, By::Position).unwrap().to_f64s(), Some(vec![0.0, 5.0, 10.0]));
    assert!(interpolate(&falling, By::Time).unwrap_err().to_string().contains("fall"));
    let infinite = at(&[0, 1, 2, 3, 4], &[1.0, NAN, f64::INFINITY, NAN, 2.0]);
    let filled = interpolate(&infinite, By::Position).unwrap().to_f64s().unwrap();
    assert_eq!(filled[1], f64::INFINITY);
    // Nulls are missing too, and stay nulls where nothing can be said.
    let nulls = Int64Array::from(vec![None, Some(1), None, Some(4)]);
    let times = TimestampSecondArray::from(vec![0, 1, 2, 3]);
    let series =
        Series::new(Arc::new(times), Arc::new(nulls)).unwrap().with_dtype(Some("Int64".into()));
    let filled = interpolate(&series, By::Time).unwrap();
    assert_eq!((filled.dtype(), filled.values().null_count()), (Some("Float64"), 1));
    assert_points(&filled, &[(0, NAN), (1, 1.0), (2, 2.5), (3, 4.0)]);
}

/// Goal: each type of value comes out as the page says, and integers stay exact.
#[test]
fn values_keep_what_they_can() {
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 1, 86_400_000_000 * 2]));
    let of = |values: ArrayRef| Series::new(times.clone(), values).unwrap();
    let days = |series: &Series, how| resample(series, &every("D"), how).unwrap();
    let big = (1 << 53) + 1;
    let integers = of(Arc::new(Int64Array::from(vec![big, 1, 5])));
    assert_eq!(days(&integers, Aggregation::Mean).values().data_type(), &DataType::Float64);
    let sums = days(&integers, Aggregation::Sum);
    assert_eq!(sums.values().as_primitive::<Int64Type>().values().to_vec(), [big + 1, 0, 5]);
    let most = days(&integers, Aggregation::Max);
    assert_eq!(
        most.values().as_primitive::<Int64Type>().iter().collect::<Vec<_>>(),
        [Some(big), None, Some(5)]
    );
    assert!(
        resample(
            &of(Arc::new(Int64Array::from(vec![i64::MAX, 1, 0]))),
            &every("D"),
            Aggregation::Sum
        )
        .is_err()
    );
    let flags = of(Arc::new(BooleanArray::from(vec![true, false, true])));
    assert_points(
        &days(&flags, Aggregation::Mean),
        &[(0, 0.5), (86_400_000_000, NAN), (172_800_000_000, 1.0)],
    );
    let narrow = of(Arc::new(Float32Array::from(vec![1.0, 2.0, f32::NAN])));
    assert_eq!(days(&narrow, Aggregation::Sum).values().data_type(), &DataType::Float32);
    assert_eq!(points(&days(&narrow, Aggregation::Median))[0].1, 1.5);
    let texts = of(Arc::new(StringArray::from(vec!["a", "b", "c"])));
    assert_eq!(days(&texts, Aggregation::Last).values().as_string::<i32>().value(0), "b");
    let nulls = of(Arc::new(Float64Array::from(vec![Some(1.0), None, Some(NAN)])));
    let counts = days(&nulls, Aggregation::Count);
    assert_eq!(counts.to_f64s(), Some(vec![1.0, 0.0, 0.0]));
    assert_eq!(days(&nulls, Aggregation::Mean).values().null_count(), 2);
    for how in [Aggregation::Mean, Aggregation::Sum, Aggregation::Min, Aggregation::Median] {
        let error = resample(&texts, &every("D"), how).unwrap_err();
        assert!(matches!(error, Error::InvalidType { .. }), "{error}");
    }
}

/// Goal: a result that would not fit into memory, or a frequency that means nothing there, is refused.
#[test]
fn what_makes_no_sense_is_refused() {
    let wide = at(&[0, 30 * 365 * DAY], &[1.0, 2.0]);
    let error = resample(&wide, &every("ns"), Aggregation::Mean).unwrap_err().to_string();
    assert!(error.contains("bins"), "{error}");
    assert!(
        resample(&wide, &every("s"), Aggregation::Mean).unwrap_err().to_string().contains("bins")
    );
    let ends = at(&[i64::MIN, i64::MAX], &[1.0, 2.0]);
    for frequency in [
        "ns",
        "D",
        "W",
        "YS",
        "YE",
        "MS",
        "9223372036854775807W",
        "9223372036854775807YE",
        "9223372036854775807D",
    ] {
        // A time that cannot be said, or a series: no panic.
        let _ = resample(&ends, &every(frequency), Aggregation::Mean);
    }
    let seconds: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MIN, 0, i64::MAX]));
    let ends = Series::new(seconds.clone(), seconds).unwrap();
    assert!(
        resample(&ends, &every("YE"), Aggregation::First).unwrap_err().to_string().contains("9999")
    );
    let seconds = Series::new(
        Arc::new(TimestampSecondArray::from(vec![0])),
        Arc::new(Int64Array::from(vec![1])),
    );
    let error =
        resample(&seconds.unwrap(), &every("15ms"), Aggregation::Mean).unwrap_err().to_string();
    assert!(error.contains("unit"), "{error}");
    let spans = DurationMillisecondArray::from(vec![0, 1]);
    let spans = Series::new(Arc::new(spans), Arc::new(Int64Array::from(vec![1, 2]))).unwrap();
    assert!(
        resample(&spans, &every("MS"), Aggregation::Mean)
            .unwrap_err()
            .to_string()
            .contains("fixed")
    );
    let error = normalize_index(&spans, "s", None).unwrap_err();
    assert!(matches!(error, Error::InvalidType { .. }), "{error}");
    let numbers =
        Series::new(Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![1])))
            .unwrap();
    for error in [
        resample(&numbers, &every("D"), Aggregation::Mean).unwrap_err(),
        interpolate(&numbers, By::Position).unwrap_err(),
        subset(&numbers, None, None).unwrap_err(),
        subset_rank(&numbers, None, None).unwrap_err(),
        average(&[&numbers]).unwrap_err(),
        predict_from_previous_point(&numbers).unwrap_err(),
    ] {
        assert!(matches!(error, Error::InvalidIndex { .. }), "{error}");
    }
    let strange = TimestampSecondArray::from(vec![0]).with_timezone("Mars/Olympus");
    let strange = Series::new(Arc::new(strange), Arc::new(Int64Array::from(vec![1]))).unwrap();
    let error = resample(&strange, &every("D"), Aggregation::Mean).unwrap_err().to_string();
    assert!(error.contains("Mars/Olympus"), "{error}");
}

/// Goal: an average joins times of any unit and zone, and names a time that comes twice.
#[test]
fn an_average_joins_times() {
    let known =
        |frequency: &str| IndexMetadata { frequency: Some(frequency.into()), ..Default::default() };
    let a =
        at(&[0, HOUR, 2 * HOUR], &[1.0, NAN, 3.0]).with_name("a").with_index_metadata(known("h"));
    let b = TimestampSecondArray::from(vec![7200, 10_800]);
    let b = Series::new(Arc::new(b), Arc::new(Int64Array::from(vec![5, 7]))).unwrap();
    let b = b.with_index_metadata(known("h"));
    let joined = average(&[&a, &b]).unwrap();
    assert_points(&joined, &[(0, 1.0), (HOUR, NAN), (2 * HOUR, 4.0), (3 * HOUR, 7.0)]);
    assert_eq!((joined.name(), joined.index_metadata().frequency.as_deref()), (None, Some("h")));
    let far = at(&[9 * HOUR], &[1.0]).with_index_metadata(known("h"));
    assert_eq!(average(&[&a, &far]).unwrap().index_metadata().frequency, None);
    // One index for all keeps its order.
    let falling = at(&[2, 1], &[1.0, 2.0]);
    assert_points(&average(&[&falling, &falling]).unwrap(), &[(2, 1.0), (1, 2.0)]);
    let twice = at(&[HOUR, 0, HOUR], &[1.0; 3]).with_name("b");
    let error = average(&[&a, &twice]).unwrap_err().to_string();
    assert!(error.contains("\"b\"") && error.contains("1970-01-01T01:00:00"), "{error}");
    let zoned = |zone: &str| {
        let times = TimestampNanosecondArray::from(vec![0]).with_timezone(zone);
        Series::new(Arc::new(times), Arc::new(Float64Array::from(vec![1.0]))).unwrap()
    };
    let both = average(&[&zoned("Europe/Paris"), &zoned("Asia/Tokyo")]).unwrap();
    assert_eq!(both.index_metadata().time_zone.as_deref(), Some("UTC"));
    assert_eq!(both.len(), 1);
    assert!(average(&[&a, &zoned("UTC")]).unwrap_err().to_string().contains("zone"));
    assert!(average(&[]).is_err());
}

/// Goal: a replaced range has both its ends, in any order of the index, and no value is bent to fit.
#[test]
fn ranges_are_replaced_with_both_ends() {
    let one = |range: (Option<IndexValue>, Option<IndexValue>),
               series: &Series,
               with: &Replacement| { replace_ranges(series, &[range], with) };
    let series = at(&[3 * DAY, DAY, 2 * DAY + HOUR, 0], &[1.0, 2.0, 3.0, 4.0]);
    let with = Replacement::Float(-1.0);
    let replaced = one((label("1970-01-02"), label("1970-01-03")), &series, &with).unwrap();
    assert_eq!(replaced.to_f64s(), Some(vec![1.0, -1.0, -1.0, 4.0]));
    assert_eq!(
        one((None, label("1970-01-01")), &series, &with).unwrap().to_f64s().unwrap()[3],
        -1.0
    );
    assert_eq!(one((label("1980"), label("1970")), &series, &with).unwrap(), series);
    assert_eq!(replace_ranges(&series, &[], &with).unwrap(), series);
    let years: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let integers = Series::new(years.clone(), years.clone()).unwrap();
    let middle = (Some(2.into()), Some(2.into()));
    let ints = |with| one(middle.clone(), &integers, &with).unwrap();
    assert_eq!(ints(Replacement::Float(9.0)).values().data_type(), &DataType::Int64);
    assert_eq!(ints(Replacement::Float(0.5)).to_f64s(), Some(vec![1.0, 0.5, 3.0]));
    assert!(ints(Replacement::Float(NAN)).to_f64s().unwrap()[1].is_nan());
    assert_eq!(ints(Replacement::Missing).values().null_count(), 1);
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let texts = Series::new(names.clone(), names).unwrap();
    let range = (label("b"), None);
    let replaced = one(range.clone(), &texts, &Replacement::Text("x".into())).unwrap();
    assert_eq!(replaced.values().as_string::<i32>().value(2), "x");
    assert_eq!(
        one(range.clone(), &texts, &Replacement::Float(NAN)).unwrap().values().null_count(),
        2
    );
    let error = one(range, &texts, &with).unwrap_err();
    assert!(matches!(error, Error::InvalidType { .. }), "{error}");
    assert!(one((label("a"), None), &integers, &with).is_err());
}

/// Goal: labels and references are local time of the index; what does not fit it is refused.
#[test]
fn labels_are_local_time() {
    let times = TimestampSecondArray::from(vec![0, 3_600, 86_400]).with_timezone("Europe/Paris");
    let series = Series::new(Arc::new(times), Arc::new(Int64Array::from(vec![1, 2, 3]))).unwrap();
    assert_eq!(
        subset(&series, label("1970-01-01 02").as_ref(), label("1970-01-01").as_ref())
            .unwrap()
            .len(),
        1
    );
    assert_eq!(subset(&series, label("1970-01-01T00:30Z").as_ref(), None).unwrap().len(), 2);
    assert_eq!(subset(&series, Some(&3_600.into()), Some(&3_600.into())).unwrap().len(), 1);
    let days = normalize_index(&series, "hours", label("1970-01-01").as_ref()).unwrap();
    assert_eq!(
        days.index().as_primitive::<arrow_array::types::Float64Type>().values().to_vec(),
        [1.0, 2.0, 25.0]
    );
    let naive = at(&[0], &[1.0]);
    for refused in [
        subset(&naive, label("1970-01-01T00:30Z").as_ref(), None),
        subset(&naive, label("yesterday").as_ref(), None),
        normalize_index(&naive, "s", label("1970-01-01T00:30+01:00").as_ref()),
        normalize_index(&naive, "fortnight", None),
    ] {
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
}
