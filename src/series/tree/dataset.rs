//! A dataset: signals that belong together, in memory or in a backend.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::names::{escape, last_number, numbers, of_key, split_number, unescape};
use super::record::{
    DatasetRecord, SeriesRecord, SignalRecord, dataset_record, from_json, to_json,
};
use super::signal::{Home, Made, Output, Signal};
use super::step::{Dependency, ProcessingStep, dependencies, history, now};
use crate::error::{Error, Result};
use crate::series::backend::{Change, StorageBackend};
use crate::series::data::Series;

/// A series that a function over several signals is given.
#[derive(Debug, Clone)]
pub struct Input {
    /// What is known of its signal.
    pub signal: SignalRecord,
    /// The series, with its full name.
    pub series: Series,
    /// Its history.
    pub steps: Vec<ProcessingStep>,
}

/// A signal that a function over several signals made.
#[derive(Debug, Clone)]
pub struct NewSignal {
    /// What is known of it; it gets the next number of its name.
    pub record: SignalRecord,
    /// Its series.
    pub series: Vec<Made>,
}

/// Signals that belong together.
///
/// With a backend, each change is written at once, and only what changed: what a function made and the step
/// that says so in one commit. Points are loaded when they are touched.
#[derive(Debug, Clone)]
pub struct Dataset {
    record: DatasetRecord,
    signals: Vec<Signal>,
    /// What the backend has of it.
    stored: Option<DatasetRecord>,
    home: Option<Home>,
}

impl Dataset {
    /// A dataset in memory.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name.
    pub fn new(name: &str) -> Result<Self> {
        Self::of(DatasetRecord::new(name))
    }

    /// A dataset in memory of which this is known.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name.
    pub fn of(record: DatasetRecord) -> Result<Self> {
        if record.name.is_empty() {
            let expected = "a text that is not empty";
            return Err(Error::invalid("the name of a dataset", expected, "\"\""));
        }
        Ok(Dataset { record, signals: Vec::new(), stored: None, home: None })
    }

    /// A new dataset of a backend.
    ///
    /// # Errors
    /// [`Error::Exists`] if the backend has one of this name.
    pub fn create(backend: Arc<dyn StorageBackend>, name: &str) -> Result<Self> {
        let mut dataset = Self::new(name)?;
        dataset.keep_in(backend)?;
        Ok(dataset)
    }

    /// The dataset of this name that a backend has: all that is known of it, and no point yet.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Corrupt`] for records that are none.
    pub fn open(backend: Arc<dyn StorageBackend>, name: &str) -> Result<Self> {
        let home = Home { backend, dataset: name.to_owned() };
        let backend = &home.backend;
        let stored = match backend.record(&dataset_record(name))? {
            Some(json) => {
                let record: DatasetRecord = from_json(json, &format!("the dataset {name:?}"))?;
                Some(DatasetRecord { name: name.to_owned(), ..record })
            }
            None => None,
        };
        let mut signals: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        let prefix = format!("signal/{}/", escape(name));
        for record in backend.list_records(&prefix)? {
            signals.entry(unescape(&record[prefix.len()..])).or_default();
        }
        for key in backend.list_keys(&format!("{}/", escape(name)))? {
            if let Some((signal, series)) = of_key(name, &key) {
                signals.entry(signal).or_default().push((key, series));
            }
        }
        if stored.is_none() && signals.is_empty() {
            return Err(Error::NotFound {
                what: "the dataset",
                name: name.to_owned(),
                location: backend.location(),
            });
        }
        let opened = signals.iter().map(|(signal, keys)| Signal::open(&home, signal, keys));
        let signals: Vec<Signal> = opened.collect::<Result<_>>()?;
        let record = stored
            .clone()
            .unwrap_or_else(|| DatasetRecord { name: name.to_owned(), ..DatasetRecord::default() });
        let mut dataset = Dataset { record, signals, stored, home: Some(home) };
        dataset.sort();
        Ok(dataset)
    }

    /// The names of the datasets that a backend has, sorted.
    ///
    /// # Errors
    /// What the backend says.
    pub fn list(backend: &dyn StorageBackend) -> Result<Vec<String>> {
        let records = backend.list_records("dataset/")?;
        let mut names: Vec<String> =
            records.iter().map(|name| unescape(&name["dataset/".len()..])).collect();
        names.sort();
        Ok(names)
    }

