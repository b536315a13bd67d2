//! What can be imported, and what a file or folder is, by its content.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::experiment::trackers::{self, Kind};
use crate::kernel::near;
use crate::kernel::{
    Database, Packing, Upgrade, folder_of, open_file, open_text, table_exists, upgrades,
};
use crate::table::Format;
use crate::{Error, Result};
use crate::{experiment, memory, series, simulation, ticks};

/// The bytes at the beginning of a file that tell what it is.
const BEGIN: u64 = 1 << 20;

/// What another program wrote, and an import takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImportKind {
    /// movici's folders of JSON files.
    Simulation,
    /// A table of the states of entities.
    States,
    /// SUMO's floating car data.
    Sumo,
    /// EPANET's binary output.
    Epanet,
    /// InfluxDB's annotated CSV and line protocol.
    Influx,
    /// Tables of loggers, and datasets of meteaudata.
    Series,
    /// Files of ticks, and folders of the RTX engine.
    Ticks,
    /// AgentFarm's databases.
    Experiment,
    /// Godly-AI's databases.
    Memory,
    /// Runs of an experiment tracker.
    Runs(Kind),
}

const KINDS: [(ImportKind, &str, &str); 15] = [
    (ImportKind::Simulation, "simulation", "movici's folders of JSON files"),
    (
        ImportKind::States,
        "states",
        "a table of states of entities: CSV (also .gz, .zst), Parquet or Arrow",
    ),
    (
        ImportKind::Sumo,
        "sumo",
        "SUMO's floating car data (fcd): XML, CSV (also .gz, .zst) or Parquet",
    ),
    (ImportKind::Epanet, "epanet", "EPANET's binary output (.out), of version 2"),
    (ImportKind::Influx, "influx", "InfluxDB: annotated CSV and line protocol (also .gz, .zst)"),
    (
        ImportKind::Series,
        "series",
        "tables of loggers (CSV, TOA5, HOBO, JSON lines, Excel, Parquet, Arrow), and datasets of meteaudata",
    ),
    (
        ImportKind::Ticks,
        "ticks",
        "ticks: CSV and Parquet (HistData, Dukascopy, MetaTrader 5, Binance), and folders of the RTX engine",
    ),
    (ImportKind::Experiment, "experiment", "AgentFarm's databases"),
    (ImportKind::Memory, "memory", "Godly-AI's databases"),
    (ImportKind::Runs(Kind::Mlflow), "mlflow", ""),
    (ImportKind::Runs(Kind::Tensorboard), "tensorboard", ""),
    (ImportKind::Runs(Kind::Sacred), "sacred", ""),
    (ImportKind::Runs(Kind::Trackio), "trackio", ""),
    (ImportKind::Runs(Kind::Wandb), "wandb", ""),
    (ImportKind::Runs(Kind::Netlogo), "netlogo", ""),
];

impl ImportKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|(kind, ..)| *kind)
    }

    /// Its name: `mlflow`.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// What it reads, in a line.
    pub fn summary(self) -> &'static str {
        match self {
            ImportKind::Runs(kind) => kind.summary(),
            _ => self.entry().2,
        }
    }

    fn entry(self) -> &'static (ImportKind, &'static str, &'static str) {
        KINDS.iter().find(|(kind, ..)| *kind == self).expect("all are in the list")
    }

    /// The kind whose name is nearly this: of `MLflow`, `serie` and `tensor-board`.
    pub fn nearest(name: &str) -> Option<Self> {
        let names: Vec<String> = ImportKind::all().map(|kind| kind.to_string()).collect();
        near::near(name, &names)?.split(", ").next()?.parse().ok()
    }

    /// The kind of a file or folder, by its content, which is read for a little.
    ///
    /// # Errors
    /// [`Error::Invalid`] where several kinds fit, naming them, and where none does: tables of series, of states and of ticks
    /// may look alike; [`Error::NotFound`], [`Error::Io`].
    ///
    /// # Example
    /// ```
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("weather.lp");
    /// use siltstone::ImportKind;
    /// std::fs::write(&path, "weather,station=A temp=15.4 1715201400000000000\n")?;
    /// assert_eq!(ImportKind::detect(&path)?, ImportKind::Influx);
    /// std::fs::write(&path, "time,temp\n2024-05-08,15.4\n")?;
    /// assert!(ImportKind::detect(&path).unwrap_err().to_string().contains("series, states or ticks"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn detect(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if !path.exists() {
            return Err(Error::NotFound {
                what: "file or folder",
                name: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
                location: folder_of(path).display().to_string(),
            });
        }
        let found = if path.is_dir() { in_folder(path)? } else { in_file(path)? };
        let location = || path.display().to_string();
        match found[..] {
            [kind] => Ok(kind),
            [] => {
                let expected = "what an import takes, as its list names it (silt import --list)";
                let got = if path.is_dir() { "another folder".into() } else { nature(path)? };
                Err(Error::invalid(location(), expected, got))
            }
            _ => {
                let names: Vec<&str> = found.iter().map(|kind| kind.name()).collect();
                let expected = format!(
                    "a source of one kind, or the name of one of its kinds ({})",
                    names.join(", ")
                );
                Err(Error::invalid(location(), expected, "one of several"))
            }
        }
    }
}

