//! Datasets of signals: names, histories, and what a backend has of them.

use std::sync::Arc;

use proptest::prelude::*;
use siltstone::series::tree::{
    Dataset, FunctionInfo, Input, Made, NewSignal, Output, ProcessingStep, ProcessingType, Signal,
    SignalRecord,
};
use siltstone::series::{MemoryBackend, ParquetBackend, Series, SqliteBackend, StorageBackend};
use siltstone::{Error, Result};

fn points(n: i64) -> Series {
    let times: Vec<i64> = (0..n).map(|i| i * 1_000_000_000).collect();
    let values: Vec<f64> = (0..n).map(|i| i as f64 * 0.5).collect();
    Series::from_times_ns(&times, &values).unwrap()
}

fn step(suffix: &str) -> ProcessingStep {
    let source = Some(format!("fn {suffix}() {{ /* the text of a function */ }}"));
    let function = FunctionInfo { source_code: source, ..FunctionInfo::new(suffix, "1") };
    ProcessingStep::new(ProcessingType::Resampling, function, suffix)
}

/// One output for each input: its first half.
fn half(inputs: &[Series]) -> Result<Vec<Made>> {
    let one = |input: &Series| {
        let name = input.name().unwrap().to_owned();
        let step = ProcessingStep { input_series_names: vec![name], ..step("HALF") };
        (input.slice(0, input.len() / 2), vec![step])
    };
    Ok(inputs.iter().map(one).collect())
}

fn first(inputs: &[Input]) -> Result<Vec<NewSignal>> {
    let record = SignalRecord::new("JOINED", inputs[0].signal.units.clone());
    Ok(vec![NewSignal { record, series: vec![(inputs[0].series.clone(), vec![step("RAW")])] }])
}

fn backends(folder: &std::path::Path) -> Vec<Arc<dyn StorageBackend>> {
    vec![
        Arc::new(MemoryBackend::new()),
        Arc::new(ParquetBackend::open(folder.join("parquet")).unwrap()),
        Arc::new(SqliteBackend::open(folder.join("a.db")).unwrap()),
    ]
}

/// A series to compare: its name, what is known of it, its points.
type Content = (String, String, Series);

/// What a dataset is, to compare.
fn content(dataset: &Dataset) -> Vec<(SignalRecord, Vec<Content>)> {
    let series = |signal: &Signal| {
        let one = |ts: &siltstone::series::tree::TimeSeries| {
            (ts.name().to_owned(), format!("{:?}", ts.record()), ts.series().unwrap())
        };
        signal.series().iter().map(one).collect()
    };
    dataset.signals().iter().map(|signal| (signal.record().clone(), series(signal))).collect()
}

/// Goal: a dataset comes back whole from any backend: units, provenance, steps, source texts, points.
#[test]
fn a_dataset_is_rebuilt_from_its_backend() {
    let folder = tempfile::tempdir().unwrap();
    for backend in backends(folder.path()) {
        let mut plant = Dataset::create(backend.clone(), "plant/1").unwrap();
        plant.edit(|record| record.owner = Some("the works".into()));
        let mut signal = Signal::new("NH4/N", "mg/l").unwrap();
        signal.edit(|record| record.provenance.location = Some("line 1".into()));
        let name = plant.add(signal).unwrap();
        let signal = plant.signal_mut(&name).unwrap();
        assert_eq!(signal.add(points(8)).unwrap(), "NH4/N#1_RAW#1");
        assert_eq!(signal.add(points(6)).unwrap(), "NH4/N#1_RAW#2");
        let inputs = ["NH4/N#1_RAW#1", "NH4/N#1_RAW#2"];
        let made = signal.process(&inputs, half, &Output::next()).unwrap();
        assert_eq!(made, ["NH4/N#1_HALF#1", "NH4/N#1_HALF#2"]);
        let made = signal.process(&[&made[0]], half, &Output::named(&["QUARTER"])).unwrap();
        assert_eq!(made, ["NH4/N#1_QUARTER#1"]);
        plant.process(&[inputs[1], &made[0]], first, &Output::next()).unwrap();
        plant.save().unwrap();

        let again = Dataset::open(backend.clone(), "plant/1").unwrap();
        assert_eq!(again.record(), plant.record());
        assert!(again.signals().iter().flat_map(Signal::series).all(|ts| !ts.is_loaded()));
        assert_eq!(content(&again), content(&plant), "{}", backend.backend_type());
        let quarter = again.signal("NH4/N#1").unwrap().get("QUARTER#1").unwrap();
        let inputs: Vec<_> = quarter.steps().iter().map(|s| s.input_series_names.clone()).collect();
        assert_eq!(inputs, [["NH4/N#1_RAW#1"], ["NH4/N#1_HALF#1"]], "its own history, no other");
        assert!(quarter.steps()[1].function_info.source_code.as_ref().unwrap().contains("HALF"));
        let joined = again.signal("JOINED#1").unwrap().get("RAW#1").unwrap();
        assert_eq!(joined.steps().len(), 3, "the histories of both inputs, and its own step");
        assert_eq!(again.dependencies().len(), 5);
        assert_eq!(Dataset::list(backend.as_ref()).unwrap(), ["plant/1"]);
        assert_eq!(backend.list_records("function/").unwrap().len(), 2, "each source text once");
        assert_eq!(backend.list_keys("").unwrap().len(), 6);
    }
}

