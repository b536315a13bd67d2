//! A signal: the series of one measured quantity, and what was made of them.

use std::sync::Arc;

use super::names::{
    find_series, key_of, last_number, numbers, of_key, series_name, signal_name, split_number,
    within,
};
use super::record::{
    SeriesRecord, SignalRecord, from_json, pack, renames, save_new, signal_record, to_json, unpack,
};
use super::step::{Dependency, ProcessingStep, dependencies, history, now};
use super::time_series::TimeSeries;
use crate::error::{Error, Result};
use crate::series::backend::{Change, StorageBackend};
use crate::series::container::SeriesContainer;
use crate::series::data::Series;

/// A series that a function made, and what it did: the suffix of the last step names the series.
pub type Made = (Series, Vec<ProcessingStep>);

/// What becomes of the series that a function makes.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// What they are called, in place of the suffix of their last step; one for each.
    pub names: Vec<String>,
    /// Whether they replace the latest series of their name, or get the next number.
    pub overwrite: bool,
}

impl Output {
    /// Named by the suffixes of their steps, with the next numbers.
    pub fn next() -> Self {
        Self::default()
    }

    /// With these names.
    pub fn named(names: &[&str]) -> Self {
        Output { names: names.iter().map(|name| (*name).to_owned()).collect(), overwrite: false }
    }

    /// In the place of the latest of their names.
    pub fn replacing(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// The bases of these series.
    pub(super) fn bases(&self, signal: &str, made: &[Made]) -> Result<Vec<String>> {
        if !self.names.is_empty() && self.names.len() != made.len() {
            let expected = format!("{} names, one for each series made", made.len());
            return Err(Error::invalid("the names", expected, self.names.len().to_string()));
        }
        let base = |(i, (series, steps)): (usize, &Made)| match self.names.get(i) {
            Some(name) if name.is_empty() || name.contains('_') => {
                let expected = "a text without an underscore, which stands behind the signal's";
                Err(Error::invalid("the name of a series", expected, format!("{name:?}")))
            }
            Some(name) => Ok(split_number(name).0.to_owned()),
            None => {
                let suffix = steps.last().map(|step| step.suffix.as_str());
                let suffix = suffix.filter(|suffix| !suffix.is_empty());
                let named = suffix.or(series.name().map(|name| within(signal, name)));
                Ok(split_number(named.unwrap_or("PROCESSED")).0.to_owned())
            }
        };
        made.iter().enumerate().map(base).collect()
    }
}

/// Where a signal is kept.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) backend: Arc<dyn StorageBackend>,
    pub(super) dataset: String,
}

impl std::fmt::Debug for Home {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}", self.dataset, self.backend.location())
    }
}

/// The series of one quantity: as measured, and what was made of them.
///
/// A signal that belongs to a [`Dataset`](super::Dataset) with a backend writes each change at once: what a
/// function made and the step that says so, in one commit.
///
/// # Example
/// ```
/// use siltstone::series::Series;
/// use siltstone::series::tree::{FunctionInfo, Output, ProcessingStep, ProcessingType, Signal};
/// let mut flow = Signal::new("flow", "m3/h")?;
/// let raw = flow.add(Series::from_times_ns(&[0, 10, 20], &[1.0, 2.0, 4.0])?)?;
/// assert_eq!(raw, "flow#1_RAW#1");
/// let made = flow.process(
///     &[&raw],
///     |inputs| {
///         let function = FunctionInfo::new("the first half", "1");
///         let step = ProcessingStep::new(ProcessingType::Filtering, function, "HALF");
///         Ok(vec![(inputs[0].slice(0, inputs[0].len() / 2), vec![step])])
///     },
///     &Output::next(),
/// )?;
/// assert_eq!(made, ["flow#1_HALF#1"]);
/// assert_eq!(flow.get("flow#1_HALF#1")?.steps()[0].input_series_names, ["flow#1_RAW#1"]);
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Signal {
    record: SignalRecord,
    series: Vec<TimeSeries>,
    /// What the backend has of it.
    stored: Option<SignalRecord>,
    /// The keys of series that are no longer its own.
    removed: Vec<String>,
    home: Option<Home>,
}

/// How often a name that another process took meanwhile is chosen anew.
const TRIES: usize = 100;

impl Signal {
    /// A signal without series. A name without a number gets the number 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name.
    pub fn new(name: &str, units: impl Into<String>) -> Result<Self> {
        Self::of(SignalRecord::new(name, units))
    }

