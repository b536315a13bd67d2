//! `silt series`: inspect a store of series, import and export points, compact it.

pub(crate) use import::{Import, run as import_series};
pub(crate) use influx::{Influx, import as import_influx};

mod import;
mod influx;
mod read_options;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Subcommand;
use serde_json::{Value, json};
use siltstone::Database;
use siltstone::series::meteaudata::{WriteDatasetOptions, write_dataset};
use siltstone::series::{
    self, IndexRange, IndexValue, Series, SeriesInfo, SqliteBackend, StorageBackend, WideColumn,
};
use siltstone::table::{self, WriteOptions, Written};

use crate::chart::{Canvas, lines};
use crate::console::Console;
use crate::exit::{Exit, Failure, Outcome};
use crate::rows::{Format, Rows};
use crate::{human, interrupt};

/// Inspect, plot, import, export and compact series
///
/// A store is a file, or an address: sqlite:FILE, parquet:DIR, postgresql://HOST/DATABASE.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt series ls plant.db --prefix line
  silt series plot parquet:plant line#1/RAW#1
  silt series export plant.db line#1/RAW#1 -o raw.parquet")]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Ls(Ls),
    Show(Show),
    Plot(Plot),
    Export(Export),
    Import(Box<import::Import>),
    Copy(crate::series_copy::Copy),
    Compact(Compact),
    Rm(Rm),
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Outcome {
    match &args.what {
        What::Ls(args) => ls(args, console),
        What::Show(args) => show(args, console),
        What::Plot(args) => plot(args, console),
        What::Export(args) => export(args, console),
        What::Import(args) => import::run(args, console),
        What::Copy(args) => crate::series_copy::run(args, console),
        What::Compact(args) => compact(args, console),
        What::Rm(args) => rm(args, console),
    }
}

/// The path of a file that an address names; `None` for another kind of store.
pub(crate) fn file_of(store: &str) -> Option<&Path> {
    let path = match store.split_once(':') {
        Some(("sqlite", path)) => path.strip_prefix("///").unwrap_or(path),
        Some(("memory" | "parquet", _)) => return None,
        // Another scheme, which may hold a secret: no path, and to be refused without repeating it.
        Some((_, rest)) if rest.starts_with("//") => return None,
        // A scheme that is mistyped; a drive has one letter.
        Some((scheme, _))
            if scheme.len() > 1
                && scheme.bytes().all(|byte| byte.is_ascii_alphabetic())
                && !Path::new(store).exists() =>
        {
            return None;
        }
        _ => store,
    };
    Some(Path::new(path))
}

/// Opens a store read-only: nothing is made or changed.
pub(crate) fn open_read_only(store: &str) -> Outcome<Box<dyn StorageBackend>> {
    if let Some(path) = file_of(store) {
        let db = Database::builder(path).open_read_only()?;
        return Ok(Box::new(SqliteBackend::over(db)?));
    }
    let folder =
        store.strip_prefix("parquet:").map(|path| path.strip_prefix("///").unwrap_or(path));
    if let Some(folder) = folder.filter(|folder| !Path::new(folder).is_dir()) {
        return Err(Failure::said(format!("{folder} is not a folder")));
    }
    open(store)
}

/// The store of an address. For the password of a server that wants one, and of which none is known, the person at the
/// terminal is asked.
pub(crate) fn open(store: &str) -> Outcome<Box<dyn StorageBackend>> {
    #[cfg(feature = "postgresql")]
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        return Ok(series::open_asking(store, crate::password::ask)?);
    }
    Ok(series::open(store)?)
}

/// A file to change; one that is there.
fn open_to_change(store: &str) -> Outcome<Box<dyn StorageBackend>> {
    drop(open_read_only(store)?);
    match file_of(store) {
        Some(path) => Ok(Box::new(SqliteBackend::open(path)?)),
        None => open(store),
    }
}

/// An index value as it is written: a time where its unit allows, of UTC if its zone is known.
fn index_cell(info: &SeriesInfo, value: &IndexValue) -> Value {
    let has_zone = info.index_type.to_string().contains(',');
    let unit_ns = match info.index_type.to_string() {
        name if name.starts_with("Timestamp(s") => 1_000_000_000,
        name if name.starts_with("Timestamp(ms") => 1_000_000,
        name if name.starts_with("Timestamp(µs") => 1_000,
        name if name.starts_with("Timestamp(ns") => 1,
        _ => 0,
    };
    match value {
        IndexValue::Int(n) => match n.checked_mul(unit_ns).filter(|_| unit_ns > 0) {
            Some(ns) => {
                let text = human::moment_ns(ns);
                json!(if has_zone { &*text } else { text.trim_end_matches('Z') })
            }
            None => json!(n),
        },
        IndexValue::Float(x) => json!(x),
        IndexValue::Text(text) => json!(text),
    }
}

