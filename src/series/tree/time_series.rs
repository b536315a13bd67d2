//! A series of a signal.

use std::sync::Arc;

use super::record::SeriesRecord;
use super::step::ProcessingStep;
use crate::error::Result;
use crate::series::backend::{SeriesInfo, StorageBackend};
use crate::series::container::SeriesContainer;
use crate::series::data::Series;

/// A series of a signal: its points, which are loaded when they are touched, and its history.
#[derive(Debug, Clone)]
pub struct TimeSeries {
    name: String,
    record: SeriesRecord,
    container: SeriesContainer,
    /// The key that the backend has it under, and what the backend knows of it.
    pub(super) stored: Option<(String, SeriesRecord)>,
}

impl TimeSeries {
    pub(super) fn new(name: String, series: Series, record: SeriesRecord) -> Self {
        let container = SeriesContainer::new(series.with_name(name.as_str()));
        TimeSeries { name, record, container, stored: None }
    }

    pub(super) fn stored(
        name: String,
        container: SeriesContainer,
        record: SeriesRecord,
        key: String,
    ) -> Self {
        TimeSeries { name, stored: Some((key, record.clone())), record, container }
    }

    /// Its full name: `flow#1_RAW#1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of it.
    pub fn record(&self) -> &SeriesRecord {
        &self.record
    }

    /// What is known of it, to be changed.
    pub fn record_mut(&mut self) -> &mut SeriesRecord {
        &mut self.record
    }

    /// What was done to it, in order.
    pub fn steps(&self) -> &[ProcessingStep] {
        &self.record.processing_steps
    }

    /// Its points, loaded if they are not in memory, under its full name.
    ///
    /// # Errors
    /// What the backend says.
    pub fn series(&self) -> Result<Series> {
        Ok(self.container.data()?.with_name(self.name.as_str()))
    }

    /// Puts other points in place of its own.
    pub fn set_series(&mut self, series: Series) {
        self.container.set_data(series.with_name(self.name.as_str()));
    }

    /// The number of points, without loading them.
    ///
    /// # Errors
    /// What the backend says.
    pub fn len(&self) -> Result<u64> {
        self.container.len()
    }

    /// Whether there is no point, without loading any.
    ///
    /// # Errors
    /// What the backend says.
    pub fn is_empty(&self) -> Result<bool> {
        self.container.is_empty()
    }

    /// What is known of the points without loading them: length, types, least and greatest index.
    ///
    /// # Errors
    /// What the backend says.
    pub fn info(&self) -> Result<SeriesInfo> {
        self.container.info()
    }

    /// Whether the points are in memory.
    pub fn is_loaded(&self) -> bool {
        self.container.is_loaded()
    }

    /// Forgets the points; they are loaded again when they are touched.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if no backend has them.
    pub fn unload(&self) -> Result<()> {
        self.container.unload()
    }

    /// The points for a function; what was not in memory does not stay there.
    pub(super) fn named(&self) -> Result<Series> {
        let was_loaded = self.is_loaded();
        let series = self.series()?;
        if !was_loaded {
            self.unload()?;
        }
        Ok(series)
    }

    /// When it was made, to sort by; the name tells two of one instant apart.
    pub(super) fn made(&self) -> (&str, &str) {
        (&self.record.created_on, &self.name)
    }

    /// Takes points and record of another one; the key stays.
    pub(super) fn replace(&mut self, other: TimeSeries) {
        (self.record, self.container) = (other.record, other.container);
    }

    /// Puts a new name of a series in place of an old one, its own and those of its history.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if self.name == from {
            to.clone_into(&mut self.name);
        }
        for step in &mut self.record.processing_steps {
            let inputs = step.input_series_names.iter_mut();
            for name in inputs.chain(&mut step.output_series_name).filter(|name| *name == from) {
                to.clone_into(name);
            }
        }
    }

    /// The points that the backend does not have.
    pub(super) fn unsaved(&self) -> Option<Series> {
        if self.container.is_saved() {
            return None;
        }
        self.container.data().ok().map(|series| series.with_name(self.name.as_str()))
    }

    /// Whether what is known of it is not what the backend knows.
    pub(super) fn is_edited(&self) -> bool {
        self.stored.as_ref().is_none_or(|(_, record)| *record != self.record)
    }

    pub(super) fn saved_as(&mut self, backend: &Arc<dyn StorageBackend>, key: String) {
        self.container.saved_as(backend.clone(), key.clone());
        self.stored = Some((key, self.record.clone()));
    }

    /// Takes the points into memory, as those of a series that no backend has.
    pub(super) fn detach(&mut self) -> Result<()> {
        self.container = SeriesContainer::new(self.series()?);
        self.stored = None;
        Ok(())
    }
}