    /// Keeps a dataset that is in memory in this backend from now on; all of it is written, in one commit.
    ///
    /// # Errors
    /// [`Error::Exists`] if the backend has one of this name; [`Error::Invalid`] if it is kept in a backend
    /// already. Nothing was written then.
    pub fn keep_in(&mut self, backend: Arc<dyn StorageBackend>) -> Result<()> {
        if let Some(home) = &self.home {
            let expected = "one that is in memory only";
            return Err(Error::invalid("the dataset to keep", expected, format!("{home:?}")));
        }
        let name = self.record.name.clone();
        let home = Home { backend, dataset: name.clone() };
        if home.backend.record(&dataset_record(&name))?.is_some() {
            return Err(Error::Exists {
                what: format!("the dataset {name:?}"),
                location: home.backend.location(),
                hint: "open it, or take another name",
            });
        }
        self.set_home(Some(home));
        self.save().inspect_err(|_| self.set_home(None))
    }

    fn set_home(&mut self, home: Option<Home>) {
        for signal in &mut self.signals {
            signal.set_home(home.clone());
        }
        self.home = home;
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// What is known of it.
    pub fn record(&self) -> &DatasetRecord {
        &self.record
    }

    /// Changes what is known of it; the name stays as it is. The next [`save`](Self::save) keeps it.
    pub fn edit(&mut self, edit: impl FnOnce(&mut DatasetRecord)) {
        let name = self.record.name.clone();
        edit(&mut self.record);
        self.record.name = name;
        self.record.last_updated = now();
    }

    /// Its signals, in the order in which they were made.
    pub fn signals(&self) -> &[Signal] {
        &self.signals
    }

    /// The signal of this name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn signal(&self, name: &str) -> Result<&Signal> {
        Ok(&self.signals[self.find(name)?])
    }