/// Goal: `replacing` replaces the latest of that name, and nothing else of it stays.
#[test]
fn overwriting_replaces_the_latest() {
    let folder = tempfile::tempdir().unwrap();
    for backend in backends(folder.path()) {
        let mut plant = Dataset::create(backend.clone(), "d").unwrap();
        let a = plant.add(Signal::new("A", "m").unwrap()).unwrap();
        let signal = plant.signal_mut(&a).unwrap();
        signal.add(points(8)).unwrap();
        signal.process(&["RAW#1"], half, &Output::next()).unwrap();
        signal.process(&["RAW#1"], half, &Output::next()).unwrap();
        signal.get_mut("RAW#1").unwrap().set_series(points(20));
        signal.save().unwrap();
        let made = signal.process(&["RAW#1"], half, &Output::next().replacing()).unwrap();
        assert_eq!(made, ["A#1_HALF#2"]);
        let again = Dataset::open(backend.clone(), "d").unwrap();
        let lengths: Vec<u64> =
            again.signal("A#1").unwrap().series().iter().map(|ts| ts.len().unwrap()).collect();
        assert_eq!(lengths, [20, 4, 10]);
        plant.process(&["A#1_RAW#1"], first, &Output::next()).unwrap();
        let made = plant.process(&["A#1_HALF#1"], first, &Output::next().replacing()).unwrap();
        assert_eq!(made, ["JOINED#1"]);
        let again = Dataset::open(backend.clone(), "d").unwrap();
        assert_eq!(again.signal("JOINED#1").unwrap().get("RAW#1").unwrap().len().unwrap(), 4);
        assert_eq!(backend.list_keys("d/JOINED").unwrap(), ["d/JOINED#1/RAW#1"]);
    }
}

/// Goal: signals and series stand in the order in which they were made, opened anew or not; one that was
/// replaced was made last.
#[test]
fn the_order_is_that_of_making() {
    let folder = tempfile::tempdir().unwrap();
    for backend in backends(folder.path()) {
        let mut plant = Dataset::create(backend.clone(), "d").unwrap();
        let (early, late) = (Signal::new("Z", "m").unwrap(), Signal::new("A", "m").unwrap());
        plant.add(late).unwrap();
        plant.add(early).unwrap();
        let signal = plant.signal_mut("Z#1").unwrap();
        signal.add(points(8)).unwrap();
        signal.process(&["RAW#1"], half, &Output::next()).unwrap();
        signal.add(points(4)).unwrap();
        signal.process(&["RAW#1"], half, &Output::next().replacing()).unwrap();
        let again = Dataset::open(backend.clone(), "d").unwrap();
        for dataset in [&plant, &again] {
            let signals: Vec<_> = dataset.signals().iter().map(Signal::name).collect();
            assert_eq!(signals, ["Z#1", "A#1"]);
            let series = dataset.signals()[0].series().iter();
            let series: Vec<_> = series.map(siltstone::series::tree::TimeSeries::name).collect();
            assert_eq!(series, ["Z#1_RAW#1", "Z#1_RAW#2", "Z#1_HALF#1"]);
        }
    }
}

