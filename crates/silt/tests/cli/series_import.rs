//! `series import` of the files that loggers and other programs wrote.

use std::path::{Path, PathBuf};

use siltstone::series::process::parse_time;
use siltstone::series::{self, Series};
use siltstone_needs::needs;

use crate::silt::{Ran, command, shared, silt};

/// What an import of a file gives: the index and some of the series, their values separated by spaces (`_` is missing);
/// or what the error says.
enum Expect {
    Read(&'static str, &'static [(&'static str, &'static str)]),
    Refused(&'static [&'static str]),
}
use Expect::{Read, Refused};

/// Imports a file as `k`; options are separated by `|`.
fn import(folder: &Path, file: &Path, options: &str) -> Ran {
    let mut command = command(folder);
    command.args(["series", "import"]).arg(file).args(["--to", "x.db", "--key", "k"]);
    let options = options.split('|').filter(|option| !option.is_empty());
    command.args(options).output().expect("the command was built").into()
}

/// The columns of a series, times in ns since 1970.
fn columns(series: &Series) -> [Vec<String>; 2] {
    let rows = siltstone::table::rows(&series.to_batch()).unwrap();
    [0, 1].map(|at| {
        let text = |row: &Vec<serde_json::Value>| match &row[at] {
            serde_json::Value::Null => "_".into(),
            serde_json::Value::String(text) if text == "NaN" => "_".into(),
            serde_json::Value::String(text) => moment(text),
            serde_json::Value::Number(n) => n.as_f64().map_or(n.to_string(), |n| n.to_string()),
            other => other.to_string(),
        };
        rows.iter().map(text).collect()
    })
}

/// A time as ns, and any other text as it is. A number of the index is no time.
fn moment(text: &str) -> String {
    let is_time = text.len() >= 10 && text.contains('-');
    let ns = is_time.then(|| parse_time(text, None).ok()).flatten();
    ns.map_or_else(|| text.to_owned(), |ns| format!("{ns} ns"))
}

/// What is wrong with an import.
fn check(file: &Path, options: &str, expected: &Expect) -> Result<(), String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let folder = tempfile::tempdir().unwrap();
    let ran = import(folder.path(), file, options);
    let wrong = |what: String| Err(format!("{name} {options}: {what}: {ran:?}"));
    let (index, all) = match expected {
        Refused(parts) => {
            let lacks = parts.iter().find(|part| !ran.err.contains(**part));
            return match lacks {
                Some(part) => wrong(format!("no {part:?}")),
                None if ran.code != 2 => wrong("not refused".into()),
                None => Ok(()),
            };
        }
        Read(index, all) => (index, all),
    };
    if ran.code != 0 {
        return wrong("refused".into());
    }
    let store = series::open(&format!("sqlite:{}/x.db", folder.path().display())).unwrap();
    for (key, values) in *all {
        let series = match store.load(key) {
            Ok((series, _)) => series,
            Err(error) => return wrong(error.to_string()),
        };
        let expected =
            [*index, *values].map(|text| text.split(' ').map(moment).collect::<Vec<_>>());
        let own = columns(&series);
        if own != expected {
            return wrong(format!("{key}: {own:?}, not {expected:?}"));
        }
    }
    Ok(())
}