    /// The signal of this name, to be changed; it writes its changes to the backend of the dataset.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn signal_mut(&mut self, name: &str) -> Result<&mut Signal> {
        let found = self.find(name)?;
        Ok(&mut self.signals[found])
    }

    fn find(&self, name: &str) -> Result<usize> {
        let found = self.signals.iter().position(|signal| signal.name() == name);
        found.ok_or_else(|| Error::NotFound {
            what: "the signal",
            name: name.to_owned(),
            location: format!("the dataset {:?}", self.name()),
        })
    }

    /// Adds a signal with its series, under the next number of its name. Its name.
    ///
    /// # Errors
    /// What the backend says; then the dataset is as it was.
    pub fn add(&mut self, signal: Signal) -> Result<String> {
        let mut signal = signal.detached()?;
        let base = split_number(signal.name()).0.to_owned();
        let taken = self.taken()?;
        let number = last_number(&base, taken.iter().map(String::as_str)) + 1;
        signal.renamed(&format!("{base}#{number}"));
        signal.set_home(self.home.clone());
        let name = signal.name().to_owned();
        self.change(|dataset| {
            dataset.signals.push(signal);
            dataset.save()
        })?;
        Ok(name)
    }

    /// Does something to the dataset, or leaves it as it was.
    fn change<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = self.clone();
        self.record.last_updated = now();
        let done = work(self).inspect_err(|_| *self = before)?;
        self.sort();
        Ok(done)
    }

    /// Brings its signals into the order in which they were made, which is that of a dataset opened anew.
    fn sort(&mut self) {
        self.signals.sort_by(|a, b| a.made().cmp(&b.made()));
    }

    /// The names of its signals, and of those that other processes added meanwhile.
    fn taken(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = self.names().map(str::to_owned).collect();
        if let Some(home) = &self.home {
            let prefix = format!("signal/{}/", escape(&home.dataset));
            let records = home.backend.list_records(&prefix)?;
            names.extend(records.iter().map(|record| unescape(&record[prefix.len()..])));
        }
        Ok(names)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.signals.iter().map(Signal::name)
    }

    /// Removes a signal and its series. What was made of them keeps their names in its history.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what the backend says, and then it is still there.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        let found = self.find(name)?;
        self.change(|dataset| {
            let gone = dataset.signals.remove(found);
            let home = dataset.home.iter();
            let removal = home.flat_map(|home| gone.removal(home)).collect();
            dataset.save_after(removal)
        })
    }

    /// Gives a signal another name; the names of its series follow, in every history too. Its new name.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exists`] if another signal has the name; what the backend says. Then all names
    /// are as they were.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<String> {
        let (found, to) = (self.find(from)?, super::names::signal_name(to)?);
        if self.names().any(|name| name == to) {
            return Err(Error::Exists {
                what: format!("the signal {to:?}"),
                location: format!("the dataset {:?}", self.name()),
                hint: "take another name",
            });
        }
        self.change(|dataset| {
            let renames = dataset.signals[found].renamed(&to);
            for signal in &mut dataset.signals {
                signal.follow(&renames);
            }
            dataset.save()
        })?;
        Ok(to)
    }

    /// Runs a function over series of several signals, and adds the signals that it makes. Their names.
    ///
    /// A signal that it makes gets the next number of its name, or replaces the latest if `output`
    /// says so; a series is named by its last step. The names of `output` are those of the signals.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a series that is not there; [`Error::Invalid`] for names that do not fit; what the
    /// function and the backend say. Then the dataset is as it was.
    pub fn process<F>(
        &mut self,
        inputs: &[&str],
        function: F,
        output: &Output,
    ) -> Result<Vec<String>>
    where
        F: FnOnce(&[Input]) -> Result<Vec<NewSignal>>,
    {
        let given = inputs.iter().map(|name| {
            let (signal, series) = self.series(name)?;
            let steps = series.steps().to_vec();
            Ok(Input { signal: signal.record().clone(), series: series.named()?, steps })
        });
        let given = given.collect::<Result<Vec<Input>>>()?;
        let made = function(&given)?;
        if !output.names.is_empty() && output.names.len() != made.len() {
            let expected = format!("{} names, one for each signal made", made.len());
            return Err(Error::invalid("the names", expected, output.names.len().to_string()));
        }
        let bases: Vec<String> = (made.iter().enumerate())
            .map(|(i, new)| output.names.get(i).unwrap_or(&new.record.name))
            .map(|name| split_number(name).0.to_owned())
            .collect();
        let histories: Vec<(&str, &[ProcessingStep])> = given
            .iter()
            .map(|input| (input.series.name().unwrap_or_default(), input.steps.as_slice()))
            .collect();
        let borrowed: Vec<&str> = bases.iter().map(String::as_str).collect();
        let taken = self.taken()?;
        let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        let numbers = numbers(&borrowed, &taken, output.overwrite);
        let mut new = Vec::with_capacity(made.len());
        for (i, NewSignal { record, series }) in made.into_iter().enumerate() {
            let name = format!("{}#{}", bases[i], numbers[i]);
            let mut signal = Signal::of(SignalRecord { name: name.clone(), ..record })?;
            let names = Output::next().bases(&name, &series)?;
            for ((series, steps), base) in series.into_iter().zip(names) {
                let full =
                    signal.add_with(series.with_name(base), SeriesRecord::new(Vec::new()))?;
                let record = signal.get_mut(&full)?.record_mut();
                record.processing_steps = history(&histories, steps, &full);
            }
            signal.set_home(self.home.clone());
            new.push(signal);
        }
        let names = new.iter().map(|signal| signal.name().to_owned()).collect();
        self.change(|dataset| {
            let mut removals = Vec::new();
            for signal in new {
                match dataset.signals.iter_mut().find(|old| old.name() == signal.name()) {
                    Some(old) => {
                        removals.extend(dataset.home.iter().flat_map(|home| old.removal(home)));
                        *old = signal;
                    }
                    None => dataset.signals.push(signal),
                }
            }
            dataset.save_after(removals)
        })?;
        Ok(names)
    }

    /// The series of this full name, and its signal.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn series(&self, name: &str) -> Result<(&Signal, &super::TimeSeries)> {
        let found = self.signals.iter().find_map(|signal| {
            let series = signal.series().iter().find(|series| series.name() == name)?;
            Some((signal, series))
        });
        found.ok_or_else(|| Error::NotFound {
            what: "the series",
            name: name.to_owned(),
            location: format!("the dataset {:?}", self.name()),
        })
    }

    /// What every series of the dataset was made of: the edges of a graph, each once.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let mut edges: Vec<Dependency> = Vec::new();
        for series in self.signals.iter().flat_map(Signal::series) {
            for edge in dependencies(series.name(), series.steps()) {
                if !edges.contains(&edge) {
                    edges.push(edge);
                }
            }
        }
        edges
    }

    /// Writes what is not written yet, in one commit. Without a backend there is nothing to do.
    ///
    /// # Errors
    /// What the backend says; then nothing was written.
    pub fn save(&mut self) -> Result<()> {
        self.save_after(Vec::new())
    }

    fn save_after(&mut self, mut changes: Vec<Change>) -> Result<()> {
        let Some(home) = self.home.clone() else { return Ok(()) };
        changes.extend(self.signals.iter().flat_map(|signal| signal.changes(&home)));
        if self.stored.as_ref() != Some(&self.record) {
            let name = dataset_record(&self.record.name);
            changes.push(Change::Record { name, record: Some(to_json(&self.record)) });
        }
        home.backend.commit(&changes)?;
        for signal in &mut self.signals {
            signal.saved(&home);
        }
        self.stored = Some(self.record.clone());
        Ok(())
    }

    /// Forgets the points of all series that are saved.
    ///
    /// # Errors
    /// [`Error::Invalid`] if some are not.
    pub fn unload(&self) -> Result<()> {
        self.signals.iter().try_for_each(Signal::unload)
    }
}