    /// A signal of which this is known.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name.
    pub fn of(mut record: SignalRecord) -> Result<Self> {
        record.name = signal_name(&record.name)?;
        Ok(Signal { record, series: Vec::new(), stored: None, removed: Vec::new(), home: None })
    }

    /// Its name, with its number.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// What is known of it.
    pub fn record(&self) -> &SignalRecord {
        &self.record
    }

    /// What is known of it, to be changed; the name stays as it is. The next [`save`](Self::save) keeps it.
    pub fn edit(&mut self, edit: impl FnOnce(&mut SignalRecord)) {
        let name = self.record.name.clone();
        edit(&mut self.record);
        self.record.name = name;
        self.record.last_updated = now();
    }

    /// Its series, in the order in which they were made.
    pub fn series(&self) -> &[TimeSeries] {
        &self.series
    }

    /// The series of this name: `flow#1_RAW#1`, `RAW#1`, or `RAW` if one series has this base.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] for a base that several have.
    pub fn get(&self, name: &str) -> Result<&TimeSeries> {
        Ok(&self.series[self.find(name)?])
    }

    /// The series of this name, to be changed. The next [`save`](Self::save) keeps it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn get_mut(&mut self, name: &str) -> Result<&mut TimeSeries> {
        let found = self.find(name)?;
        Ok(&mut self.series[found])
    }

    fn find(&self, name: &str) -> Result<usize> {
        let names: Vec<&str> = self.series.iter().map(TimeSeries::name).collect();
        find_series(self.name(), &names, name)?.ok_or_else(|| Error::NotFound {
            what: "the series",
            name: name.to_owned(),
            location: format!("the signal {:?}", self.name()),
        })
    }

    /// Adds a series as it was measured, named by its name (`RAW` without one), with the next number of it.
    /// Its full name.
    ///
    /// # Errors
    /// What the backend says; then the signal is as it was.
    pub fn add(&mut self, series: Series) -> Result<String> {
        self.add_with(series, SeriesRecord::new(Vec::new()))
    }

    /// Adds a series of which this is known. Its full name.
    ///
    /// # Errors
    /// What the backend says; then the signal is as it was.
    pub fn add_with(&mut self, series: Series, record: SeriesRecord) -> Result<String> {
        let name = within(self.name(), series.name().unwrap_or("RAW"));
        let base = split_number(name).0.to_owned();
        Ok(self.put(vec![(series, record)], &[base], false, |_, _| {})?.remove(0))
    }

    /// Runs a function over some of its series, and keeps the series it makes, each with its history. The
    /// full names of those.
    ///
    /// The function is given the series in this order, each with its full name.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a series that is not there; [`Error::Invalid`] for names that do not fit; what the
    /// function and the backend say. Then the signal and the backend are as they were.
    pub fn process<F>(
        &mut self,
        inputs: &[&str],
        function: F,
        output: &Output,
    ) -> Result<Vec<String>>
    where
        F: FnOnce(&[Series]) -> Result<Vec<Made>>,
    {
        let found: Vec<usize> = inputs.iter().map(|name| self.find(name)).collect::<Result<_>>()?;
        let given = found.iter().map(|i| self.series[*i].named());
        let given = given.collect::<Result<Vec<Series>>>()?;
        let made = function(&given)?;
        drop(given);
        let bases = output.bases(self.name(), &made)?;
        let inputs: Vec<(String, Vec<ProcessingStep>)> = found
            .iter()
            .map(|i| (self.series[*i].name().to_owned(), self.series[*i].steps().to_vec()))
            .collect();
        let (series, mut steps): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        let new =
            series.into_iter().map(|series| (series, SeriesRecord::new(Vec::new()))).collect();
        let borrowed: Vec<(&str, &[ProcessingStep])> =
            inputs.iter().map(|(name, steps)| (name.as_str(), steps.as_slice())).collect();
        self.put(new, &bases, output.overwrite, |i, ts| {
            let name = ts.name().to_owned();
            ts.record_mut().processing_steps =
                history(&borrowed, std::mem::take(&mut steps[i]), &name);
        })
    }

    /// Adds series under the next (or the latest) numbers of their bases, and saves them if it has a home.
    /// `finish` is told each new series once it has its name.
    fn put(
        &mut self,
        new: Vec<(Series, SeriesRecord)>,
        bases: &[String],
        replace: bool,
        mut finish: impl FnMut(usize, &mut TimeSeries),
    ) -> Result<Vec<String>> {
        let before = self.clone();
        let result = (|| {
            let name = self.name().to_owned();
            let bases: Vec<&str> = bases.iter().map(String::as_str).collect();
            let own: Vec<&str> = self.series.iter().map(|ts| within(&name, ts.name())).collect();
            let numbers = numbers(&bases, &own, replace);
            let mut names = Vec::with_capacity(new.len());
            for (i, (series, record)) in new.into_iter().enumerate() {
                let full = series_name(&name, bases[i], numbers[i]);
                let mut made = TimeSeries::new(full.clone(), series, record);
                finish(i, &mut made);
                match self.series.iter_mut().find(|ts| ts.name() == full) {
                    Some(old) => old.replace(made),
                    None => self.series.push(made),
                }
                names.push(full);
            }
            self.sort();
            self.record.last_updated = now();
            if self.home.is_none() {
                return Ok(names);
            }
            for _ in 0..TRIES {
                match self.save() {
                    Err(Error::Exists { .. }) => names = self.renumber(&names)?,
                    done => {
                        done?;
                        names.iter().try_for_each(|name| self.get(name)?.unload())?;
                        return Ok(names);
                    }
                }
            }
            let expected = "a number that no other process takes at the same time";
            Err(Error::invalid("the name of a new series", expected, format!("{names:?}")))
        })();
        if result.is_err() {
            *self = before;
        }
        result
    }

    /// Gives new series that are not stored yet the next numbers behind those that the backend has by now.
    fn renumber(&mut self, names: &[String]) -> Result<Vec<String>> {
        let Some(home) = self.home.clone() else { return Ok(names.to_vec()) };
        let signal = self.name().to_owned();
        let keys = home.backend.list_keys(&key_of(&home.dataset, &signal, ""))?;
        let taken = keys.iter().filter_map(|key| of_key(&home.dataset, key));
        let mut taken: Vec<String> =
            taken.map(|(_, name)| within(&signal, &name).to_owned()).collect();
        let mut renamed = Vec::with_capacity(names.len());
        for name in names {
            let found = self.find(name)?;
            if self.series[found].stored.is_none() {
                let (base, _) = split_number(within(&signal, name));
                let number = last_number(base, taken.iter().map(String::as_str)) + 1;
                let full = series_name(&signal, base, number);
                taken.push(format!("{base}#{number}"));
                self.series[found].rename(name, &full);
            }
            renamed.push(self.series[found].name().to_owned());
        }
        Ok(renamed)
    }

    /// Removes a series. What was made of it keeps its name in its history.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what the backend says, and then it is still there.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let before = self.clone();
        let gone = self.series.remove(self.find(name)?);
        self.removed.extend(gone.stored.map(|(key, _)| key));
        self.record.last_updated = now();
        self.save().inspect_err(|_| *self = before)
    }

    /// What a series was made of, back to what nobody made.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn dependencies(&self, name: &str) -> Result<Vec<Dependency>> {
        let series = self.get(name)?;
        Ok(dependencies(series.name(), series.steps()))
    }

    /// Writes what is not written yet, in one commit. Without a backend there is nothing to do.
    ///
    /// # Errors
    /// What the backend says; then nothing was written.
    pub fn save(&mut self) -> Result<()> {
        let Some(home) = self.home.clone() else { return Ok(()) };
        let changes = self.changes(&home);
        home.backend.commit(&changes)?;
        self.saved(&home);
        Ok(())
    }

    /// Forgets the points of all series that are saved.
    ///
    /// # Errors
    /// [`Error::Invalid`] if some are not.
    pub fn unload(&self) -> Result<()> {
        self.series.iter().try_for_each(TimeSeries::unload)
    }

    /// The same signal under another name; the names of its series follow. The names that changed.
    pub(super) fn renamed(&mut self, name: &str) -> Vec<(String, String)> {
        let mut renames = Vec::new();
        let old = std::mem::replace(&mut self.record.name, name.to_owned());
        for ts in &self.series {
            let full = format!("{name}_{}", within(&old, ts.name()));
            renames.push((ts.name().to_owned(), full));
        }
        self.record.last_updated = now();
        self.follow(&renames);
        renames
    }

    /// Puts new names of series in place of the old ones, in the histories too.
    pub(super) fn follow(&mut self, renames: &[(String, String)]) {
        for ts in &mut self.series {
            for (from, to) in renames {
                ts.rename(from, to);
            }
        }
        self.sort();
    }

    /// Brings its series into the order in which they were made, which is that of a signal opened anew.
    fn sort(&mut self) {
        self.series.sort_by(|a, b| a.made().cmp(&b.made()));
    }

    /// When it was made, to sort by; the name tells two of one instant apart.
    pub(super) fn made(&self) -> (&str, &str) {
        (&self.record.created_on, &self.record.name)
    }

    /// The same signal, without what is known of where it is stored: of another dataset.
    pub(super) fn detached(mut self) -> Result<Self> {
        for ts in &mut self.series {
            // The points come from the old home when they are wanted; they go to the new one.
            ts.detach()?;
        }
        (self.stored, self.home) = (None, None);
        self.removed.clear();
        Ok(self)
    }

    pub(super) fn set_home(&mut self, home: Option<Home>) {
        self.home = home;
    }

    /// The changes that make the backend have what this signal is.
    pub(super) fn changes(&self, home: &Home) -> Vec<Change> {
        let mut changes: Vec<Change> =
            self.removed.iter().map(|key| Change::Delete { key: key.clone() }).collect();
        let (mut moves, mut rest, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        for ts in &self.series {
            let key = key_of(&home.dataset, self.name(), ts.name());
            let is_new = ts.stored.is_none();
            if let Some((old, _)) = ts.stored.as_ref().filter(|(old, _)| *old != key) {
                moves.push((old.clone(), key.clone()));
            }
            let unsaved = ts.unsaved();
            if unsaved.is_none() && !ts.is_edited() {
                continue;
            }
            let (metadata, texts) = pack(ts.record());
            sources.extend(texts);
            match unsaved {
                Some(series) if is_new => {
                    rest.extend(save_new(key, series, metadata));
                }
                Some(series) => rest.push(Change::Save { key, series, metadata }),
                None => rest.push(Change::SetMetadata { key, metadata }),
            }
        }
        changes.extend(renames(&moves));
        changes.append(&mut rest);
        let old = self.stored.as_ref().filter(|old| old.name != self.record.name);
        changes.extend(old.map(|old| Change::Record {
            name: signal_record(&home.dataset, &old.name),
            record: None,
        }));
        if self.stored.as_ref() != Some(&self.record) {
            let name = signal_record(&home.dataset, self.name());
            changes.push(Change::Record { name, record: Some(to_json(&self.record)) });
        }
        let sources = sources.into_iter();
        changes.extend(sources.map(|(name, record)| Change::Record { name, record: Some(record) }));
        changes
    }

    /// The backend has what [`changes`](Self::changes) said.
    pub(super) fn saved(&mut self, home: &Home) {
        let signal = self.name().to_owned();
        for ts in &mut self.series {
            let key = key_of(&home.dataset, &signal, ts.name());
            ts.saved_as(&home.backend, key);
        }
        self.removed.clear();
        self.stored = Some(self.record.clone());
    }

    /// The changes that make the backend have nothing of this signal.
    pub(super) fn removal(&self, home: &Home) -> Vec<Change> {
        let keys = self.series.iter().filter_map(|ts| ts.stored.as_ref().map(|(key, _)| key));
        let keys = keys.chain(&self.removed);
        let mut changes: Vec<Change> =
            keys.map(|key| Change::Delete { key: key.clone() }).collect();
        changes.extend(self.stored.as_ref().map(|stored| Change::Record {
            name: signal_record(&home.dataset, &stored.name),
            record: None,
        }));
        changes
    }

    /// The signal that a backend has: its record, if there is one, and the series of these keys.
    pub(super) fn open(home: &Home, name: &str, keys: &[(String, String)]) -> Result<Self> {
        let backend = &home.backend;
        let stored = match backend.record(&signal_record(&home.dataset, name))? {
            Some(json) => {
                let record: SignalRecord = from_json(json, &format!("the signal {name:?}"))?;
                Some(SignalRecord { name: name.to_owned(), ..record })
            }
            None => None,
        };
        // Series that were saved under a key of the signal by other means: nothing is known of it.
        let record = stored.clone().unwrap_or_else(|| SignalRecord {
            name: name.to_owned(),
            units: "unit".into(),
            ..SignalRecord::default()
        });
        let mut series = Vec::with_capacity(keys.len());
        for (key, full) in keys {
            let metadata = backend.metadata(key)?;
            let record = unpack(metadata, key, &mut |name| backend.record(name))?;
            let container = SeriesContainer::of(backend.clone(), key.as_str());
            series.push(TimeSeries::stored(full.clone(), container, record, key.clone()));
        }
        let home = Some(home.clone());
        let mut signal = Signal { record, series, stored, removed: Vec::new(), home };
        signal.sort();
        Ok(signal)
    }
}
