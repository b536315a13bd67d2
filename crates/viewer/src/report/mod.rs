//! A report: one page without a server, with the overview and pictures, to be kept or mailed.

mod axis;
mod html;
mod overview;
mod pictures;
mod svg;

use std::path::Path;
use std::str::FromStr;

use siltstone::{Error, Handle, Result};

use html::{escaped, name};

pub(crate) use html::count;

/// A part of a report.
///
/// As text it is `overview`, `series=KEY`, `run=ID` or `ticks=SYMBOL`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Include {
    /// What is in the file or the folder, store by store.
    Overview,
    /// The curve of a series, its statistics and its history.
    Series(String),
    /// A simulation of an experiment: what it was given, what came of it, its metrics. Several stand side by side.
    Run(String),
    /// The candles of a symbol.
    Ticks(String),
}

/// Makes a part of its name.
type OfName = fn(String) -> Include;

/// The beginnings of parts that have a name.
const NAMED: [(&str, OfName); 3] =
    [("series=", Include::Series), ("run=", Include::Run), ("ticks=", Include::Ticks)];

impl FromStr for Include {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "overview" {
            return Ok(Include::Overview);
        }
        let named =
            NAMED.iter().find_map(|(begin, of)| Some(of(text.strip_prefix(begin)?.to_owned())));
        named.ok_or_else(|| Error::Invalid {
            what: "the part of the report".to_owned(),
            expected: "overview, series=KEY, run=ID or ticks=SYMBOL".to_owned(),
            got: format!("{text:?}"),
        })
    }
}

impl Include {
    /// The parts of a list with commas between. A comma within a name stays: only one before the begin of a part ends a
    /// name.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no part.
    ///
    /// # Example
    /// ```
    /// use siltstone_viewer::Include;
    ///
    /// let parts = Include::list("overview,series=flow, north,run=a")?;
    /// assert_eq!(parts[1], Include::Series("flow, north".into()));
    /// assert_eq!(parts.len(), 3);
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn list(text: &str) -> Result<Vec<Self>> {
        let begins = |rest: &str| {
            let is_overview = rest
                .strip_prefix("overview")
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(','));
            is_overview || NAMED.iter().any(|(begin, _)| rest.starts_with(begin))
        };
        let mut parts = Vec::new();
        let mut begin = 0;
        for (at, _) in text.match_indices(',').filter(|(at, _)| begins(&text[at + 1..])) {
            parts.push(text[begin..at].parse()?);
            begin = at + 1;
        }
        parts.push(text[begin..].parse()?);
        Ok(parts)
    }
}

/// What a report has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The page.
    pub html: String,
    /// Pictures in it.
    pub pictures: usize,
    /// Sentences about what it has not.
    pub left_out: Vec<String>,
}

/// Pictures of each kind, unless the user chooses.
const MOST: usize = 6;
/// Runs side by side: more curves cannot be told apart.
const MOST_RUNS: usize = 7;

/// Reads a file, or a folder of ticks, and makes a page of it that needs no server, no script and nothing from elsewhere.
///
/// - `include`: its parts, in this order; of simulations all are in one part. None: the overview, and pictures of the first
///   series, the last simulations and the first symbols.
///
/// # Errors
/// As [`siltstone::open_read_only`]; [`Error::NotFound`] for a series, a simulation or a symbol that is not there;
/// [`Error::Invalid`] for one that cannot be drawn.
///
/// # Example
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("run.db");
/// # siltstone::open(&path)?.close()?;
/// let report = siltstone_viewer::report(&path, &[])?;
/// assert!(report.html.starts_with("<!doctype html>"));
/// # Ok::<(), siltstone::Error>(())
/// ```
pub fn report(path: impl AsRef<Path>, include: &[Include]) -> Result<Report> {
    let path = path.as_ref();
    let handle = siltstone::open_read_only(path)?;
    let mut report = Report { html: String::new(), pictures: 0, left_out: Vec::new() };
    let chosen = match include {
        [] => usual(&handle, &mut report)?,
        given => given.to_vec(),
    };
    head(path, &mut report.html);
    let runs: Vec<&str> = chosen
        .iter()
        .filter_map(|part| match part {
            Include::Run(id) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let mut runs = Some(runs);
    for part in &chosen {
        match part {
            Include::Overview => report.html += &overview::html(&crate::overview::of(&handle)?),
            Include::Series(key) => pictures::series(&handle, key, &mut report)?,
            Include::Ticks(symbol) => pictures::ticks(&handle, symbol, &mut report)?,
            // All of them where the first one stands.
            Include::Run(_) => {
                if let Some(ids) = runs.take() {
                    pictures::runs(&handle, &ids, &mut report)?;
                }
            }
        }
    }
    for sentence in &report.left_out {
        report.html += &format!("<p class=\"soft\">{}</p>\n", escaped(sentence));
    }
    report.html += &format!(
        "<footer>Made by <code>silt report</code> {}.</footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    );
    Ok(report)
}

fn head(path: &Path, html: &mut String) {
    let file =
        path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    let path = path.display().to_string();
    *html += &format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{}</h1>\n<p class=\"soft\">{}</p>\n",
        escaped(&file),
        include_str!("report.css"),
        name(&file),
        name(&path),
    );
}

/// The overview, and a few pictures of each store; what is left out is said.
fn usual(handle: &Handle, report: &mut Report) -> Result<Vec<Include>> {
    let mut parts = vec![Include::Overview];
    let mut take = |names: Vec<String>, most: usize, what: &str, of: OfName| {
        if names.len() > most {
            let left = names.len() - most;
            let option = match of(String::new()) {
                Include::Series(_) => "series=KEY",
                Include::Run(_) => "run=ID",
                _ => "ticks=SYMBOL",
            };
            report
                .left_out
                .push(format!("{left} more {what} are not shown: --include {option} chooses."));
        }
        parts.extend(names.into_iter().take(most).map(of));
    };
    if let Handle::Ticks(store) = handle {
        take(store.symbols()?, MOST, "symbols", Include::Ticks);
        return Ok(parts);
    }
    let series = crate::series::all(handle)?;
    let drawable = series.iter().filter(|one| one["drawable"] == true && one["points"] != 0);
    let keys = drawable.filter_map(|one| Some(one["key"].as_str()?.to_owned())).collect();
    take(keys, MOST, "series", Include::Series);
    let mut ids = handle.experiment(None)?.simulation_ids()?;
    // The last ones are what was done last; they stand in their order.
    let before = ids.len().saturating_sub(MOST_RUNS);
    ids.rotate_left(before);
    take(ids, MOST_RUNS, "simulations", Include::Run);
    Ok(parts)
}
