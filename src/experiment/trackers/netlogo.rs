//! NetLogo's BehaviorSpace: its tables, a line a run and step, and its spreadsheets, some columns a run.
//!
//! # Source
//! NetLogo's manual, "BehaviorSpace", and the files that NetLogo 6 and 7 write.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Map, Value, json};

use super::run::Run;
use super::{Report, Source};
use crate::error::{Error, Result};
use crate::kernel::{Skipped, lock, read_whole};
use crate::table::delimited::{Row, Rows};

/// The most bytes of a file.
const MOST_BYTES: u64 = 1 << 30;
/// What stands before the first column of runs.
const NUMBER: &str = "[run number]";
const STEP: &str = "[step]";
/// Bad lines that are named.
const NAMED: usize = 3;
/// And those of a dry run.
const NAMED_DRY: usize = 1_000;

/// The runs of an experiment; each is taken once.
struct Runs {
    path: PathBuf,
    len: usize,
    runs: Mutex<Vec<Option<Run>>>,
}

impl Source for Runs {
    fn len(&self) -> usize {
        self.len
    }

    fn location(&self, _: usize) -> PathBuf {
        self.path.clone()
    }

    fn read(&self, run: usize, _: &mut Report) -> Result<Option<Run>> {
        Ok(lock(&self.runs, "importing runs")?[run].take())
    }
}

/// The lines before the table.
struct Head {
    version: String,
    model: String,
    experiment: String,
    time: String,
    world: Map<String, Value>,
}

impl Head {
    /// A run of the experiment.
    fn run(&self, number: u64, status: &'static str) -> Run {
        let mut run = Run {
            id: format!("{}/{number}", self.experiment),
            experiment: Some((self.experiment.clone(), Map::new())),
            status,
            origin: Some(self.time.clone()),
            ..Run::default()
        };
        let texts = [("netlogo", &self.version), ("model", &self.model)];
        texts.into_iter().for_each(|(name, text)| run.fact(name, Some(text.as_str())));
        run.fact("run_number", Some(number));
        run.fact("world", Some(Value::Object(self.world.clone())));
        run
    }
}

/// Lines that are skipped.
struct Bad {
    lines: u64,
    named: Vec<String>,
    most: usize,
}

impl Bad {
    fn push(&mut self, line: u64, why: impl Into<String>) {
        self.lines += 1;
        if self.named.len() < self.most {
            self.named.push(format!("line {line}: {}", why.into()));
        }
    }
}

/// Opens a table or a spreadsheet.
pub(super) fn open(path: &Path, report: &mut Report) -> Result<Box<dyn Source>> {
    let location = path.display().to_string();
    let mut bytes = read_whole(path, MOST_BYTES)?;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let is_cut = end < bytes.len();
    bytes.truncate(end);
    let text = String::from_utf8(bytes)
        .map_err(|_| Error::invalid(&location, "a text in UTF-8", "other bytes"))?;
    let mut rows = Rows::new(&text, ',');
    let head = head(&mut rows, &location)?;
    let Some(first) = rows.find(|row| row.line > 6 && cell(row, 0) == NUMBER) else {
        let expected = format!("a line that begins with {NUMBER}");
        return Err(Error::invalid(&location, expected, "none"));
    };
    let most = if report.names_all { NAMED_DRY } else { NAMED };
    let mut bad = Bad { lines: 0, named: Vec::new(), most };
    let (layout, runs) = match (1..first.fields.len()).find(|at| cell(&first, *at) == STEP) {
        Some(step) => ("table", table(&head, rows, (&first, step), &mut bad)),
        None => {
            let (mut runs, has_points) = spreadsheet(&head, rows, &first, (&location, &mut bad))?;
            // It is written at once, when the experiment is over.
            if is_cut || !has_points {
                runs.values_mut().for_each(|run| run.status = "unknown");
                let why = "it ends early, and is cut: points of its runs are missing";
                report.skipped.push(Skipped::new(path, why));
            }
            ("spreadsheet", runs)
        }
    };
    report.understood = format!(
        "a {layout} of NetLogo's BehaviorSpace ({}), experiment {:?}, {location}",
        head.version, head.experiment
    );
    if is_cut && layout == "table" {
        report.notes.push(format!(
            "{location}: the last line has no end, and was not read: import the file again when it is finished, or end it with a \
             line break"
        ));
    }
    if bad.lines > 0 {
        let more = if bad.lines > most as u64 { "; ..." } else { "" };
        let why = format!("{}{more}", bad.named.join("; "));
        report.skipped.push(Skipped::new(path, why).table("the table").rows(bad.lines));
    }
    let (len, runs) = (runs.len(), runs.into_values().map(Some).collect());
    Ok(Box::new(Runs { path: path.to_owned(), len, runs: Mutex::new(runs) }))
}