const CASES: &[(&str, &str, Expect)] = &[
    (
        "ampm/ampm.csv",
        "",
        Read("2024-08-04T09:00 2024-08-04T14:00 2024-08-05T11:22", &[("k", "12 13 15")]),
    ),
    ("badcell/qual.csv", "", Refused(&["line 3", "<0.5", "nox", "--bad-cells"])),
    (
        "badcell/qual.csv",
        "--bad-cells|missing",
        Read(
            "2024-01-01T00:00 2024-01-01T01:00 2024-01-01T02:00 2024-01-01T03:00",
            &[("k/nox", "12.5 _ _ 13"), ("k/so2", "3.1 3 3.2 _")],
        ),
    ),
    (
        "datetime_cols/two.csv",
        "",
        Read("2024-01-01T00:00 2024-01-01T00:15 2024-01-02T00:00", &[("k", "1.5 1.6 1.7")]),
    ),
    (
        "datetime_cols/two.csv",
        "--date-column|Date|--time-column|Time",
        Read("2024-01-01T00:00 2024-01-01T00:15 2024-01-02T00:00", &[("k", "1.5 1.6 1.7")]),
    ),
    (
        "dayfirst/davis.csv",
        "--tz|Europe/Madrid",
        Read(
            "2022-08-02T13:30 2022-08-02T13:40 2022-08-13T13:50",
            &[("k/Barometer", "1015 1015.1 1014.9"), ("k/Rain", "0 0.2 0")],
        ),
    ),
    (
        "dayfirst/german.csv",
        "--tz|Europe/Madrid",
        Read("2022-08-02T13:30 2022-08-02T13:40", &[("k", "1.5 1.52")]),
    ),
    (
        "dst_back/nov.csv",
        "--tz|America/New_York",
        Read(
            "2022-11-06T04:30 2022-11-06T05:00 2022-11-06T05:30 2022-11-06T06:00 2022-11-06T06:30 2022-11-06T07:00",
            &[("k", "1 2 3 4 5 6")],
        ),
    ),
    (
        "dst_back/nov.csv",
        "--tz|America/New_York|--ambiguous|refuse",
        Refused(&["line 3", "--ambiguous"]),
    ),
    ("epoch/ms.csv", "--tz|UTC", Refused(&["--tz", "--time-unit", "line 2"])),
    (
        "epoch/ms.csv",
        "--time-unit|ms",
        Read(
            "2024-11-01T02:00:00.123 2024-11-01T02:00:00.456",
            &[("k/askPrice", "41786.197 41785.173")],
        ),
    ),
    (
        "epoch/ns.csv",
        "--time-unit|ns|--tz|Europe/Madrid",
        Read("2019-01-31T00:10 2019-01-31T00:20", &[("k", "1 2")]),
    ),
    ("epoch/s.csv", "--time-unit|s", Read("2019-01-31T00:10 2019-01-31T00:20", &[("k", "1 2")])),
    ("hobo/boxcar.txt", "", Refused(&["line 2", "--day-first"])),
    (
        "hobo/boxcar.txt",
        "--no-day-first",
        Read(
            "2003-07-07T10:45:40 2003-07-07T11:45:40 2003-07-07T12:45:40",
            &[("k/RH (%) c:3", "48.3 49.1 45.7")],
        ),
    ),
    ("hobo/hobo.csv", "", Refused(&["line 3", "--day-first"])),
    ("hobo/hobo.csv", "--skip-lines|1", Refused(&["--index \"Date Time, GMT+01:00\""])),
    (
        "hobo/hobo.csv",
        "--no-day-first",
        Read(
            "2024-07-03T09:45:40 2024-07-03T10:45:40 2024-07-03T11:45:40 2024-07-03T12:45:40",
            &[("k/#", "1 2 3 4"), ("k/Host Connected (LGR S/N: 20881234)", "_ _ _ Logged")],
        ),
    ),
    (
        "influx/annotated.csv",
        "",
        Read(
            "2024-05-08T20:50:00 2024-05-08T20:50:20 2024-05-08T20:50:00",
            &[("k/_value", "15.43 59.25 62.73"), ("k/host", "A A B"), ("k/table", "0 0 1")],
        ),
    ),
    ("influx/v1.csv", "", Refused(&["--index \"time\""])),
    (
        "influx/v1.csv",
        "--index|time|--time-unit|ns",
        Read("2019-01-31T00:10 2019-01-31T00:20", &[("k/value", "7251 6923")]),
    ),
    ("latin1/temp.csv", "", Refused(&["line 1", "--encoding latin-1"])),
    (
        "latin1/temp.csv",
        "--encoding|latin-1",
        Read("2024-01-01T00:00 2024-01-01T01:00", &[("k", "7.5 7.6")]),
    ),
    ("latin1/utf16.csv", "", Read("2024-01-01T00:00 2024-01-01T01:00", &[("k", "7.5 7.6")])),
    (
        "midnight24/early.csv",
        "",
        Read(
            "2024-01-29T22:00 2024-01-29T23:00 2024-01-30T00:00 2024-01-30T01:00",
            &[("k", "1 2 3 4")],
        ),
    ),
    ("openquote/note.csv", "", Refused(&["line 3", "quote"])),
    ("openquote/mac.csv", "", Read("2024-01-01T00:00 2024-01-01T01:00", &[("k", "1 1.1")])),
    ("openquote/mixedoffset.csv", "", Refused(&["line 3", "offset"])),
    ("openquote/depth_m.csv", "--tz|UTC", Refused(&["--tz", "1 m"])),
    ("openquote/utc.csv", "", Read("2024-01-01T00:00 2024-01-01T01:00", &[("k", "1 2")])),
    ("openquote/sentinel.csv", "", Refused(&["line 4", "1e400"])),
    (
        "openquote/sentinel.csv",
        "--missing|-9999|--bad-cells|missing",
        Read("2024-01-01T00:00 2024-01-01T01:00 2024-01-01T02:00", &[("k", "1 _ _")]),
    ),
    ("openquote/nul.csv", "", Refused(&["line 4"])),
    ("openquote/missingidx.csv", "", Refused(&["line 3"])),
    ("openquote/compact.csv", "", Read("20100101 20100102", &[("k", "1 2")])),
    (
        "openquote/compact.csv",
        "--time-format|%Y%m%d",
        Read("2010-01-01 2010-01-02", &[("k", "1 2")]),
    ),
    ("openquote/thou_unquoted.csv", "", Refused(&["line 2"])),
    ("openquote/floatidx.csv", "", Read("1 2 2.5", &[("k", "1 2 3")])),
    ("parquet/pandas_frame.parquet", "", Read(PANDAS, &[("k/a", "10 20 30"), ("k/b", "1 2 3")])),
    (
        "parquet/pandas_frame_named.parquet",
        "",
        Read(PANDAS, &[("k/a", "10 20 30"), ("k/b", "1 2 3")]),
    ),
    ("parquet/pandas_one.parquet", "", Read(PANDAS, &[("k", "10 20 30")])),
    ("parquet/pandas_one_named.parquet", "", Read(PANDAS, &[("k", "10 20 30")])),
    ("parquet/polars_nullindex.parquet", "", Refused(&["1 missing"])),
    ("preamble/ibutton.csv", "", Refused(&["--skip-lines 4"])),
    ("preamble/ibutton.csv", "--skip-lines|4", Refused(&["line 6", "--day-first"])),
    (
        "preamble/ibutton.csv",
        "--skip-lines|4|--no-day-first",
        Read("2015-04-12T11:04:01 2015-04-12T11:14:01", &[("k/Value", "36.551 38.562")]),
    ),
    ("preamble/pbo.csv", "", Refused(&["--skip-lines 3"])),
    (
        "preamble/pbo.csv",
        "--skip-lines|3",
        Read(
            "2007-05-18 2007-05-19",
            &[("k/North (mm)", "3.07 2.36"), ("k/East (mm)", "-2.69 -2.72")],
        ),
    ),
    (
        "quoted/allquoted.csv",
        "",
        Read(
            "2024-01-01T00:00 2024-01-01T01:00 2024-01-01T02:00",
            &[("k/flow", "1.5 2.5 _"), ("k/count", "10 11 12")],
        ),
    ),
    ("quoted/step_quoted.csv", "", Read("0 1 2", &[("k", "100 98.5 97")])),
    ("quoted/behaviorspace.csv", "", Read("1 1 2", &[("k/[step]", "0 1 0")])),
    (
        "reheader/log.csv",
        "",
        Read(
            "2024-01-01T00:00 2024-01-01T01:00 2024-01-01T02:00 2024-01-01T03:00",
            &[("k", "1 1.1 1.2 1.3")],
        ),
    ),
    ("sumo/fcd.csv", "", Read("0 0 1 1", &[("k/vehicle_id", "veh0 veh1 veh0 _")])),
    ("thousands/german_nodec.csv", "", Read(DAYS, &[("k", "987.5 1299 1300")])),
    ("thousands/german.csv", "", Read(DAYS, &[("k", "987.5 1299 1300.75")])),
    ("thousands/english_quoted.csv", "", Refused(&["line 3", "1,299", "--decimal"])),
    ("thousands/english_quoted.csv", "--decimal|.", Read(DAYS, &[("k", "987 1299 12300")])),
    ("toa5/weir.csv", "", Read(WEIR, &[("k/level_m", "0.412 _ 0.417 0.42")])),
    ("toa5/weir.dat", "", Read(WEIR, &[("k/temp_C", "7.31 7.28 7.25 _")])),
    ("toa5/weir_onehead.csv", "", Read(WEIR, &[("k/level_m", "0.412 _ 0.417 0.42")])),
    (
        "trailing/dup.csv",
        "",
        Read(
            "2024-01-01T00:00 2024-01-01T01:00",
            &[("k/temp", "1.5 1.6"), ("k/temp_2", "2.5 2.6")],
        ),
    ),
    ("trailing/trail.csv", "", Read("2024-01-01T00:00 2024-01-01T01:00", &[("k", "1.5 1.6")])),
    (
        "zeropad/nmea.csv",
        "",
        Read(
            "2024-01-01T00:00:00 2024-01-01T00:00:01 2024-01-01T00:00:02",
            &[("k/depth", "4.2 4.3 12.1"), ("k/heading", "89.5 90 101.5")],
        ),
    ),
    (
        "tickcsv/histdata.csv",
        "",
        Read(
            "2012-02-01T00:00:03.660 2012-02-01T00:00:03.973 2012-02-01T00:00:05.003",
            &[("k/column_2", "1.3066 1.30658 1.30659")],
        ),
    ),
    (
        "tickcsv/dukascopy.csv",
        "",
        Read("2013-03-01T00:00:00.605 2013-03-01T00:00:00.665", &[("k/Ask", "1581.15 1581.171")]),
    ),
    (
        "tickcsv/mt4bars.csv",
        "",
        Read("2011-12-08T18:49 2011-12-08T18:50", &[("k/column_7", "30 19")]),
    ),
    (
        "tickcsv/mt5.csv",
        "",
        Read(
            "2024-03-01T00:00:00.060 2024-03-01T00:00:00.403 2024-03-01T00:00:01.120",
            &[("k/<BID>", "1.0821 1.08211 _"), ("k/<ASK>", "1.08222 _ 1.08224")],
        ),
    ),
];

