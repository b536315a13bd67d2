//! `silt import`: what other programs wrote, into a database.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use siltstone::experiment::trackers::Kind;
use siltstone::simulation::json::Schema;
use siltstone::simulation::{
    Conflict, ImportOptions, ImportReport, Options, SimulationDatabase, Status, Timeline, import,
    inspect,
};
use siltstone::{Codec, Durability, Error, ImportKind, Profile};

use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::runs::{Tracker, import_tracker};
use crate::{human, interrupt};

/// Import files and databases of other programs
///
/// In place of its kind, the name of a source: its content says what it is, where that is beyond doubt, and stderr what it was
/// taken for. A database of movici's needs no import: every command reads it as it is, and the first write upgrades it, after a
/// backup.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    override_usage = "silt import [OPTIONS] <KIND> <SRC> -o <FILE>\n       silt import [OPTIONS] <SRC> -o <FILE>"
)]
#[command(after_help = "Examples:
  silt import mlflow mlruns -o runs.db
  silt import mlruns -o runs.db
  silt import network.out --dry-run")]
pub(crate) struct Args {
    /// List the kinds, a line each
    #[arg(long)]
    list: bool,

    /// Read all of it, say what was understood, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// The database, of ticks the folder; created if missing
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    Simulation(Simulation),
    States(crate::import_simulation::States),
    Sumo(crate::import_simulation::Sumo),
    Epanet(crate::import_simulation::Epanet),
    Influx(crate::series::Influx),
    Series(Box<crate::series::Import>),
    Ticks(Box<crate::ticks::import::Args>),
    Experiment(crate::runs::Import),
    Memory(crate::memory::Import),
    /// Import runs of MLflow: a folder mlruns, its database mlflow.db, or a folder with either or both
    ///
    /// A run keeps its id, parameters (as texts, which is what MLflow has), tags, metrics with step and time, status, times,
    /// parent and the names of its artifacts. A second import adds what is new, and changes nothing else. Deleted runs,
    /// datasets, traces, models and the contents of artifacts are not imported, and counted.
    #[command(after_help = "Examples:
  silt import mlflow mlruns -o runs.db
  silt import mlflow mlflow.db --dry-run")]
    Mlflow(Tracker),
    /// Import runs of TensorBoard: event files, and folders with some
    ///
    /// A folder with event files is a run; its id is its path below the source. Scalars of both forms, texts, histograms and other
    /// arrays of numbers, and hyperparameters are imported. A last record that is only half there is noted, with exit code 0,
    /// and the next import takes it. Images, audio and graphs are not imported, and counted.
    #[command(after_help = "Example:
  silt import tensorboard logs -o runs.db")]
    Tensorboard(Tracker),
    /// Import runs of Sacred: the folder of its file store
    ///
    /// A run keeps its id, config, metrics with step and time, status, result, error and the names of its artifacts. Sources,
    /// resources and captured outputs are not imported, and counted.
    #[command(after_help = "Example:
  silt import sacred my_runs -o runs.db")]
    Sacred(Tracker),
    /// Import runs of trackio: the SQLite database of a project
    ///
    /// A run keeps its id, name, config, numbers and texts with step and time; system metrics are named system/NAME. Images,
    /// tables, alerts and traces are not imported, and counted.
    #[command(after_help = "Example:
  silt import trackio ~/.cache/huggingface/trackio/my-project.db -o runs.db")]
    Trackio(Tracker),
    /// Import runs of Weights & Biases that were logged offline: the folder wandb, or a file run-ID.wandb
    ///
    /// A run keeps its id, name, config, tags, summary, numbers, texts and histograms with step and time, status and the names of its
    /// files; objects have dots in their names, measures of the machine are named system/NAME. Media, tables, artifacts and output
    /// are not imported, and counted. A last record that is only half there is noted, with exit code 0.
    #[command(after_help = "Example:
  silt import wandb wandb -o runs.db")]
    Wandb(Tracker),
    /// Import runs of NetLogo's BehaviorSpace: a table or a spreadsheet
    ///
    /// A run gets the id EXPERIMENT/NUMBER, with the values of the parameters and, step by step, what the reporters gave: numbers and
    /// booleans as metrics, lists of numbers as arrays, other things as texts. A table may grow: a last line without an end is
    /// left for the next import, which is noted with exit code 0. A spreadsheet, which is written at once, is cut then: 3. Lists and
    /// statistics, which NetLogo makes of the same measurements, are refused.
    #[command(after_help = "Example:
  silt import netlogo Fire-experiment-table.csv -o runs.db")]
    Netlogo(Tracker),
    /// A source in place of a kind, and options of its kind.
    #[command(external_subcommand)]
    Source(Vec<OsString>),
}