fn ends(info: &SeriesInfo) -> (Value, Value) {
    // What stands for nothing is shown as it is kept.
    match info.decoded_extent().unwrap_or(info.extent.clone()) {
        Some((least, greatest)) => (index_cell(info, &least), index_cell(info, &greatest)),
        None => (Value::Null, Value::Null),
    }
}

/// List the series of a store: points, types, from where to where
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt series ls plant.db --prefix line#1/")]
struct Ls {
    /// The store
    store: String,

    /// Only keys that begin so
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,

    /// Output format (default: a table on a terminal, TSV in a pipe)
    #[arg(long, short, value_enum)]
    format: Option<Format>,
}

fn ls(args: &Ls, console: &mut Console) -> Outcome {
    let backend = open_read_only(&args.store)?;
    let columns = ["key", "points", "index", "values", "first", "last"];
    let format = Format::or_default(args.format, console);
    let mut rows = Rows::begin(console, format, columns.map(str::to_owned).to_vec())?;
    for key in backend.list_keys(&args.prefix)? {
        let info = match backend.info(&key) {
            Err(siltstone::Error::NotFound { .. }) => continue, // removed meanwhile
            info => info?,
        };
        let (first, last) = ends(&info);
        let [index, values] =
            [&info.index_type, &info.value_type].map(|of| json!(series::type_name(of)));
        rows.row(vec![json!(key), json!(info.length), index, values, first, last])?;
    }
    rows.end()?;
    Ok(Exit::Done)
}

/// Tell what is known of a series: types, extent, names, metadata
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt series show plant.db line#1/RAW#1")]
struct Show {
    /// The store
    store: String,

    /// The key of the series
    key: String,
}

fn show(args: &Show, console: &mut Console) -> Outcome {
    let backend = open_read_only(&args.store)?;
    let info = backend.info(&args.key)?;
    let (first, last) = ends(&info);
    let known = json!({
        "key": info.key,
        "points": info.length,
        "index": series::type_name(&info.index_type),
        "values": series::type_name(&info.value_type),
        "first": first,
        "last": last,
        "sorted": info.is_sorted,
        "name": info.name(),
        "dtype": info.dtype(),
        "index_metadata": info.index_metadata(),
        "metadata": info.plain_metadata(),
    });
    if console.json {
        console.document(&known)?;
        return Ok(Exit::Done);
    }
    for (name, value) in known.as_object().into_iter().flatten() {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        console.line(format!("{name:<16}{}", text.escape_debug()))?;
    }
    Ok(Exit::Done)
}

/// Draw series in the terminal
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt series plot plant.db line#1/RAW#1 line#1/RESAMPLED#1")]
struct Plot {
    /// The store
    store: String,

    /// The keys of the series
    #[arg(required = true)]
    keys: Vec<String>,
}

fn plot(args: &Plot, console: &mut Console) -> Outcome {
    let backend = open_read_only(&args.store)?;
    let (width, height) = console.size();
    let canvas = Canvas { width, height: height.clamp(8, 24), color: console.color };
    let mut drawn = Vec::new();
    let mut labels = Vec::new();
    for key in &args.keys {
        let series = backend.load_range(key, &IndexRange::all())?;
        let values = series.to_f64s().ok_or_else(|| {
            Failure::said(format!(
                "{key:?}: {} cannot be drawn",
                series::type_name(series.values().data_type())
            ))
        })?;
        if labels.is_empty() {
            labels = axis(&backend.info(key)?, &series)?;
        }
        drawn.push((key.clone(), values));
    }
    if console.json {
        let drawn = drawn.iter().map(|(key, values)| json!({ "key": key, "values": values }));
        console.document(&json!({ "series": drawn.collect::<Vec<_>>() }))?;
        return Ok(Exit::Done);
    }
    console.line(lines(&drawn, &labels, &[], canvas))?;
    Ok(Exit::Done)
}

/// Where the first, the middle and the last point of a series stand.
fn axis(info: &SeriesInfo, series: &Series) -> Outcome<Vec<String>> {
    let n = series.len();
    let rows = match n {
        0 => return Ok(Vec::new()),
        n => [0, n / 2, n - 1],
    };
    let mut labels = Vec::new();
    for row in rows {
        let point = series.slice(row, 1);
        let point = SeriesInfo::of(&info.key, &point, &info.metadata)?;
        labels.push(match ends(&point).0 {
            Value::String(text) => text,
            other => other.to_string(),
        });
    }
    Ok(labels)
}

/// Write series to a Parquet, Arrow, CSV or JSON-lines file, or a dataset to a zip or folder
///
/// Several series stand side by side, joined by their index, a column each, with their units in the metadata of the
/// Arrow fields.
/// A dataset is written in the layout that meteaudata reads: YAML, and a CSV file a series.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  silt series export plant.db line#1/RAW#1 -o raw.parquet
  silt series export plant.db --prefix plant/ -o wide.parquet
  silt series export plant.db --dataset plant -o plant.zip")]
struct Export {
    /// The store
    store: String,

    /// The keys of the series
    #[arg(required_unless_present_any = ["dataset", "prefix"], conflicts_with = "dataset")]
    keys: Vec<String>,

