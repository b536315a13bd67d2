//! The library's arrays as numpy arrays: writeable, over the memory they came in.

use std::ffi::c_void;

use numpy::npyffi::{self, PY_ARRAY_API, npy_intp};
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use pyo3::types::PyString;
use siltstone::{Array, DType};

use crate::arena::{Arena, LARGEST, SMALLEST};

/// Owns the memory of a numpy array.
#[pyclass(frozen)]
struct Memory {
    /// Kept for its memory, which numpy's array points into; not read from here.
    _bytes: Vec<u8>,
}

/// Makes numpy arrays and dictionary keys, each dtype and each name once.
pub(crate) struct Out<'py> {
    py: Python<'py>,
    descrs: Vec<(DType, Bound<'py, PyArrayDescr>)>,
    names: std::collections::HashMap<String, Bound<'py, PyString>>,
    /// Where arrays of middle size go, if many are made at once, and the size of a new piece.
    arena: Option<(Arena, usize)>,
}

impl<'py> Out<'py> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        Out { py, descrs: Vec::new(), names: std::collections::HashMap::new(), arena: None }
    }

    /// For many arrays: those of middle size share pieces of memory.
    pub(crate) fn with_arena(py: Python<'py>, arena: Arena, piece_bytes: usize) -> Self {
        Out { arena: Some((arena, piece_bytes)), ..Out::new(py) }
    }

    /// The arena, for the next chunk.
    pub(crate) fn into_arena(self) -> Arena {
        self.arena.map(|(arena, _)| arena).unwrap_or_default()
    }

    pub(crate) fn py(&self) -> Python<'py> {
        self.py
    }

    /// A name as Python's text.
    pub(crate) fn name(&mut self, name: &str) -> Bound<'py, PyString> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let made = PyString::new(self.py, name);
        self.names.insert(name.to_owned(), made.clone());
        made
    }

    fn descr(&mut self, dtype: DType) -> PyResult<Bound<'py, PyArrayDescr>> {
        if let Some((_, descr)) = self.descrs.iter().find(|(known, _)| *known == dtype) {
            return Ok(descr.clone());
        }
        let descr = PyArrayDescr::new(self.py, dtype.to_string())?;
        self.descrs.push((dtype, descr.clone()));
        Ok(descr)
    }

    /// The array as numpy's; without a copy if it is large and nothing else holds it.
    pub(crate) fn array(&mut self, array: Array) -> PyResult<Bound<'py, PyAny>> {
        let py = self.py;
        let (dtype, size) = (array.dtype(), array.data().len());
        let descr = self.descr(dtype)?.into_dtype_ptr();
        let mut dims: Vec<npy_intp> = array.shape().iter().map(|n| *n as npy_intp).collect();
        if dtype.item_size() == 0 {
            // numpy makes such text one character wide, which must be zero.
            // SAFETY: the arguments are a new reference to a dtype and as many dimensions as said.
            return unsafe {
                let ndim = dims.len() as i32;
                let made = PY_ARRAY_API.PyArray_Zeros(py, ndim, dims.as_mut_ptr(), descr, 0);
                Bound::from_owned_ptr_or_err(py, made)
            };
        }
        if size < SMALLEST {
            // SAFETY: a new reference to a dtype, and memory of numpy's own, of as many bytes as
            // the array has: an `Array` is checked when it is made.
            return unsafe {
                let made = self.over(descr, &mut dims, None)?;
                if size > 0 {
                    let to = (*made.as_ptr().cast::<npyffi::PyArrayObject>()).fields.data;
                    std::ptr::copy_nonoverlapping(array.data().as_ptr(), to.cast(), size);
                }
                Ok(made)
            };
        }
        if let Some((arena, piece_bytes)) = self.arena.as_mut().filter(|_| size <= LARGEST) {
            let (slot, owner) = arena.slot(py, size, *piece_bytes)?;
            // SAFETY: the slot has `size` bytes, which nothing else reads or writes, and lives as
            // long as its owner.
            return unsafe {
                std::ptr::copy_nonoverlapping(array.data().as_ptr(), slot, size);
                self.over(descr, &mut dims, Some((slot, owner)))
            };
        }
        let mut bytes = Vec::<u8>::from(array.into_data());
        // A vector's memory stays where it is when the vector moves.
        let data = bytes.as_mut_ptr();
        let owner = Bound::new(py, Memory { _bytes: bytes })?.into_any();
        // SAFETY: the vector has as many bytes as dtype and shape ask for; its owner lives as long as
        // the array, and nothing else reads or writes it.
        unsafe { self.over(descr, &mut dims, Some((data, owner))) }
    }

    /// A numpy array over memory that has an owner, or over new memory.
    ///
    /// # Safety
    /// `descr` is a new reference. The memory has as many bytes as dtype and dimensions ask for, lives
    /// as long as its owner, and belongs to nothing else.
    unsafe fn over(
        &self,
        descr: *mut npyffi::PyArray_Descr,
        dims: &mut [npy_intp],
        memory: Option<(*mut u8, Bound<'py, PyAny>)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (data, owner) = memory.map_or((std::ptr::null_mut(), None), |(d, o)| (d, Some(o)));
        let flags = if data.is_null() { 0 } else { npyffi::NPY_ARRAY_WRITEABLE };
        // SAFETY: as the caller promises; the owner becomes the array's base.
        unsafe {
            let made = PY_ARRAY_API.PyArray_NewFromDescr(
                self.py,
                npyffi::get_type_object(self.py, npyffi::NpyTypes::PyArray_Type),
                descr,
                dims.len() as i32,
                dims.as_mut_ptr(),
                std::ptr::null_mut(),
                data.cast::<c_void>(),
                flags,
                std::ptr::null_mut(),
            );
            let made = Bound::from_owned_ptr_or_err(self.py, made)?;
            if let Some(owner) = owner {
                let array = made.as_ptr().cast();
                if PY_ARRAY_API.PyArray_SetBaseObject(self.py, array, owner.into_ptr()) != 0 {
                    return Err(PyErr::fetch(self.py));
                }
            }
            Ok(made)
        }
    }

    /// One bool an entity: where a mask has a flag.
    pub(crate) fn flags(&mut self, mask: &Array, flag: u8) -> PyResult<Bound<'py, PyAny>> {
        let flags: Vec<bool> = mask.data().iter().map(|m| *m == flag).collect();
        self.array(Array::from_slice(&flags))
    }
}