/// What was typed, with the options that stand between `import` and its kind or source behind that: they are the kind's.
pub(crate) fn handed_on(mut typed: Vec<OsString>) -> Vec<OsString> {
    let skipped = |typed: &[OsString], at: usize| match typed.get(at)?.as_encoded_bytes() {
        b"--color" => Some(2),
        word => (word.starts_with(b"-") && word != b"--").then_some(1),
    };
    let mut at = 1;
    while let Some(n) = skipped(&typed, at) {
        at += n;
    }
    if typed.get(at).is_none_or(|word| word != "import") {
        return typed;
    }
    at += 1;
    let mut handed = Vec::new();
    while let Some(n) = skipped(&typed, at) {
        let word = typed[at].as_encoded_bytes();
        let is_whole = word.starts_with(b"-o") || word.starts_with(b"--output=");
        match word {
            b"-o" | b"--output" => handed.extend(typed.drain(at..typed.len().min(at + 2))),
            _ if is_whole || word == b"--dry-run" => handed.push(typed.remove(at)),
            _ => at += n,
        }
    }
    // With no kind or source behind them, they stay what is wrong.
    let behind = at + usize::from(typed.get(at).is_some_and(|word| word != "--"));
    let behind = behind.min(typed.len());
    typed.splice(behind..behind, handed);
    typed
}

/// What to type where a kind is also the name of a source that is there.
pub(crate) fn source_hint(typed: &[OsString]) -> Option<String> {
    let import = typed.iter().position(|word| word == "import")?;
    let mut words = typed[import + 1..].iter().filter_map(|word| word.to_str());
    let kind = words.find(|word| !word.starts_with('-'))?;
    kind.parse::<ImportKind>().ok().filter(|_| Path::new(kind).exists())?;
    Some(format!(
        "{kind} is the kind here; for what is there by that name: silt import {kind} {kind} ..."
    ))
}

impl Args {
    /// What was typed in place of a kind: a source, and options.
    pub(crate) fn source(&self) -> Option<&[OsString]> {
        match &self.what {
            Some(What::Source(words)) => Some(words),
            _ => None,
        }
    }
}

/// The kind of a source, and what to say of it.
pub(crate) fn detect(source: &OsStr) -> Outcome<(ImportKind, String)> {
    let path = Path::new(source);
    if !path.exists() {
        let name = source.to_string_lossy();
        let hint = match ImportKind::nearest(&name) {
            Some(kind) => {
                format!("did you mean the kind {kind}: silt import {kind} SOURCE -o FILE")
            }
            None => "nor is it a kind, as silt import --list names them".into(),
        };
        return Err(Failure::said(format!("{name} is not there; {hint}")));
    }
    let kind = ImportKind::detect(path).map_err(|error| match error {
        Error::Invalid { what, expected, got } if expected.contains("series, states or ticks") => {
            let is_plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
            let quoted = match what.chars().all(is_plain) {
                true => what.clone(),
                false => format!("'{}'", what.replace('\'', "'\\''")),
            };
            let got = format!("{got}; try: silt import series {quoted} --dry-run");
            Error::Invalid { what, expected, got }
        }
        other => other,
    })?;
    Ok((kind, format!("{}: taken for {kind}: {}", path.display(), kind.summary())))
}

/// Import movici's folders of JSON files into a database
///
/// The initial state comes from files named `<dataset>.json` (files with another ending are kept as
/// bytes), the updates from files named `t<timestamp>_<iteration>_<dataset>.json`. A file that is
/// malformed is skipped and named on stderr, and the import goes on; the exit code is 3. What
/// is in the database already, or came from an earlier file, is compared: the same stays unchanged, so
/// that the same command resumes an interrupted import; what differs is a conflict,
/// skipped and named like a malformed file, and what the database has stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt import simulation --init-dir init_data --updates-dir scenarios/net3 \\
      --scenario scenarios/net3.json -o net3.db
  silt import simulation scenarios/net3 --dry-run")]
struct Simulation {
    /// The folder of the updates, as --updates-dir
    #[arg(value_name = "SRC", conflicts_with = "updates_dir", required_unless_present_any = ["init_dir", "updates_dir"])]
    source: Option<PathBuf>,