const PANDAS: &str = "2023-12-31T23:00 2024-01-01T00:00 2024-01-01T01:00";
const DAYS: &str = "2024-01-01 2024-01-02 2024-01-03";
const WEIR: &str = "2024-03-01T00:10 2024-03-01T00:20 2024-03-01T00:30:00.05 2024-03-01T00:40";

fn cases() -> PathBuf {
    shared("cases")
}

/// Goal: each file of a logger or another program is read with the right values, or refused with the line and the option that
/// decides.
#[needs(cases)]
#[test]
fn files_of_others_are_read_right_or_refused() {
    let cases = cases();
    let wrong = |(file, options, expected): &(&str, &str, Expect)| {
        check(&cases.join(file), options, expected).err()
    };
    let wrong: Vec<String> = CASES.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Texts with the same faults, and their neighbours.
const TEXTS: &[(&str, &str, Expect)] = &[
    // A time that cannot be read, far down.
    ("t,v\n2024-01-01,1\n2024-01-02,2\nsoon,3\n", "", Refused(&["line 4", "soon"])),
    ("t,v\n2024-01-01,1\n2024-13-02,2\n2024-01-03,3\n", "", Refused(&["line 3", "2024-13-02"])),
    ("t,v\n2024-13-01,1\n2024-14-01,1\n", "", Refused(&["line 2", "--time-format"])),
    ("time,v\nMon 3pm,1\nTue 4pm,2\n", "", Refused(&["line 2", "--text"])),
    ("t,v\n2024-01-01 00:00 CEST,1\n", "", Refused(&["line 2"])),
    // Day or month first, over the whole column.
    ("t,v\n01/02/2024,1\n02/13/2024,2\n", "", Read("2024-01-02 2024-02-13", &[("k", "1 2")])),
    ("t,v\n01/02/2024,1\n03/02/2024,2\n", "", Refused(&["line 2", "--day-first"])),
    (
        "t,v\n01/02/2024,1\n03/02/2024,2\n",
        "--day-first",
        Read("2024-02-01 2024-02-03", &[("k", "1 2")]),
    ),
    ("t,v\n13/01/2024,1\n14/01/2024,2\n01/15/2024,3\n", "", Refused(&["line 4", "01/15/2024"])),
    ("t,v\n2/1/24,1\n", "--time-format|%d/%m/%y", Read("2024-01-02", &[("k", "1")])),
    // A skipped hour, and one that is shown twice.
    ("t,v\n2024-03-31 02:30,1\n", "--tz|Europe/Madrid", Refused(&["line 2", "--nonexistent"])),
    (
        "t,v\n2024-03-31 02:30,1\n",
        "--tz|Europe/Madrid|--nonexistent|shift",
        Read("2024-03-31T01:00", &[("k", "1")]),
    ),
    (
        "t,v\n2024-10-27 01:00,1\n2024-10-27 02:00,2\n2024-10-27 03:00,3\n",
        "--tz|Europe/Madrid",
        Refused(&["line 3", "--ambiguous earliest"]),
    ),
    (
        "t,v\n2024-10-27 01:00,1\n2024-10-27 02:00,2\n2024-10-27 03:00,3\n",
        "--tz|Europe/Madrid|--ambiguous|latest",
        Read("2024-10-26T23:00 2024-10-27T01:00 2024-10-27T02:00", &[("k", "1 2 3")]),
    ),
    ("t,v\n1,1\n2,2\n", "--tz|UTC", Refused(&["--tz"])),
    ("t,v\na,1\nb,2\n", "--tz|UTC", Refused(&["--tz"])),
    // A length is no span.
    ("depth,v\n1m,1\n2m,2\n", "", Read("1m 2m", &[("k", "1 2")])),
    ("lap,v\n1h,1\n2h,2\n", "", Read("3600000000000ns 7200000000000ns", &[("k", "1 2")])),
    // Numbers.
    ("t;v\n1;1.299\n2;1.300\n", "", Refused(&["line 2", "1.299", "--decimal"])),
    ("t;v\n1;1.299\n2;1.300\n", "--decimal|,", Read("1 2", &[("k", "1299 1300")])),
    ("t;v\n1;1.299\n2;1.300\n", "--decimal|.", Read("1 2", &[("k", "1.299 1.3")])),
    // Another column tells the decimal mark, and no factor of 1,000.
    ("t;v;w\n1;1.299;0,5\n2;1.300;2\n", "", Refused(&["line 2", "1.299", "--decimal"])),
    ("t;v;w\n1;1,299;0,5\n2;1,300;2\n", "", Read("1 2", &[("k/v", "1.299 1.3"), ("k/w", "0.5 2")])),
    ("t,v\n1,1.299\n2,1.300\n", "", Read("1 2", &[("k", "1.299 1.3")])),
    ("t;v\n1;1 299,5\n2;12 300\n", "--thousands| ", Read("1 2", &[("k", "1299.5 12300")])),
    ("t,v\n1,5\n2,x\n3,7\n", "", Refused(&["line 3", "\"x\"", "--text"])),
    ("t,v\n1,5\n2,x\n3,7\n", "--text|v", Read("1 2 3", &[("k", "5 x 7")])),
    ("t,v\n1,5\n2,x\n3,y\n", "", Read("1 2 3", &[("k", "5 x y")])),
    ("t,v\n1,1\n2,NULL\n3,1.#QNAN\n", "", Read("1 2 3", &[("k", "1 _ _")])),
    // Numbers that a float does not hold are no numbers of a column of floats.
    ("t,v\n1,9007199254740993\n2,0.5\n", "", Refused(&["line 2", "64 bits", "--bad-cells"])),
    ("t,v\n1,9007199254740993\n2,0.5\n", "--bad-cells|missing", Read("1 2", &[("k", "_ 0.5")])),
    ("t,v\n1,9007199254740992\n2,0.5\n", "", Read("1 2", &[("k", "9007199254740992 0.5")])),
    ("t,v\n1,123456789012345678901\n2,1\n", "", Refused(&["line 2", "64 bits"])),
    ("t,v\n1,1\n2,1e-400\n", "", Refused(&["line 3", "1e-400", "64 bits"])),
    ("t,v\n0.5,1\n9007199254740993,2\n", "", Refused(&["line 3", "64 bits"])),
    // A missing value is the number that it is.
    ("t,v\n1,-999.0\n2,5\n3,-999\n", "--missing|-999", Read("1 2 3", &[("k", "_ 5 _")])),
    ("t;v\n1;-999,00\n2;5,5\n", "--missing|-999", Read("1 2", &[("k", "_ 5.5")])),
    (
        "t,v\n1,-999.0\n2,a\n3,-999\n4,b\n5,c\n",
        "--missing|-999|--text|v",
        Read("1 2 3 4 5", &[("k", "-999.0 a _ b c")]),
    ),
    (
        "t;v\n1;1\u{a0}299,5\n2;12\u{202f}300\n",
        "--thousands| ",
        Read("1 2", &[("k", "1299.5 12300")]),
    ),
    // Date and time of day, in digits and in either order.
    (
        "Date,Time,v\n20240101,000000,1\n20240101,153000,2\n",
        "",
        Read("2024-01-01T00:00 2024-01-01T15:30", &[("k", "1 2")]),
    ),
    ("Date,Time,v\n2024-01-01,00:00,1\n2024-01-01,05:0o,2\n", "", Refused(&["--time-column"])),
    ("Date,Time,v\n2024-01-01,05:00+01:00,1\n", "", Refused(&["--time-column"])),
    // Zones that are mistyped, or no zones.
    (
        "t,v\n2024-01-01,1\n",
        "--tz|Europe/Madird",
        Refused(&["near it: Europe/Madrid", "\"Europe/Madird\""]),
    ),
    ("t,v\n2024-01-01,1\n", "--tz|madrid", Refused(&["near it: Europe/Madrid"])),
    ("t,v\n2024-01-01,1\n", "--tz|Xqzzzzwy", Refused(&["IANA", "as Europe/Madrid"])),
    ("t,v\n1,1\n", "--skip-lines|20", Refused(&["the 20 lines of --skip-lines", "2 lines in all"])),
    ("t,v\n1,1.234.567\n2,2.5\n", "", Refused(&["line 3", "--decimal \".\" or --decimal \",\""])),
    // A date without its time is not midnight.
    (
        "Date,Time,v\n2024-01-01,05:00,1\n2024-01-02,,2\n",
        "--date-column|Date|--time-column|Time",
        Refused(&["line 3", "a value of the index"]),
    ),
    (
        "Date,Time,v\n2024-01-01,00:00,1\n2024-01-01,05:0o,2\n",
        "--date-column|Date|--time-column|Time",
        Refused(&["line 3", "05:0o"]),
    ),
    (
        "Date,Time,v\n2024-01-01,early,1\n2024-01-02,late,2\n",
        "--text|Time",
        Read("2024-01-01 2024-01-02", &[("k/Time", "early late"), ("k/v", "1 2")]),
    ),
    ("t,v\n2024-01-01,1\n", "--header|--no-header", Refused(&["--no-header"])),
    (
        "Time,Date,v\n00:15,2024-01-01,1\n00:30,2024-01-01,2\n",
        "",
        Read("2024-01-01T00:15 2024-01-01T00:30", &[("k", "1 2")]),
    ),
    (
        "id,n,v\n20240101,000000,1\n20240102,153000,2\n",
        "",
        Read("20240101 20240102", &[("k/n", "0 153000")]),
    ),
    // What the name of the column says of the zone.
    ("time (UTC),v\n2024-01-01 00:00,1\n", "", Read("2024-01-01T00:00Z", &[("k", "1")])),
    ("\"Time, GMT+01:00\",v\n2024-01-01 00:00,1\n", "", Read("2023-12-31T23:00Z", &[("k", "1")])),
    (
        "\"Time, GMT+01:00\",v\n2024-01-01 00:00,1\n",
        "--tz|America/New_York",
        Read("2024-01-01T05:00Z", &[("k", "1")]),
    ),
    // A unit that makes times of another age.
    (
        "time,v\n1730426400123,1\n",
        "--time-unit|s",
        Refused(&["line 2", "the year 56", "--time-unit ms gives 2024"]),
    ),
    // Lines before the header.
    ("sep=;\ntime;v\n2024-01-01;1,5\n", "", Read("2024-01-01", &[("k", "1.5")])),
    ("\"sep=,\"\r\ntime,v\r\n2024-01-01,1.5\r\n", "", Read("2024-01-01", &[("k", "1.5")])),
    ("# a, b\n# c, d\ntime,v\n2024-01-01,1\n", "", Refused(&["--skip-lines 2"])),
    ("#time,v\n2024-01-01,1\n", "", Read("2024-01-01", &[("k", "1")])),
    ("# t,v\na,b\n", "--header", Read("a", &[("k", "b")])),
    ("\n\n", "", Refused(&["an empty file"])),
    // A quote within a text.
    ("t,v\n1,\"c\"d\"\n2,e\n", "", Refused(&["line 2", "quote"])),
    ("t,v\n1,\"c\"\"d\" \n2,e\n", "", Read("1 2", &[("k", "c\"d e")])),
    // Shape.
    ("t,v\n1,a\rb\n", "", Refused(&["line 2", "carriage return"])),
    ("a,b\n1,2\n3,4,5\n", "", Refused(&["line 3"])),
    ("1,2\n3,4\n", "", Refused(&["line 1", "--no-header"])),
    ("1,2\n3,4\n", "--no-header", Read("1 3", &[("k", "2 4")])),
    ("1,2\n3,4\n", "--header", Read("3", &[("k", "4")])),
    ("t,v,n\n1,2,\"a\n3,4,b\n5,6,\"c\n", "", Refused(&["line 2", "quote"])),
    ("name,x,time\na,1,2024-01-01\na,2,2024-01-02\n", "", Refused(&["--index \"time\""])),
    ("t,v\n1,2,\n3,4,\n", "", Read("1 3", &[("k", "2 4")])),
];

/// Goal: the neighbours of those faults are read right or refused too.
#[test]
fn texts_are_read_right_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text.csv");
    let wrong = |(text, options, expected): &(&str, &str, Expect)| {
        std::fs::write(&file, text).unwrap();
        check(&file, options, expected).err().map(|wrong| format!("{text:?} {wrong}"))
    };
    let wrong: Vec<String> = TEXTS.iter().filter_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Goal: an import says what it took each column for, and a dry run says it and makes no file.
#[test]
fn an_import_says_what_it_understood() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("davis.csv");
    let text =
        "time;flow;flow\n02/08/2022 15:30;1,5;a\n13/08/2022 15:40;?;b\n14/08/2022 15:40;2;c\n";
    std::fs::write(&file, text).unwrap();
    let options = "--tz|Europe/Madrid|--bad-cells|missing";
    let reported = [
        "davis.csv: 3 rows",
        "  time: timestamps of Europe/Madrid, day first",
        "  flow: numbers with a decimal comma, 1 left out: \"?\" (line 3)",
        "  flow_2: texts",
        "  note: column 3: \"flow\" again, named \"flow_2\"",
    ];
    let dry = import(folder.path(), &file, &format!("{options}|--dry-run"));
    let lines: Vec<&str> = dry.out.lines().collect();
    assert!(lines[0].ends_with(reported[0]), "{dry:?}");
    assert_eq!(lines[1..5], reported[1..], "{dry:?}");
    assert_eq!(lines[5..], ["k/flow: 3 points", "k/flow_2: 3 points"], "{dry:?}");
    assert!(dry.code == 0 && !folder.path().join("x.db").exists(), "{dry:?}");
    let json = import(folder.path(), &file, &format!("{options}|--dry-run|--json")).json();
    assert_eq!(json["files"][0]["columns"][1]["bad_cells"], 1, "{json}");
    let ran = import(folder.path(), &file, options);
    assert!(reported.iter().all(|line| ran.err.contains(line)), "{ran:?}");
    assert!(ran.code == 0 && folder.path().join("x.db").exists(), "{ran:?}");
}

