//! Memory for many arrays at once.
//!
//! An array of some kilobytes for itself is fresh memory each time, and half the time of a large read
//! goes into page faults. numpy asks the system for huge pages when it allocates 4 MiB or more, so
//! the arrays of one read are laid out one behind the other in such pieces.

use numpy::npyffi::{self, PY_ARRAY_API, npy_intp};
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;

/// One piece.
pub(crate) const PIECE_BYTES: usize = 8 << 20;
/// Smaller arrays are numpy's own; larger ones keep the memory that they were read into.
pub(crate) const SMALLEST: usize = 4096;
pub(crate) const LARGEST: usize = 1 << 20;
/// Each array begins at a multiple of this, a line of the cache.
const ALIGNMENT: usize = 64;
/// A whole piece begins at a multiple of this, so that it is of huge pages alone; what is before and
/// behind it is never touched, and so is no memory.
const HUGE_PAGE: usize = 2 << 20;

/// The bytes that an array takes up in a piece.
pub(crate) fn room(size: usize) -> usize {
    size.next_multiple_of(ALIGNMENT)
}

/// Hands out slots in large numpy arrays of bytes. No slot is handed out twice.
#[derive(Default)]
pub(crate) struct Arena {
    piece: Option<Piece>,
}

struct Piece {
    array: Py<PyAny>,
    /// Where the next slot begins, and where the piece ends: bytes from its first.
    next: usize,
    end: usize,
}

impl Arena {
    /// A slot for `size` bytes, and the array that owns it. A new piece has `piece_bytes`, or
    /// `size` if that is more.
    pub(crate) fn slot<'py>(
        &mut self,
        py: Python<'py>,
        size: usize,
        piece_bytes: usize,
    ) -> PyResult<(*mut u8, Bound<'py, PyAny>)> {
        let fits = |piece: &Piece| piece.end - piece.next >= size;
        if !self.piece.as_ref().is_some_and(fits) {
            let size = room(size).max(piece_bytes.min(PIECE_BYTES));
            self.piece = Some(Piece::new(py, size)?);
        }
        let piece = self.piece.as_mut().expect("just made if there was none");
        let owner = piece.array.bind(py).clone();
        // SAFETY: `next + size` is at most `end`, which is inside of the array of bytes.
        let slot = unsafe { data_of(&owner).add(piece.next) };
        piece.next = (piece.next + room(size)).min(piece.end);
        Ok((slot, owner))
    }
}

impl Piece {
    fn new(py: Python<'_>, size: usize) -> PyResult<Self> {
        let descr = PyArrayDescr::of::<u8>(py).into_dtype_ptr();
        let alignment = if size < PIECE_BYTES { ALIGNMENT } else { HUGE_PAGE };
        let mut dims = [(size + alignment) as npy_intp];
        // SAFETY: a new reference to a dtype, one dimension, and memory that numpy allocates.
        let array = unsafe {
            let made = PY_ARRAY_API.PyArray_NewFromDescr(
                py,
                npyffi::get_type_object(py, npyffi::NpyTypes::PyArray_Type),
                descr,
                1,
                dims.as_mut_ptr(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
            );
            Bound::from_owned_ptr_or_err(py, made)?
        };
        let next = data_of(&array).align_offset(alignment);
        Ok(Piece { array: array.unbind(), next, end: next + size })
    }
}

/// Where the items of a numpy array are.
fn data_of(array: &Bound<'_, PyAny>) -> *mut u8 {
    // SAFETY: only called for arrays that `Piece::new` made.
    unsafe { (*array.as_ptr().cast::<npyffi::PyArrayObject>()).fields.data.cast() }
}