/// Goal: a name that changes changes everywhere, and leaves no key behind; two names can change places.
#[test]
fn names_change_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    for backend in backends(folder.path()) {
        let mut plant = Dataset::create(backend.clone(), "d").unwrap();
        for name in ["A", "B"] {
            let name = plant.add(Signal::new(name, "m").unwrap()).unwrap();
            plant.signal_mut(&name).unwrap().add(points(4)).unwrap();
        }
        plant.process(&["A#1_RAW#1", "B#1_RAW#1"], first, &Output::next()).unwrap();
        plant.rename("A#1", "C#7").unwrap();
        plant.rename("B#1", "A").unwrap();
        let error = plant.rename("C#7", "A").unwrap_err();
        assert!(matches!(error, Error::Exists { .. }), "{error}");
        let again = Dataset::open(backend.clone(), "d").unwrap();
        assert_eq!(content(&again), content(&plant));
        let keys = ["d/A#1/RAW#1", "d/C#7/RAW#1", "d/JOINED#1/RAW#1"];
        assert_eq!(backend.list_keys("").unwrap(), keys);
        let (_, joined) = again.series("JOINED#1_RAW#1").unwrap();
        assert_eq!(joined.steps()[0].input_series_names, ["C#7_RAW#1", "A#1_RAW#1"]);
        plant.remove("C#7").unwrap();
        plant.signal_mut("A#1").unwrap().remove("RAW#1").unwrap();
        assert_eq!(backend.list_keys("").unwrap(), ["d/JOINED#1/RAW#1"]);
        assert_eq!(backend.list_records("signal/").unwrap().len(), 2);
    }
}

/// Goal: two that process one signal at the same time keep both results.
#[test]
fn two_that_process_one_signal_keep_both_results() {
    let folder = tempfile::tempdir().unwrap();
    for backend in backends(folder.path()) {
        let mut one = Dataset::create(backend.clone(), "d").unwrap();
        let a = one.add(Signal::new("A", "m").unwrap()).unwrap();
        one.signal_mut(&a).unwrap().add(points(8)).unwrap();
        let mut two = Dataset::open(backend.clone(), "d").unwrap();
        let work = |dataset: &mut Dataset| -> Vec<String> {
            let signal = dataset.signal_mut("A#1").unwrap();
            let once = |_| signal.process(&["RAW#1"], half, &Output::next()).unwrap().remove(0);
            (0..10).map(once).collect()
        };
        let mut all = std::thread::scope(|scope| {
            let other = scope.spawn(|| work(&mut two));
            let mut own = work(&mut one);
            own.extend(other.join().unwrap());
            own
        });
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 20, "two results share a name");
        let again = Dataset::open(backend.clone(), "d").unwrap();
        assert_eq!(again.signal("A#1").unwrap().series().len(), 21);
    }
}

/// Goal: a function that fails, or names that do not fit, leave signal and backend as they were.
#[test]
fn a_function_that_fails_changes_nothing() {
    let backend = Arc::new(MemoryBackend::new());
    let mut plant = Dataset::create(backend.clone(), "d").unwrap();
    let a = plant.add(Signal::new("A", "m").unwrap()).unwrap();
    plant.signal_mut(&a).unwrap().add(points(8)).unwrap();
    let before = (content(&plant), backend.list_keys("").unwrap());
    let refuse = |_: &[Series]| Err(Error::Interrupted { action: "the function" });
    let signal = plant.signal_mut(&a).unwrap();
    assert!(signal.process(&["RAW#1"], refuse, &Output::next()).is_err());
    for names in [&["A_B"][..], &["A", "B"], &[""]] {
        let error = signal.process(&["RAW#1"], half, &Output::named(names)).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    }
    let error = signal.process(&["SMOOTH#1"], half, &Output::next()).unwrap_err();
    assert!(error.to_string().contains("\"SMOOTH#1\" is not in the signal \"A#1\""), "{error}");
    assert_eq!((content(&plant), backend.list_keys("").unwrap()), before);
    let error = Dataset::create(backend, "d").unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
}