    /// All series whose keys begin so, side by side
    #[arg(long, conflicts_with_all = ["dataset", "keys"])]
    prefix: Option<String>,

    /// The name of a dataset, to write all of it
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,

    /// The file; its extension is the format: .parquet, .arrow, .csv, .jsonl; for a dataset .zip, or a folder
    #[arg(long = "output", short, value_name = "FILE")]
    output: PathBuf,

    /// In CSV, put a ' before texts that a spreadsheet would run as formulas (= + - @); numbers stay
    #[arg(long)]
    escape_formulas: bool,

    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
}

fn export(args: &Export, console: &mut Console) -> Outcome {
    interrupt::listen();
    if let Some(dataset) = &args.dataset {
        return export_dataset(dataset, args, console);
    }
    let Some(format) = table::Format::of_path(&args.output) else {
        let path = args.output.display();
        return Err(Failure::said(format!("{path}: expected .parquet, .arrow, .csv or .jsonl")));
    };
    let backend = open_read_only(&args.store)?;
    let (all, batches) = match &args.keys[..] {
        [key] => {
            let batches = series::decoded(backend.scan(key, &IndexRange::all())?)?;
            (backend.info(key)?.length, batches)
        }
        keys => side_by_side(backend.as_ref(), keys, args.prefix.as_deref())?,
    };
    let options =
        WriteOptions { format, overwrite: args.overwrite, escape_formulas: args.escape_formulas };
    let mut bar = console.progress("exporting", "points");
    let written = table::write(&args.output, batches, &options, &mut |done, _| bar.at(done, all));
    bar.end();
    print_report(args, written?, console)
}

/// Series side by side; their units are what their metadata, or those of their signal, say.
fn side_by_side(
    backend: &dyn StorageBackend,
    keys: &[String],
    prefix: Option<&str>,
) -> Outcome<(u64, table::Batches)> {
    let keys = match prefix {
        Some(prefix) => backend.list_keys(prefix)?,
        None => keys.to_vec(),
    };
    let mut columns = Vec::with_capacity(keys.len());
    for key in keys {
        let (series, metadata) = backend.load(&key)?;
        let signal = key.rsplit_once('/').map(|(signal, _)| format!("signal/{signal}"));
        let record = signal.map(|name| backend.record(&name)).transpose()?.flatten();
        let known = ["units", "unit"].iter().find_map(|name| metadata.get(*name));
        let units = known.or(record.as_ref().and_then(|record| record.get("units")));
        let attributes = units.and_then(Value::as_str).map(|units| ("units".into(), units.into()));
        columns.push(WideColumn {
            name: key,
            series,
            attributes: attributes.into_iter().collect(),
        });
    }
    let wide = series::wide(&columns)?;
    Ok((wide.num_rows() as u64, table::Batches::from_batches(wide.schema(), vec![wide])))
}

fn export_dataset(dataset: &str, args: &Export, console: &mut Console) -> Outcome {
    let backend = open_read_only(&args.store)?;
    let options = WriteDatasetOptions { overwrite: args.overwrite, ..Default::default() };
    print_report(args, write_dataset(backend.as_ref(), dataset, &args.output, &options)?, console)
}

fn print_report(args: &Export, written: Written, console: &mut Console) -> Outcome {
    let path = args.output.display().to_string();
    if console.json {
        console
            .document(&json!({ "path": path, "points": written.rows, "bytes": written.bytes }))?;
    } else {
        let points = human::plural(written.rows, "point");
        console.line(format!("{path}: {points}, {}", human::size(written.bytes)))?;
    }
    Ok(Exit::Done)
}

/// Pack the points of a file at the highest compression
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt series compact plant.db")]
struct Compact {
    /// The file
    store: String,

    /// Only this series
    key: Option<String>,
}

fn compact(args: &Compact, console: &mut Console) -> Outcome {
    interrupt::listen();
    drop(open_read_only(&args.store)?);
    let Some(path) = file_of(&args.store) else {
        return Err(Failure::said("only SQLite stores can be compacted".to_owned()));
    };
    let start = Instant::now();
    let backend = SqliteBackend::open(path)?;
    let mut bar = console.progress("compacting", "points");
    let report = backend.compact_with(args.key.as_deref(), &mut |done, all| bar.at(done, all));
    bar.end();
    let report = report?;
    backend.database().vacuum()?;
    crate::compact::print(path, "point", &report, start, Value::Null, console)
}

/// Remove a series
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  silt series rm plant.db line#1/RAW#1")]
struct Rm {
    /// The store
    store: String,

    /// The key of the series
    key: String,
}

fn rm(args: &Rm, console: &mut Console) -> Outcome {
    open_to_change(&args.store)?.delete(&args.key)?;
    if console.json {
        console.document(&json!({ "removed": args.key }))?;
    } else {
        console.line(format!("{:?} removed", args.key))?;
    }
    Ok(Exit::Done)
}