    /// The folder of the initial datasets
    #[arg(long, value_name = "DIR")]
    init_dir: Option<PathBuf>,

    /// The folder of the updates
    #[arg(long, value_name = "DIR")]
    updates_dir: Option<PathBuf>,

    /// The attributes' types, a JSON list; without it types are inferred from the values
    #[arg(long, value_name = "FILE")]
    attributes: Option<PathBuf>,

    /// The scenario, a JSON file: its simulation_info says what timestamps mean in calendar time
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// How arrays are packed; any program can read raw ones
    #[arg(long, default_value = "raw", value_parser = codecs())]
    codec: Codec,

    /// What an acknowledged update survives: nothing, a crash of the process, a loss of power
    #[arg(long, default_value = "os", value_parser = durabilities())]
    durability: Durability,

    /// Parser threads (default: the number of cores)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,

    /// Read all of it, say what was understood, and write nothing; without --output
    #[arg(long, conflicts_with = "output")]
    dry_run: bool,

    /// The database; created if missing, with the folders above it
    #[arg(long, short, value_name = "FILE", required_unless_present = "dry_run")]
    output: Option<PathBuf>,
}

fn codecs() -> impl TypedValueParser<Value = Codec> {
    PossibleValuesParser::new(Codec::ALL.map(Codec::name)).try_map(|name| name.parse::<Codec>())
}

pub(crate) fn durabilities() -> impl TypedValueParser<Value = Durability> {
    PossibleValuesParser::new(["buffered", "os", "disk"]).try_map(|name| name.parse::<Durability>())
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    let what = match &args.what {
        Some(_) if args.dry_run || args.output.is_some() => {
            let sentence =
                "-o and --dry-run go behind the kind or source here: silt import SOURCE -o FILE";
            return Err(Failure::said(sentence));
        }
        _ if args.list && args.output.is_some() => {
            return Err(Failure::said("--list makes no file: leave out -o"));
        }
        Some(what) if !args.list => what,
        _ if args.list => return list(console),
        _ => return Err(Failure::said("import: a source is missing: silt import SOURCE -o FILE")),
    };
    match what {
        What::Simulation(args) => simulation(args, console),
        What::States(args) => crate::import_simulation::states(args, console),
        What::Sumo(args) => crate::import_simulation::sumo(args, console),
        What::Epanet(args) => crate::import_simulation::epanet(args, console),
        What::Influx(args) => crate::series::import_influx(args, console),
        What::Series(args) => crate::series::import_series(args, console),
        What::Ticks(args) => crate::ticks::import::run(args, console),
        What::Experiment(args) => crate::runs::import(args, console),
        What::Memory(args) => crate::memory::import(args, console),
        What::Mlflow(args) => import_tracker(Kind::Mlflow, args, console),
        What::Tensorboard(args) => import_tracker(Kind::Tensorboard, args, console),
        What::Sacred(args) => import_tracker(Kind::Sacred, args, console),
        What::Trackio(args) => import_tracker(Kind::Trackio, args, console),
        What::Wandb(args) => import_tracker(Kind::Wandb, args, console),
        What::Netlogo(args) => import_tracker(Kind::Netlogo, args, console),
        What::Source(_) => unreachable!("main puts its kind before it"),
    }
}

/// The kinds, a line each.
fn list(console: &mut Console) -> Outcome {
    let kinds: Vec<_> = ImportKind::all().map(|kind| (kind.name(), kind.summary())).collect();
    if console.json {
        let kinds = kinds.iter().map(|(kind, about)| json!({"kind": kind, "reads": about}));
        console.document(&json!({ "kinds": kinds.collect::<Vec<_>>() }))?;
        return Ok(Exit::Done);
    }
    let width = kinds.iter().map(|(kind, _)| kind.len()).max().unwrap_or(0);
    for (kind, about) in &kinds {
        console.line(format!("{kind:width$}  {about}"))?;
    }
    Ok(Exit::Done)
}

fn simulation(args: &Simulation, console: &mut Console) -> Outcome {
    interrupt::listen();
    let target = args.output.as_ref().map(siltstone::NewFile::at);
    let imported = import_simulation(args, console);
    target.into_iter().for_each(|target| target.remove_if_empty(&["update", "initial_dataset"]));
    imported
}