fn cell<'r>(row: &'r Row<'_>, at: usize) -> &'r str {
    row.fields.get(at).map_or("", |field| field.text.trim())
}

/// The six lines about the experiment.
fn head(rows: &mut Rows<'_>, location: &str) -> Result<Head> {
    let lines: Vec<Row<'_>> = rows.by_ref().take(6).collect();
    let first = lines.first().map_or("", |row| cell(row, 0));
    let version =
        first.strip_prefix("BehaviorSpace results (").and_then(|rest| rest.strip_suffix(')'));
    let (Some(version), 6) = (version, lines.len()) else {
        let got = format!("{:?}", first.chars().take(40).collect::<String>());
        return Err(Error::invalid(location, "results of NetLogo's BehaviorSpace", got));
    };
    let kind = cell(&lines[0], 1);
    if ["Lists", "Stats", "Statistics"].iter().any(|other| kind.starts_with(other)) {
        let expected = "a table or a spreadsheet of BehaviorSpace";
        return Err(Error::invalid(location, expected, format!("{kind:?}")));
    }
    let world = (0..lines[4].fields.len())
        .map(|at| (cell(&lines[4], at).to_owned(), plain(cell(&lines[5], at))));
    Ok(Head {
        version: version.to_owned(),
        model: cell(&lines[1], 0).to_owned(),
        experiment: cell(&lines[2], 0).to_owned(),
        time: cell(&lines[3], 0).to_owned(),
        world: world.collect(),
    })
}

/// The names of reporters; one that comes again is numbered: `a`, `a_2`.
fn numbered<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let own: HashSet<&str> = names.clone().collect();
    let (mut seen, mut next) = (HashSet::new(), BTreeMap::new());
    let one = |name: &'a str| {
        if seen.insert(name) {
            return name.to_owned();
        }
        let n = next.entry(name).or_insert(1);
        loop {
            *n += 1;
            let free = format!("{name}_{n}");
            if !own.contains(&*free) {
                return free;
            }
        }
    };
    names.map(one).collect()
}

