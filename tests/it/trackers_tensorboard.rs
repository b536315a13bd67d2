//! Event files of TensorBoard, written here byte by byte: whole, growing, damaged and hostile.

use std::fs;
use std::io::Write;
use std::path::Path;

use siltstone::experiment::ExperimentDatabase;
use siltstone::experiment::trackers::Kind;

use crate::trackers::{content, imported, info, points, rows, text};
use crate::trackers_compact::same_in_blocks;

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1)))
    })
}

fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8).to_le_bytes()
}

fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), bytes, &masked(bytes)].concat()
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n > 0x7F {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

fn number(field: u64, n: i64) -> Vec<u8> {
    [varint(field << 3), varint(n as u64)].concat()
}

fn double(field: u64, x: f64) -> Vec<u8> {
    [varint(field << 3 | 1), x.to_le_bytes().to_vec()].concat()
}

/// A field of bytes of a protocol buffer.
pub(crate) fn bytes(field: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn doubles(field: u64, items: &[f64]) -> Vec<u8> {
    bytes(field, &items.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}

/// An event with values of a summary.
fn event(wall_s: f64, step: i64, values: &[Vec<u8>]) -> Vec<u8> {
    let summary: Vec<u8> = values.iter().flat_map(|value| bytes(1, value)).collect();
    record(&[double(1, wall_s), number(2, step), bytes(5, &summary)].concat())
}

fn scalar(tag: &str, x: f32) -> Vec<u8> {
    let value = [varint(2 << 3 | 5), x.to_le_bytes().to_vec()].concat();
    [bytes(1, tag.as_bytes()), value].concat()
}

fn plugin(name: &str, kept: &[u8]) -> Vec<u8> {
    bytes(9, &bytes(1, &[bytes(1, name.as_bytes()), bytes(2, kept)].concat()))
}

fn tensor(tag: &str, name: &str, tensor: &[Vec<u8>]) -> Vec<u8> {
    [bytes(1, tag.as_bytes()), plugin(name, b""), bytes(8, &tensor.concat())].concat()
}

/// A histogram of two buckets: its tag, the sum of what was counted, the counts.
fn histogram(tag: &str, sum: f64, counts: &[f64]) -> Vec<u8> {
    let moments =
        [double(1, -1.0), double(2, 2.0), double(3, 3.0), double(4, sum), double(5, 5.25)];
    let buckets = [doubles(6, &[0.0, f64::MAX]), doubles(7, counts)];
    [bytes(1, tag.as_bytes()), bytes(5, &[moments.concat(), buckets.concat()].concat())].concat()
}

/// A text.
fn note(tag: &str, text: &str) -> Vec<u8> {
    tensor(
        tag,
        "text",
        &[number(1, 7), bytes(2, &bytes(2, &number(1, 1))), bytes(8, text.as_bytes())],
    )
}

fn begin() -> Vec<u8> {
    record(&[double(1, 1.7e9), bytes(3, b"brain.Event:2")].concat())
}

fn write(path: impl AsRef<Path>, data: &[u8]) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, data).unwrap();
}

const NAME: &str = "events.out.tfevents.1700000000.host.1.0";

/// Goal: scalars of both forms, texts, histograms, arrays and hyperparameters come back as they were, to the bit.
#[test]
fn events_of_every_kind_are_imported() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, file) = (folder.path().join("logs"), folder.path().join("runs.db"));
    let weights = histogram("weights", 1.5, &[1.0, 2.0]);
    let pair =
        |name: &str, value: &[u8]| bytes(1, &[bytes(1, name.as_bytes()), bytes(2, value)].concat());
    let start = bytes(
        3,
        &[pair("lr", &double(2, 0.1)), pair("opt", &bytes(3, b"adam")), pair("big", &number(4, 1))]
            .concat(),
    );
    let end = bytes(4, &[number(1, 1), double(2, 1.7e9 + 60.0)].concat());
    let shape = |n: i64| bytes(2, &bytes(2, &number(1, n)));
    let data = [
        begin(),
        event(1.7e9 + 0.25, 0, &[scalar("loss", 0.5), scalar("acc", f32::NAN)]),
        event(1.7e9 + 1.000_499_6, 1, &[scalar("loss", f32::NEG_INFINITY)]),
        // The second form: a tensor of no dimension, the plugin in the first event alone.
        event(
            1.7e9,
            0,
            &[tensor("v2", "scalars", &[number(1, 1), bytes(5, &0.25f32.to_le_bytes())])],
        ),
        event(
            1.7e9,
            1,
            &[[
                bytes(1, b"v2"),
                bytes(8, &[number(1, 2), bytes(4, &1e-300f64.to_le_bytes())].concat()),
            ]
            .concat()],
        ),
        event(1.7e9, 3, &[note("note", "grüezi")]),
        event(1.7e9, 4, &[weights]),
        event(
            1.7e9,
            5,
            &[tensor(
                "curve",
                "pr_curves",
                &[number(1, 9), shape(2), bytes(10, &[varint(7), varint(u64::MAX)].concat())],
            )],
        ),
        event(
            1.7e9,
            6,
            &[tensor("picture", "images", &[number(1, 7), shape(1), bytes(8, &[0xFF, 0xD8])])],
        ),
        event(
            1.7e9,
            0,
            &[[bytes(1, b"_hparams_/session_start_info"), plugin("hparams", &start)].concat()],
        ),
        event(
            1.7e9,
            0,
            &[[bytes(1, b"_hparams_/session_end_info"), plugin("hparams", &end)].concat()],
        ),
    ];
    write(logs.join("train").join(NAME), &data.concat());
    write(logs.join(NAME), &[begin(), event(1.7e9, 0, &[scalar("x", 1.0)])].concat());
    write(logs.join("train/readme.md"), b"x");
    let report = imported(Kind::Tensorboard, &logs, &file);
    assert_eq!(report.imported, ["logs", "train"]);
    same_in_blocks(Kind::Tensorboard, &logs);
    assert!(report.skipped.is_empty() && report.notes.is_empty(), "{report:?}");
    assert_eq!((report.found.points, report.found.texts, report.found.arrays), (6, 1, 2));
    let left = [("other files".to_owned(), 1), ("values of the plugin \"images\"".to_owned(), 1)];
    assert_eq!(report.not_carried, left);
    let bits = |x: f64| x.to_bits();
    let found = points(&file, "train", "loss");
    let first = (0, bits(0.5), Some(1_700_000_000_250));
    assert_eq!(found, [first, (1, bits(f64::NEG_INFINITY), Some(1_700_000_001_000))]);
    assert!(f64::from_bits(points(&file, "train", "acc")[0].1).is_nan());
    let v2: Vec<u64> = points(&file, "train", "v2").iter().map(|point| point.1).collect();
    assert_eq!(v2, [bits(0.25), bits(1e-300)]);
    let run = info(&file, "train");
    assert_eq!((run.status.as_str(), &run.parameters["lr"]), ("completed", &0.1.into()));
    assert_eq!((&run.parameters["opt"], &run.parameters["big"]), (&"adam".into(), &true.into()));
    assert_eq!(run.experiment_id.as_deref(), Some("logs"));
    assert_eq!(info(&file, "logs").status, "unknown");
    let texts = rows(&file, "SELECT name || step || text FROM texts");
    assert_eq!(text(&texts[0][0]), "note3grüezi");
    let moments = rows(&file, "SELECT min, max, num, sum, sum_squares FROM histograms");
    let moments: Vec<String> = moments[0].iter().map(text).collect();
    assert_eq!(moments, ["-1.0", "2.0", "3.0", "1.5", "5.25"]);
    let db = ExperimentDatabase::open_read_only(&file).unwrap();
    let (step, buckets) = db.array("train", "weights", None).unwrap();
    assert_eq!((step, buckets.shape()), (4, &[2, 2][..]));
    assert_eq!(buckets.to_vec::<f64>().unwrap(), [0.0, 1.0, f64::MAX, 2.0]);
    assert_eq!(db.array("train", "curve", None).unwrap().1.to_vec::<i64>().unwrap(), [7, -1]);
    drop(db);
    let before = content(&file);
    assert_eq!(imported(Kind::Tensorboard, &logs, &file).unchanged, ["logs", "train"]);
    assert_eq!(content(&file), before);
    // A copy of its runs, whose folder has another name.
    let copy = folder.path().join("copy");
    fs::create_dir_all(copy.join("train")).unwrap();
    for entry in fs::read_dir(logs.join("train")).unwrap().flatten() {
        fs::copy(entry.path(), copy.join("train").join(entry.file_name())).unwrap();
    }
    let copied = imported(Kind::Tensorboard, &copy, &file);
    assert_eq!((copied.unchanged, copied.skipped), (vec!["train".to_owned()], vec![]));
    assert_eq!(content(&file), before);
}