fn import_simulation(args: &Simulation, console: &mut Console) -> Outcome {
    // Everything that was typed is looked at before a file is created.
    let updates_dir = args.updates_dir.as_ref().or(args.source.as_ref());
    for folder in [args.init_dir.as_ref(), updates_dir].into_iter().flatten() {
        if !folder.is_dir() {
            return Err(Failure::said(format!("{} is not a folder", folder.display())));
        }
    }
    let schema = args.attributes.as_deref().map(schema_of).transpose()?.unwrap_or_default();
    let timeline = args.scenario.as_deref().map(timeline).transpose()?;
    let options = ImportOptions {
        init_dir: args.init_dir.clone(),
        updates_dir: updates_dir.cloned(),
        schema,
        workers: args.workers.map_or(0, usize::from),
        ..ImportOptions::default()
    };
    let start = Instant::now();
    let mut bar = console.progress("importing", "files");
    let report = match args.output.as_ref().filter(|_| !args.dry_run) {
        None => {
            let report = inspect(&options, &mut |done, all| bar.at(done, all));
            bar.end();
            report?
        }
        Some(output) => {
            let how = Options {
                durability: args.durability,
                codec: args.codec,
                profile: Profile::Throughput,
                ..Options::default()
            };
            let db = SimulationDatabase::open_with(output, how)?;
            if let Some(timeline) = timeline {
                db.set_timeline(timeline)?;
            }
            let imported = import(&db, &options, &mut |done, all| bar.at(done, all));
            bar.end();
            let finished = imported.map_err(Failure::from).and_then(|report| {
                finish(args.codec, &db, console)?;
                Ok(report)
            });
            finished.inspect_err(|failure| {
                // What is refused was no import, and changes nothing.
                if !matches!(failure, Failure::Library(Error::Invalid { .. })) {
                    stopped(&db, failure, console);
                }
            })?
        }
    };
    print_report(args, &report, start.elapsed(), console)?;
    let is_whole = report.skipped.is_empty() && report.conflicts.is_empty();
    Ok(if is_whole { Exit::Done } else { Exit::Skipped })
}

/// Makes the file ready, and says last of all that its run is complete.
pub(crate) fn finish(codec: Codec, db: &SimulationDatabase, console: &Console) -> Outcome<()> {
    if codec == Codec::Auto {
        let mut bar = console.progress("compacting", "blocks");
        let compacted = db.compact(&mut |done, all| bar.at(done, all));
        bar.end();
        compacted?;
    }
    // An earlier import may have been stopped after its last update.
    if db.run()?.status == Status::Running {
        // All that takes room comes first.
        db.flush()?;
        db.build_keyframes()?;
        db.database().checkpoint()?;
        db.mark_ended(None)?;
    }
    Ok(db.clone().close()?)
}

/// After an import that ended with an error. Nothing is closed: it is not complete.
pub(crate) fn stopped(db: &SimulationDatabase, failure: &Failure, console: &Console) {
    let is_flushed = db.flush().is_ok();
    // An earlier import may have said so, of less. On a full disk so small a write may have room.
    if db.run().is_ok_and(|run| run.status == Status::Complete) {
        let _ = db.resume_from(i64::MAX); // removes nothing, and the run goes on
    }
    if is_flushed && db.update_count(None).is_ok_and(|stored| stored > 0) {
        console.note(match failure {
            Failure::Library(Error::Interrupted { .. }) => {
                "what was imported stays; run the same command again to resume"
            }
            _ => {
                "what was imported until now stays; once the reason is gone, the same command \
                 takes it up again"
            }
        });
    }
}