/// Goal: the units that a logger writes below the header are kept.
#[test]
fn units_of_a_header_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weir.dat");
    let text = "\"TOA5\",\"ST12\"\n\"TIMESTAMP\",\"level\"\n\"TS\",\"m\"\n\"\",\"Avg\"\n\"2024-03-01 00:10:00\",0.4\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(import(folder.path(), &file, "").code, 0);
    let store = series::open(&format!("sqlite:{}/x.db", folder.path().display())).unwrap();
    assert_eq!(store.load("k").unwrap().1["units"], "m");
}

/// Goal: a text that is packed by gzip or zstd is read as what is in it, and the key is its name without both endings.
#[test]
fn a_packed_text_is_read() {
    // "t,v\n2024-01-01,1.5\n", packed by gzip.
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\xd1\x29\xe3\x32\x32\x30\x32\xd1\x35\x30\x04\x22\x1d\x43\x3d\x53\x2e\x00\x1a\xe9\xc9\xa7\x13\x00\x00\x00";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.csv.gz");
    std::fs::write(&file, packed).unwrap();
    let mut command = command(folder.path());
    command.args(["series", "import", "log.csv.gz", "--to", "x.db", "--json"]);
    let ran: Ran = command.output().unwrap().into();
    assert_eq!(ran.json()["files"][0]["series"][0]["key"], "log/v", "{ran:?}");
    // The same, packed by zstd.
    let zstd = b"\x28\xb5\x2f\xfd\x04\x58\x99\x00\x00t,v\n2024-01-01,1.5\n\x79\xac\x58\x41";
    std::fs::write(folder.path().join("log.csv.zst"), zstd).unwrap();
    let ran = silt(folder.path(), "import series log.csv.zst -o x.db");
    assert!(ran.code == 0 && ran.out.contains("log/v: unchanged"), "{ran:?}");
    std::fs::write(&file, &packed[..packed.len() - 6]).unwrap();
    let cut = import(folder.path(), &file, "--overwrite");
    assert!(cut.code == 2 && cut.err.contains("the packed text is damaged"), "{cut:?}");
    let bzip2 = folder.path().join("log.csv.bz2");
    std::fs::write(&bzip2, b"BZh91AY&SY").unwrap();
    let other = import(folder.path(), &bzip2, "");
    assert!(other.code == 2 && other.err.contains("packed by bzip2: unpack it first"), "{other:?}");
}

/// Goal: a mistyped scheme of a store makes no file of that name.
#[test]
fn a_mistyped_scheme_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), "t,v\n2024-01-01,1\n").unwrap();
    for to in ["sqlit:x.db", "postgres:x"] {
        let mut command = command(folder.path());
        let ran: Ran =
            command.args(["series", "import", "t.csv", "--to", to]).output().unwrap().into();
        assert_eq!(ran.code, 2, "{ran:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