/// A line a run and step: number, parameters, step, reporters.
fn table(
    head: &Head,
    rows: Rows<'_>,
    (names, step): (&Row<'_>, usize),
    bad: &mut Bad,
) -> BTreeMap<u64, Run> {
    let (mut runs, mut seen) = (BTreeMap::new(), HashSet::new());
    let reporters = numbered((step + 1..names.fields.len()).map(|at| cell(names, at)));
    for row in rows {
        if row.open_quote.is_some() || row.fields.len() != names.fields.len() {
            let (expected, got) = (names.fields.len(), row.fields.len());
            bad.push(row.line, format!("{expected} fields expected, got {got}"));
            continue;
        }
        let (Ok(number), Some(at)) = (cell(&row, 0).parse(), whole(cell(&row, step))) else {
            bad.push(row.line, "a run number and a step expected");
            continue;
        };
        if !seen.insert((number, at)) {
            bad.push(row.line, format!("the step {at} of the run {number} again"));
            continue;
        }
        let run = runs.entry(number).or_insert_with(|| {
            let mut run = head.run(number, "unknown"); // nothing says whether it ended
            for column in 1..step {
                run.parameters.insert(cell(names, column).into(), plain(cell(&row, column)));
            }
            run
        });
        for (name, column) in reporters.iter().zip(step + 1..) {
            measure(run, name, at, cell(&row, column));
        }
    }
    runs
}

/// A line a parameter, then a line a measurement; a run has a column for its step, and one for each reporter. The second is
/// whether the measurements begin.
fn spreadsheet(
    head: &Head,
    rows: Rows<'_>,
    numbers: &Row<'_>,
    (location, bad): (&str, &mut Bad),
) -> Result<(BTreeMap<u64, Run>, bool)> {
    let width = numbers.fields.len();
    let mut runs = BTreeMap::new();
    // The run of each column; a column's run begins where the number changes.
    let mut of: Vec<u64> = vec![0; width];
    for (at, of) in of.iter_mut().enumerate().skip(1) {
        let number = cell(numbers, at);
        *of = number.parse().map_err(|_| {
            let what = format!("{location}, line {}", numbers.line);
            Error::invalid(what, "run numbers", format!("{number:?}"))
        })?;
        runs.entry(*of).or_insert_with(|| head.run(*of, "completed")); // others are not in it
    }
    let is_first = |at: usize| at == 1 || of[at - 1] != of[at];
    let mut names: Option<Vec<String>> = None;
    let mut seen = HashSet::new();
    let mut summaries = false;
    for row in rows {
        if row.open_quote.is_some() || row.fields.len() != width {
            let got = row.fields.len();
            bad.push(row.line, format!("{width} fields expected, got {got}"));
            continue;
        }
        let name = cell(&row, 0);
        if let Some(names) = &names {
            let mut step = None;
            for at in 1..width {
                let text = cell(&row, at);
                if names[at] == STEP {
                    step = whole(text);
                    if step.is_none() && !text.is_empty() {
                        bad.push(row.line, format!("a step expected, got {text:?}"));
                    }
                    let run = of[at];
                    if let Some(again) = step.take_if(|step| !seen.insert((run, *step))) {
                        bad.push(row.line, format!("the step {again} of the run {run} again"));
                    }
                } else if let Some(step) = step {
                    measure(runs.get_mut(&of[at]).expect("it was made"), &names[at], step, text);
                }
            }
            continue;
        }
        match name {
            "[all run data]" | "[final value]" | "[initial & final values]" => {
                let begins =
                    (1..width).filter(|at| is_first(*at)).chain([width]).collect::<Vec<_>>();
                let mut texts = vec![String::new()];
                for pair in begins.windows(2) {
                    texts.extend(numbered((pair[0]..pair[1]).map(|at| cell(&row, at))));
                }
                if begins.iter().any(|at| *at < width && texts[*at] != STEP) {
                    let what = format!("{location}, line {}", row.line);
                    let expected = "a column [step] for each run, as NetLogo 6 writes it";
                    return Err(Error::invalid(what, expected, "none"));
                }
                names = Some(texts);
            }
            // What follows is made of the measurements.
            "[reporter]" => summaries = true,
            "[total steps]" => {
                for at in (1..width).filter(|at| is_first(*at)) {
                    let run = runs.get_mut(&of[at]).expect("it was made");
                    run.results.insert("total_steps".into(), plain(cell(&row, at)));
                }
            }
            _ if summaries => {}
            _ => {
                for at in (1..width).filter(|at| is_first(*at)) {
                    let run = runs.get_mut(&of[at]).expect("it was made");
                    run.parameters.insert(name.into(), plain(cell(&row, at)));
                }
            }
        }
    }
    Ok((runs, names.is_some()))
}

/// An integer, also as `5.0`.
fn whole(text: &str) -> Option<i64> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

/// A number of NetLogo, which has no NaN.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|x: &f64| x.is_finite() || text.ends_with("Infinity"))
}

/// A value as JSON.
fn plain(text: &str) -> Value {
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ => match (text.parse::<i64>(), number(text).filter(|x| x.is_finite())) {
            (Ok(n), _) => n.into(),
            (_, Some(x)) => json!(x),
            _ => text.into(),
        },
    }
}

/// Takes what a reporter gave: a number or a boolean as a point, a list of numbers as an array, other things as a text.
fn measure(run: &mut Run, name: &str, step: i64, text: &str) {
    let list = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let items = list.map(|list| list.split_whitespace().map(number).collect::<Option<Vec<f64>>>());
    match (text, number(text), items) {
        ("", ..) => {}
        ("true", ..) => run.point(name, step, None, 1.0),
        ("false", ..) => run.point(name, step, None, 0.0),
        (_, Some(value), _) => run.point(name, step, None, value),
        (_, _, Some(Some(items))) if !items.is_empty() => run.array(name, step, items.into()),
        _ => run.text(name, step, None, text),
    }
}
