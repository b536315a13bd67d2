//! A series that is loaded when it is touched.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::backend::{SeriesInfo, StorageBackend};
use super::data::{Metadata, Series};
use crate::error::{Error, Result};

/// A series of a backend, in memory only from its first touch until it is [unloaded](Self::unload); or one in
/// memory that is not saved yet.
///
/// # Example
/// ```
/// use std::sync::Arc;
/// use siltstone::series::{MemoryBackend, Series, SeriesContainer, StorageBackend};
/// let backend = Arc::new(MemoryBackend::new());
/// backend.save("line#1", &Series::from_times_ns(&[0, 10], &[20.5, 21.0])?, &Default::default())?;
/// let container = SeriesContainer::of(backend, "line#1");
/// assert_eq!(container.len()?, 2); // known without the points
/// assert!(!container.is_loaded());
/// assert_eq!(container.data()?.len(), 2);
/// container.unload()?;
/// # Ok::<(), siltstone::Error>(())
/// ```
pub struct SeriesContainer {
    home: Option<(Arc<dyn StorageBackend>, String)>,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    data: Option<Series>,
    /// Whether the backend has these points.
    saved: bool,
}

impl SeriesContainer {
    /// The series of this key. Nothing is read yet.
    pub fn of(backend: Arc<dyn StorageBackend>, key: impl Into<String>) -> Self {
        let state = Mutex::new(State { data: None, saved: true });
        SeriesContainer { home: Some((backend, key.into())), state }
    }

    /// A series in memory, which no backend has yet.
    pub fn new(data: Series) -> Self {
        let state = Mutex::new(State { data: Some(data), saved: false });
        SeriesContainer { home: None, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What the lock guards is whole at every moment.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The series; loaded if it is not in memory. A copy shares its points.
    ///
    /// # Errors
    /// What the backend says.
    pub fn data(&self) -> Result<Series> {
        let mut state = self.state();
        if let Some(data) = &state.data {
            return Ok(data.clone());
        }
        let (backend, key) = self.home.as_ref().expect("what is not in memory is in a backend");
        let (data, _) = backend.load(key)?;
        state.data = Some(data.clone());
        Ok(data)
    }

    /// Puts another series in its place, which no backend has yet.
    pub fn set_data(&mut self, data: Series) {
        *self.state() = State { data: Some(data), saved: false };
    }

    /// Where it is: the backend and the key.
    pub fn home(&self) -> Option<(&Arc<dyn StorageBackend>, &str)> {
        self.home.as_ref().map(|(backend, key)| (backend, key.as_str()))
    }

    /// Whether the points are in memory.
    pub fn is_loaded(&self) -> bool {
        self.state().data.is_some()
    }

    /// Whether the backend has these points.
    pub fn is_saved(&self) -> bool {
        self.state().saved
    }

    /// The number of points, without loading them.
    ///
    /// # Errors
    /// What the backend says.
    pub fn len(&self) -> Result<u64> {
        if let Some(data) = &self.state().data {
            return Ok(data.len() as u64);
        }
        Ok(self.info()?.length)
    }

    /// Whether there is no point, without loading any.
    ///
    /// # Errors
    /// What the backend says.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// What is known of the series without its points. Of one that no backend has, the key is empty.
    ///
    /// # Errors
    /// What the backend says.
    pub fn info(&self) -> Result<SeriesInfo> {
        let state = self.state().clone();
        match (state.data, &self.home) {
            (Some(data), _) if !state.saved => SeriesInfo::of("", &data, &Metadata::new()),
            (_, Some((backend, key))) => backend.info(key),
            (data, None) => {
                let data = data.expect("what is not in a backend is in memory");
                SeriesInfo::of("", &data, &Metadata::new())
            }
        }
    }

    /// Forgets the points; they are loaded again when they are touched.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the backend does not have them: they would be lost.
    pub fn unload(&self) -> Result<()> {
        let mut state = self.state();
        if !state.saved {
            let got = "points that no backend has";
            return Err(Error::invalid("the series to unload", "one that was saved", got));
        }
        state.data = None;
        Ok(())
    }

    /// From now on the backend has these points under this key.
    pub(crate) fn saved_as(&mut self, backend: Arc<dyn StorageBackend>, key: String) {
        self.home = Some((backend, key));
        self.state().saved = true;
    }
}

impl Clone for SeriesContainer {
    fn clone(&self) -> Self {
        SeriesContainer { home: self.home.clone(), state: Mutex::new(self.state().clone()) }
    }
}

impl fmt::Debug for SeriesContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("SeriesContainer")
            .field("key", &self.home.as_ref().map(|(_, key)| key))
            .field("is_loaded", &state.data.is_some())
            .field("is_saved", &state.saved)
            .finish()
    }
}