/// Goal: a text or a histogram that was changed is named and nothing of it is stored; one that was logged again beside the first
/// is stored, and its array takes the place of the first.
#[test]
fn a_changed_text_or_histogram_is_a_conflict() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, file) = (folder.path().join("logs"), folder.path().join("runs.db"));
    let path = logs.join(NAME);
    let first = event(1.7e9, 0, &[note("note", "one"), histogram("h", 1.5, &[1.0, 2.0])]);
    write(&path, &[begin(), first.clone()].concat());
    assert_eq!(imported(Kind::Tensorboard, &logs, &file).rows, 3);
    let before = content(&file);

    let changed = event(1.7e9, 0, &[note("note", "two"), histogram("h", 2.5, &[3.0, 0.0])]);
    write(&path, &[begin(), changed.clone()].concat());
    let report = imported(Kind::Tensorboard, &logs, &file);
    let [conflict] = &report.skipped[..] else { panic!("{report:?}") };
    let why = "run logs: the row of texts, note at step 0: another is stored; the row of histograms, h at step 0: another \
        is stored; the array h at step 0: other items; the stored values stay";
    assert_eq!((conflict.rows, &*conflict.reason, report.rows), (3, why, 0));
    assert_eq!(content(&file), before, "what is changed is not stored beside");

    write(&path, &[begin(), first, changed].concat());
    let report = imported(Kind::Tensorboard, &logs, &file);
    assert_eq!((report.rows, report.skipped), (3, vec![]));
    let count = "SELECT (SELECT count(*) FROM texts), (SELECT count(*) FROM histograms)";
    assert_eq!(rows(&file, count)[0].iter().map(text).collect::<Vec<_>>(), ["2", "2"]);
    let (_, buckets) =
        ExperimentDatabase::open_read_only(&file).unwrap().array("logs", "h", None).unwrap();
    assert_eq!(buckets.to_vec::<f64>().unwrap(), [0.0, 3.0, f64::MAX, 0.0]);
    assert_eq!(imported(Kind::Tensorboard, &logs, &file).unchanged, ["logs"]);
}