fn print_report(
    args: &Simulation,
    report: &ImportReport,
    took: std::time::Duration,
    console: &mut Console,
) -> Outcome<()> {
    report.skipped.iter().for_each(|skipped| console.warn(&skipped.to_string()));
    warn_of(&report.conflicts, console);
    let output = args.output.as_ref().filter(|_| !args.dry_run);
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let file_bytes = output.map(size);
    if console.json {
        let conflicts: Vec<_> = (report.conflicts.iter())
            .map(|conflict| {
                let path = conflict.source.display().to_string();
                json!({ "path": path, "what": conflict.what, "why": conflict.why })
            })
            .collect();
        console.document(&json!({
            "path": args.output.as_ref().map(|path| path.display().to_string()),
            "dry_run": args.dry_run,
            "updates": report.updates,
            "unchanged": report.unchanged,
            "initial_datasets": report.initial_datasets,
            "bytes": report.bytes,
            "other_files": report.other_files,
            "skipped": report.skipped,
            "conflicts": conflicts,
            "file_bytes": file_bytes,
            "seconds": took.as_secs_f64(),
        }))?;
        return Ok(());
    }
    let rate = report.bytes as f64 / took.as_secs_f64().max(1e-9);
    console.line(format!(
        "{}: {} and {} from {} of JSON in {} ({}/s){}",
        output.map_or("found".into(), |path| path.display().to_string()),
        human::plural(report.updates, "update"),
        human::plural(report.initial_datasets, "initial dataset"),
        human::size(report.bytes),
        human::duration(took),
        human::size(rate as u64),
        file_bytes.map_or_else(String::new, |bytes| format!(", {} now", human::size(bytes))),
    ))?;
    if args.dry_run {
        console.line("dry run: nothing was written")?;
    }
    if report.unchanged > 0 {
        let updates = human::plural(report.unchanged, "update");
        console.line(format!("{updates} unchanged: the database has the same already"))?;
    }
    if report.other_files > 0 {
        let files = human::plural(report.other_files, "other file");
        console.line(format!("{files} in the folder not read: no updates by their names"))?;
    }
    if !report.skipped.is_empty() {
        let files = human::plural(report.skipped.len() as u64, "malformed file");
        console.line(format!("{files} skipped, named on stderr"))?;
    }
    if !report.conflicts.is_empty() {
        let conflicts = human::plural(report.conflicts.len() as u64, "conflict");
        console.line(format!("{conflicts} skipped, the first named on stderr"))?;
    }
    Ok(())
}

/// Names the first conflicts, and says how many more there are.
pub(crate) fn warn_of(conflicts: &[Conflict], console: &Console) {
    const NAMED: usize = 3;
    for conflict in conflicts.iter().take(NAMED) {
        let source = conflict.source.display();
        console.warn(&format!("{source}: {}: skipped: {}", conflict.what, conflict.why));
    }
    if let more @ 1.. = conflicts.len().saturating_sub(NAMED) {
        console
            .warn(&format!("and {} like these, skipped", human::plural(more as u64, "conflict")));
    }
}

/// The attribute types of a file.
pub(crate) fn schema_of(path: &Path) -> Outcome<Schema> {
    Schema::parse(&read(path)?).map_err(|e| in_file(path, &e))
}

/// The bytes of a file of a few words.
fn read(path: &Path) -> Outcome<Vec<u8>> {
    // A pipe that nobody writes into would never end.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(Failure::said(format!("{} is not a file", path.display())));
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(Schema::MAX_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(n) if n as u64 <= Schema::MAX_BYTES => Ok(bytes),
        Ok(_) => {
            let most = Schema::MAX_BYTES;
            Err(Failure::said(format!("{}: it has more than {most} bytes", path.display())))
        }
        Err(error) => Err(Failure::said(format!("{}: cannot read: {error}", path.display()))),
    }
}

fn in_file(path: &Path, error: &siltstone::Error) -> Failure {
    Failure::said(format!("{}: {error}", path.display()))
}

/// What a scenario file says of its timestamps.
fn timeline(path: &Path) -> Outcome<Timeline> {
    let wrong = |why: &str| Failure::said(format!("{}: {why}", path.display()));
    let scenario: serde_json::Value = siltstone::simulation::json::parse_any(&read(path)?)
        .map_err(|e| wrong(&format!("it is not JSON: {e}")))?;
    let info = &scenario["simulation_info"];
    if !info.is_object() {
        return Err(wrong("it has no simulation_info, an object with a reference_time"));
    }
    let reference = &info["reference_time"];
    let reference = match (reference.as_f64(), reference.as_str()) {
        (Some(seconds), _) => seconds,
        // A moment as text: seconds since 1970-01-01 are timestamps of this timeline.
        (None, Some(text)) => {
            let unix = Timeline { reference: 0.0, time_scale: 1.0, start_time: 0 };
            Timeline::parse(Some(&unix), text).map_err(|e| in_file(path, &e))? as f64
        }
        (None, None) => {
            return Err(wrong(
                "its reference_time is neither seconds since 1970 nor a date and time",
            ));
        }
    };
    let time_scale = match &info["time_scale"] {
        serde_json::Value::Null => 1.0,
        scale => scale.as_f64().ok_or_else(|| wrong("its time_scale is not a number"))?,
    };
    let start_time = match &info["start_time"] {
        serde_json::Value::Null => 0,
        start => start.as_i64().ok_or_else(|| wrong("its start_time is not an integer"))?,
    };
    Ok(Timeline { reference, time_scale, start_time })
}