impl fmt::Display for ImportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ImportKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        ImportKind::all().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = ImportKind::all().map(ImportKind::name).collect();
            let near = ImportKind::nearest(text).map(|near| format!("; did you mean {near}?"));
            let got = format!("{text:?}{}", near.unwrap_or_default());
            Error::invalid("the kind of an import", names.join(", "), got)
        })
    }
}

fn in_folder(path: &Path) -> Result<Vec<ImportKind>> {
    let mut found: Vec<ImportKind> =
        trackers::in_folder(path)?.into_iter().map(ImportKind::Runs).collect();
    for (is_it, kind) in [
        (simulation::is_folder_of_updates(path)?, ImportKind::Simulation),
        (ticks::is_folder_of_rtx(path)?, ImportKind::Ticks),
        (series::meteaudata::is_archive(path)?, ImportKind::Series),
    ] {
        found.extend(is_it.then_some(kind));
    }
    Ok(found)
}

fn in_file(path: &Path) -> Result<Vec<ImportKind>> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    // To look into a database that another library of this process has open would cancel its locks.
    if ["db", "sqlite", "sqlite3"].contains(&ending) {
        return in_database(path);
    }
    let begin = beginning(path)?;
    if begin.starts_with(b"SQLite format 3\0") {
        return in_database(path);
    }
    if begin.starts_with(b"PK\x03\x04") {
        let is_series = series::is_table(path) || series::meteaudata::is_archive(path)?;
        return Ok(is_series.then_some(ImportKind::Series).into_iter().collect());
    }
    let mut found: Vec<ImportKind> =
        trackers::in_file(path, &begin).into_iter().map(ImportKind::Runs).collect();
    // Those of which nothing is read that is packed.
    found.extend(simulation::is_epanet(&begin).then_some(ImportKind::Epanet));
    let begin = unpacked(begin);
    let text = String::from_utf8_lossy(&begin);
    for (is_it, kind) in [
        (simulation::is_sumo(&text) || is_sumo_parquet(path, &begin), ImportKind::Sumo),
        (series::is_influx(&text, path), ImportKind::Influx),
        (series::is_logger(&text), ImportKind::Series),
        (ticks::is_quotes(&text), ImportKind::Ticks),
    ] {
        found.extend(is_it.then_some(kind));
    }
    let is_table = [&b"PAR1"[..], b"ARROW1", b"\xff\xfe", b"\xfe\xff"];
    let is_table = is_table.iter().any(|first| begin.starts_with(first));
    let is_text = !begin.is_empty() && !begin.contains(&0) && !is_xml(&text);
    if found.is_empty() && (is_table || is_text && !trackers::is_netlogo(&begin)) {
        let expected = "a file that says what it is, or the name of its kind: for a table series, states or ticks, which \
            take it as columns of points, as states of entities (--time, --dataset, --group), as bid and ask (--columns)";
        return Err(Error::invalid(path.display().to_string(), expected, nature(path)?));
    }
    Ok(found)
}

/// Whether it is SUMO's table; its columns alone are read.
fn is_sumo_parquet(path: &Path, begin: &[u8]) -> bool {
    begin.starts_with(b"PAR1")
        && Format::of_path(path) == Some(Format::Parquet)
        && crate::table::read(path).is_ok_and(|table| {
            table.schema().fields().first().is_some_and(|first| first.name() == "timestep_time")
        })
}