#[derive(Debug, Clone)]
enum Act {
    AddSignal(u8),
    AddSeries(u8, u8),
    Process(u8, u8, bool),
    Join(u8, u8),
    RenameSignal(u8, u8),
    RemoveSeries(u8, u8),
    RemoveSignal(u8),
    Reopen,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let small = 0_u8..4;
    let act = prop_oneof![
        small.clone().prop_map(Act::AddSignal),
        (small.clone(), small.clone()).prop_map(|(a, b)| Act::AddSeries(a, b)),
        (small.clone(), small.clone(), any::<bool>()).prop_map(|(a, b, c)| Act::Process(a, b, c)),
        (small.clone(), small.clone()).prop_map(|(a, b)| Act::Join(a, b)),
        (small.clone(), small.clone()).prop_map(|(a, b)| Act::RenameSignal(a, b)),
        (small.clone(), small.clone()).prop_map(|(a, b)| Act::RemoveSeries(a, b)),
        small.clone().prop_map(Act::RemoveSignal),
        Just(Act::Reopen),
    ];
    proptest::collection::vec(act, 1..25)
}

/// Does one thing to a dataset; the same thing to any that is equal.
fn act(dataset: &mut Dataset, act: &Act) -> Result<()> {
    let nth = |dataset: &Dataset, n: u8| -> Option<String> {
        let signals = dataset.signals();
        (!signals.is_empty()).then(|| signals[n as usize % signals.len()].name().to_owned())
    };
    let series = |dataset: &Dataset, signal: &str, n: u8| -> Option<String> {
        let series = dataset.signal(signal).unwrap().series();
        (!series.is_empty()).then(|| series[n as usize % series.len()].name().to_owned())
    };
    let name = |n: u8| ["A", "B/C", "D#2", "x_y"][n as usize % 4];
    match act {
        Act::AddSignal(n) => dataset.add(Signal::new(name(*n), "m")?).map(drop),
        Act::RemoveSignal(n) => nth(dataset, *n).map_or(Ok(()), |signal| dataset.remove(&signal)),
        Act::RenameSignal(n, to) => {
            nth(dataset, *n).map_or(Ok(()), |s| dataset.rename(&s, name(*to)).map(drop))
        }
        Act::Join(a, b) => {
            let pick = |n| nth(dataset, n).and_then(|signal| series(dataset, &signal, n));
            let (Some(a), Some(b)) = (pick(*a), pick(*b)) else { return Ok(()) };
            dataset.process(&[&a, &b], first, &Output::next()).map(drop)
        }
        Act::AddSeries(s, n) | Act::Process(s, n, _) | Act::RemoveSeries(s, n) => {
            let Some(signal) = nth(dataset, *s) else { return Ok(()) };
            let chosen = series(dataset, &signal, *n);
            let signal = dataset.signal_mut(&signal)?;
            match (act, chosen) {
                (Act::AddSeries(..), _) => {
                    signal.add(points(i64::from(*n) + 2).with_name(name(*n))).map(drop)
                }
                (Act::Process(_, _, replace), Some(chosen)) => {
                    let output = Output { overwrite: *replace, ..Output::next() };
                    signal.process(&[&chosen], half, &output).map(drop)
                }
                (Act::RemoveSeries(..), Some(chosen)) => signal.remove(&chosen),
                _ => Ok(()),
            }
        }
        Act::Reopen => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Goal: whatever is done to a dataset of a file, it is what the same acts make of one in memory, and what
    /// is found when the file is opened anew; no key and no record remains.
    #[test]
    fn a_dataset_of_a_file_is_one_of_memory(acts in acts()) {
        let folder = tempfile::tempdir().unwrap();
        let backend: Arc<dyn StorageBackend> =
            Arc::new(SqliteBackend::open(folder.path().join("a.db")).unwrap());
        let mut file = Dataset::create(backend.clone(), "d").unwrap();
        let mut model = Dataset::new("d").unwrap();
        for one in &acts {
            if matches!(one, Act::Reopen) {
                file = Dataset::open(backend.clone(), "d").unwrap();
            }
            let (ours, theirs) = (act(&mut file, one), act(&mut model, one));
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
            let names = |dataset: &Dataset| -> Vec<(String, usize)> {
                let steps = |signal: &Signal| -> usize {
                    signal.series().iter().map(|ts| ts.steps().len()).sum()
                };
                let mut all: Vec<_> =
                    dataset.signals().iter().map(|s| (s.name().to_owned(), steps(s))).collect();
                all.sort();
                all
            };
            prop_assert_eq!(names(&file), names(&model));
        }
        let again = Dataset::open(backend.clone(), "d").unwrap();
        prop_assert_eq!(content(&again), content(&file));
        let series: usize = again.signals().iter().map(|signal| signal.series().len()).sum();
        prop_assert_eq!(backend.list_keys("").unwrap().len(), series);
        prop_assert_eq!(backend.list_records("signal/").unwrap().len(), again.signals().len());
    }
}

/// Goal: the functions of the library say what they did, over one signal and over several.
#[test]
fn functions_say_what_they_did() {
    use siltstone::series::process::{By, Replacement};
    use siltstone::series::tree::functions;
    let mut plant = Dataset::new("d").unwrap();
    for name in ["A", "B"] {
        let name = plant.add(Signal::new(name, "m").unwrap()).unwrap();
        plant.signal_mut(&name).unwrap().add(points(8)).unwrap();
    }
    let a = plant.signal_mut("A#1").unwrap();
    let (raw, next) = (["RAW#1"], Output::next());
    let ranges = vec![(Some(1_000_000_000.into()), Some(3_000_000_000.into()))];
    let missing = functions::replace_ranges(ranges, "a fault", Replacement::Missing);
    a.process(&raw, missing, &next).unwrap();
    a.process(&["REPLACED-RANGES#1"], functions::linear_interpolation(By::Time), &next).unwrap();
    a.process(&raw, functions::resample("4s", "sum"), &next).unwrap();
    a.process(&raw, functions::subset(Some("1970-01-01 00:00:06".into()), None), &next).unwrap();
    a.process(&raw, functions::subset_rank(Some(-3), None), &next).unwrap();
    a.process(&raw, functions::normalize_index("s", None), &next).unwrap();
    a.process(&raw, functions::predict_from_previous_point(), &next).unwrap();
    let lengths: Vec<(&str, u64)> =
        a.series().iter().map(|ts| (ts.name(), ts.len().unwrap())).collect();
    let expected = [
        ("A#1_RAW#1", 8),
        ("A#1_REPLACED-RANGES#1", 8),
        ("A#1_LIN-INT#1", 8),
        ("A#1_RESAMPLED#1", 2),
        ("A#1_SLICE#1", 2),
        ("A#1_SLICE#2", 3),
        ("A#1_NORM#1", 8),
        ("A#1_PREV-PRED#1", 8),
    ];
    assert_eq!(lengths, expected);
    let (filled, raw) = (a.get("LIN-INT#1").unwrap(), a.get("RAW#1").unwrap());
    assert_eq!(filled.series().unwrap().to_f64s(), raw.series().unwrap().to_f64s());
    assert_eq!(a.get("RESAMPLED#1").unwrap().steps()[0].parameters.as_ref().unwrap()["how"], "sum");
    assert_eq!(a.get("PREV-PRED#1").unwrap().steps()[0].step_distance, 1);
    let made = plant.process(&["A#1_RAW#1", "B#1_RAW#1"], functions::average, &Output::next());
    assert_eq!(made.unwrap(), ["AVERAGE#1"]);
    plant.signal_mut("B#1").unwrap().edit(|record| record.units = "ft".into());
    let error = plant.process(&["A#1_RAW#1", "B#1_RAW#1"], functions::average, &Output::next());
    assert!(error.unwrap_err().to_string().contains("m and ft"));
}