/// Goal: of many arrays that are all changed each one is a conflict, of its row and of itself, and all of the first stay.
#[test]
fn many_changed_arrays_are_all_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, file) = (folder.path().join("logs"), folder.path().join("runs.db"));
    let [first, second] = [1.0, 2.0].map(|count| {
        let weights = histogram("h", count, &[count, 2.0]);
        let events = (0..20_000).map(|step| event(1.7e9, step, std::slice::from_ref(&weights)));
        write(logs.join(NAME), &[begin(), events.collect::<Vec<_>>().concat()].concat());
        let report = imported(Kind::Tensorboard, &logs, &file);
        (report.rows, report.skipped.first().map_or(0, |skipped| skipped.rows))
    });
    assert_eq!((first, second), ((40_000, 0), (0, 40_000)));
}

/// Goal: the last record of a live file may end anywhere: that is said, and the next import takes the rest.
#[test]
fn a_file_that_grows_is_imported_as_far_as_it_is() {
    let whole: Vec<Vec<u8>> =
        (0..3).map(|step| event(1.7e9, step, &[scalar("loss", step as f32)])).collect();
    let last = &whole[2];
    for cut in [1, 8, 11, 12, 13, last.len() - 4, last.len() - 1] {
        let folder = tempfile::tempdir().unwrap();
        let (logs, file) = (folder.path().join("logs"), folder.path().join("runs.db"));
        let path = logs.join(NAME);
        write(&path, &[begin(), whole[0].clone(), whole[1].clone(), last[..cut].to_vec()].concat());
        let report = imported(Kind::Tensorboard, &logs, &file);
        assert_eq!(
            (report.found.points, report.notes.len(), report.skipped.len()),
            (2, 1, 0),
            "{cut}"
        );
        let mut growing = fs::OpenOptions::new().append(true).open(&path).unwrap();
        growing.write_all(&last[cut..]).unwrap();
        let report = imported(Kind::Tensorboard, &logs, &file);
        assert_eq!((report.continued.len(), report.rows, report.notes.len()), (1, 1, 0), "{cut}");
        assert_eq!(points(&file, "logs", "loss").len(), 3);
    }
}