/// What a file is that no kind takes, as far as its beginning says it.
fn nature(path: &Path) -> Result<String> {
    let packed = beginning(path)?;
    let (is_gzip, n) = (packed.starts_with(&[0x1f, 0x8b]), packed.len());
    let begin = unpacked(packed);
    let text = String::from_utf8_lossy(&begin);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let quoted = |text: &str| format!("{:?}", text.chars().take(60).collect::<String>());
    let what = match &begin[..] {
        [] if is_gzip => {
            let mut first = [0];
            return Ok(match open_text(path)?.read(&mut first) {
                Ok(0) => "an empty file, packed by gzip".into(),
                _ => "a damaged gzip".into(),
            });
        }
        [] if n == 0 => return Ok("an empty file".into()),
        [b'P', b'A', b'R', b'1', ..] => "a table, Parquet".into(),
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => "a table, Arrow".into(),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "a text in UTF-16".into(),
        [b'P', b'K', 3, 4, ..] if text.contains("[Content_Types].xml") && text.contains("xl/") => {
            "a workbook of Excel by its content, which is read if its name ends in .xlsx".into()
        }
        [b'P', b'K', 3, 4, ..] => "a zip".into(),
        bytes if bytes.is_empty() || bytes.contains(&0) => "another file".into(),
        _ if is_xml(text) => {
            root(text).map_or("XML".into(), |name| format!("XML of <{}>", name.escape_debug()))
        }
        _ => format!("a table or other text, {}", quoted(text.lines().next().unwrap_or_default())),
    };
    Ok(if is_gzip { format!("{what}, packed by gzip") } else { what })
}

/// Whether a text is XML, and no table of MetaTrader or Finam, whose first line is `<DATE>`, a separator and so on.
fn is_xml(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let first = text.lines().next().unwrap_or_default();
    text.starts_with('<') && ![">\t", ">,", ">;"].iter().any(|mark| first.contains(mark))
}

/// The name of the first element of XML.
fn root(text: &str) -> Option<String> {
    let mut xml = Reader::from_str(text);
    loop {
        match xml.read_event().ok()? {
            Event::Start(tag) | Event::Empty(tag) => {
                return Some(String::from_utf8_lossy(tag.name().as_ref()).into_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// The first bytes of a file.
fn beginning(path: &Path) -> Result<Vec<u8>> {
    let mut begin = Vec::new();
    let read = open_file(path)?.take(BEGIN).read_to_end(&mut begin);
    read.map_err(|e| Error::io(path, "reading it", &e))?;
    Ok(begin)
}

/// The beginning of what is packed by gzip or zstd; other bytes as they are.
fn unpacked(begin: Vec<u8>) -> Vec<u8> {
    let Some(packing) = Packing::of(&begin) else { return begin };
    let mut text = Vec::new();
    // What is packed ends in its middle here: what could be unpacked until there is enough.
    let _ = packing.unpack(&begin[..]).and_then(|from| from.take(BEGIN).read_to_end(&mut text));
    text
}

fn in_database(path: &Path) -> Result<Vec<ImportKind>> {
    let is_one_of = |upgrades: &'static [&'static Upgrade]| match Database::builder(path)
        .upgrade(upgrades)
        .open_read_only()
    {
        Ok(db) => Ok(Some(db)),
        Err(Error::NotOurs { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    if let Some(db) = is_one_of(upgrades())? {
        let got = match db.read(|tx| table_exists(tx, "siltstone_schema"))? {
            true => "one of Siltstone, whose files are merged",
            false => "one of movici, which every command reads as it is",
        };
        let expected = "a database of another program";
        return Err(Error::invalid(path.display().to_string(), expected, got));
    }
    let mut found = Vec::new();
    for (kind, upgrades) in [
        (ImportKind::Runs(Kind::Mlflow), trackers::MLFLOW),
        (ImportKind::Runs(Kind::Trackio), trackers::TRACKIO),
        (ImportKind::Experiment, experiment::AGENTFARM),
        (ImportKind::Memory, memory::GODLY_AI),
        (ImportKind::Series, series::meteaudata::DATABASE),
    ] {
        if is_one_of(upgrades)?.is_some() {
            found.push(kind);
        }
    }
    Ok(found)
}
