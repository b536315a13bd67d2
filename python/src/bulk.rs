//! A whole dataset as Python objects: read with the GIL released, handed over in chunks.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use siltstone::simulation::{Attribute, Update};

use crate::arena::{self, Arena};
use crate::arrays_out::Out;
use crate::enter::Signals;
use crate::entities::update_to_dict;

/// A chunk ends with the update that reaches one of the two: what is read is used again while it
/// is in the processor's cache, and the memory that it was read into serves for the next chunk.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_UPDATES: usize = 512;

/// Turns updates into a list of dictionaries, their arrays in few large pieces of memory.
pub(crate) struct Bulk {
    list: Py<PyList>,
    arena: Arena,
    chunk: Vec<Update>,
    chunk_bytes: usize,
}

impl Bulk {
    pub(crate) fn new(py: Python<'_>) -> Self {
        let (arena, chunk) = (Arena::default(), Vec::with_capacity(CHUNK_UPDATES));
        Bulk { list: PyList::empty(py).unbind(), arena, chunk, chunk_bytes: 0 }
    }

    /// Takes an update, detached from Python.
    pub(crate) fn push(&mut self, update: Update, signals: &mut Signals) -> siltstone::Result<()> {
        signals.check()?;
        self.chunk_bytes += size_bytes(&update);
        self.chunk.push(update);
        if self.chunk.len() < CHUNK_UPDATES && self.chunk_bytes < CHUNK_BYTES {
            return Ok(());
        }
        self.hand_over(signals, arena::PIECE_BYTES)
    }

    /// The list, when every update was pushed.
    pub(crate) fn finish(mut self, signals: &mut Signals) -> siltstone::Result<Py<PyList>> {
        // Nothing comes after this: no more memory than it takes.
        let rest = self.chunk_bytes;
        self.hand_over(signals, rest)?;
        Ok(self.list)
    }

    fn hand_over(&mut self, signals: &mut Signals, piece_bytes: usize) -> siltstone::Result<()> {
        signals.run(|py| {
            let _paused = CyclesUnwatched::begin(py);
            let mut out = Out::with_arena(py, std::mem::take(&mut self.arena), piece_bytes);
            let list = self.list.bind(py);
            for update in self.chunk.drain(..) {
                list.append(update_to_dict(&mut out, update)?)?;
            }
            self.arena = out.into_arena();
            Ok(())
        })?;
        self.chunk_bytes = 0;
        Ok(())
    }
}

/// The bytes of an update's arrays.
fn size_bytes(update: &Update) -> usize {
    let of = |attribute: &Attribute| {
        let index = attribute.row_ptr.as_ref().map_or(0, |index| arena::room(index.data().len()));
        // A mask may become two of Python's.
        let mask = attribute.mask.as_ref().map_or(0, |mask| 2 * arena::room(mask.data().len()));
        arena::room(attribute.data.data().len()) + index + mask
    };
    update.data.iter().flat_map(|group| &group.attributes).map(|(_, a)| of(a)).sum()
}

/// Keeps Python's collector of cycles from walking through dictionaries that are only being made:
/// each of thousands would be looked at several times. As it was when this is dropped.
struct CyclesUnwatched<'py> {
    was_on: bool,
    _attached: Python<'py>,
}

impl<'py> CyclesUnwatched<'py> {
    fn begin(py: Python<'py>) -> Self {
        // SAFETY: Python is attached, here and until this is dropped.
        let was_on = unsafe { ffi::PyGC_Disable() } != 0;
        CyclesUnwatched { was_on, _attached: py }
    }
}

impl Drop for CyclesUnwatched<'_> {
    fn drop(&mut self) {
        if self.was_on {
            // SAFETY: as above.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