/// Goal: damage is named with its offset, lengths are no reason to make room, and what can be read is.
#[test]
fn damaged_and_hostile_event_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, file) = (folder.path().join("logs"), folder.path().join("runs.db"));
    let good = |step| event(1.7e9, step, &[scalar("loss", 1.0)]);
    let mut bad_bytes = good(1);
    *bad_bytes.last_mut().unwrap() ^= 1;
    write(logs.join("bytes").join(NAME), &[begin(), good(0), bad_bytes, good(2)].concat());
    let mut bad_length = good(1);
    bad_length[3] = 0x7F;
    write(logs.join("length").join(NAME), &[begin(), good(0), bad_length, good(2)].concat());
    // A length with a right checksum, of more than there is and of more than can be.
    for (name, length) in [("more", 1u64 << 30), ("most", u64::MAX)] {
        let length = length.to_le_bytes();
        let lie = [&length[..], &masked(&length), b"x"].concat();
        write(logs.join(name).join(NAME), &[begin(), good(0), lie].concat());
    }
    write(logs.join("no").join(NAME), b"this is no event file at all");
    write(logs.join("empty").join(NAME), b"");
    // Right records with wrong messages in them, and a tensor that says it is of 2^60 items.
    let huge = [number(1, 1), bytes(2, &bytes(2, &number(1, 1 << 60))), bytes(5, &[0; 4])];
    let wide = [number(1, 1), bytes(2, &bytes(2, &number(1, 1 << 28))), bytes(5, &[0; 4])];
    let values = [
        tensor("huge", "", &huge),
        tensor("wide", "", &wide),
        scalar("", 1.0),
        scalar(&"x".repeat(300), 1.0),
        scalar("../../up", 1.0),
    ];
    write(
        logs.join("messages").join(NAME),
        &[begin(), record(&[0x2A, 0xFF, 0x7F]), event(1.7e9, -1, &values), good(0)].concat(),
    );
    let report = imported(Kind::Tensorboard, &logs, &file);
    let reasons: Vec<String> = report.skipped.iter().map(ToString::to_string).collect();
    for name in ["bytes", "length", "most", "no", "messages"] {
        assert!(
            reasons.iter().any(|reason| reason.contains(&format!("logs/{name}"))),
            "{name} in {reasons:#?}"
        );
    }
    assert_eq!(
        report.notes.len(),
        3,
        "a part of a record, and two without any: {:?}",
        report.notes
    );
    let n = |run: &str| points(&file, run, "loss").len();
    assert_eq!([n("bytes"), n("length"), n("more"), n("most"), n("messages")], [2, 1, 1, 1, 1]);
    let below = rows(&file, "SELECT name, point_step FROM metric_points");
    assert_eq!(below[0].iter().map(text).collect::<Vec<_>>(), ["../../up", "-1"]);
    assert!(
        report.not_carried.iter().any(|(what, n)| what.contains("tensors") && *n == 2),
        "{report:?}"
    );
}
