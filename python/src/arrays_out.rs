//! The library's arrays as numpy arrays: writeable, over the memory they came in.

use std::ffi::c_void;

use numpy::npyffi::{self, PY_ARRAY_API, npy_intp};
use numpy::{PyArrayDescr, PyArrayDescrMethods};
use pyo3::prelude::*;
use pyo3::types::PyString;
use siltstone::{Array, DType};

/// Below this a copy costs less than an owner of its own.
const COPY_BELOW_BYTES: usize = 4096;

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
}

impl<'py> Out<'py> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        Out { py, descrs: Vec::new(), names: std::collections::HashMap::new() }
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
        let ndim = dims.len() as i32;
        if dtype.item_size() == 0 {
            // numpy makes such text one character wide, which must be zero.
            // SAFETY: the arguments are a new reference to a dtype and as many dimensions as said.
            return unsafe {
                let made = PY_ARRAY_API.PyArray_Zeros(py, ndim, dims.as_mut_ptr(), descr, 0);
                Bound::from_owned_ptr_or_err(py, made)
            };
        }
        let owner = match size < COPY_BELOW_BYTES {
            true => Err(array),
            false => Ok(Vec::<u8>::from(array.into_data())),
        };
        let (data, owner) = match owner {
            Err(array) => (std::ptr::null_mut(), Err(array)),
            Ok(mut bytes) => {
                // A vector's memory stays where it is when the vector moves.
                let data = bytes.as_mut_ptr().cast::<c_void>();
                (data, Ok(Bound::new(py, Memory { _bytes: bytes })?))
            }
        };
        let flags = if data.is_null() { 0 } else { npyffi::NPY_ARRAY_WRITEABLE };
        // SAFETY: `data` is null (numpy allocates) or the items in C order, as many bytes as dtype
        // and shape ask for: an `Array` is checked when it is made. In the second case the owner of
        // the memory becomes the array's base and lives as long; nothing else reads or writes it.
        unsafe {
            let made = PY_ARRAY_API.PyArray_NewFromDescr(
                py,
                npyffi::get_type_object(py, npyffi::NpyTypes::PyArray_Type),
                descr,
                ndim,
                dims.as_mut_ptr(),
                std::ptr::null_mut(),
                data,
                flags,
                std::ptr::null_mut(),
            );
            let made = Bound::from_owned_ptr_or_err(py, made)?;
            match owner {
                Err(array) if size > 0 => {
                    let to =
                        (*made.as_ptr().cast::<npyffi::PyArrayObject>()).fields.data.cast::<u8>();
                    std::ptr::copy_nonoverlapping(array.data().as_ptr(), to, size);
                }
                Err(_) => {}
                Ok(owner) => {
                    let set = PY_ARRAY_API.PyArray_SetBaseObject(
                        py,
                        made.as_ptr().cast(),
                        owner.into_ptr(),
                    );
                    if set != 0 {
                        return Err(PyErr::fetch(py));
                    }
                }
            }
            Ok(made)
        }
    }

    /// One bool an entity: where a mask has a mark.
    pub(crate) fn marks(&mut self, mask: &Array, mark: u8) -> PyResult<Bound<'py, PyAny>> {
        let marks: Vec<bool> = mask.data().iter().map(|m| *m == mark).collect();
        self.array(Array::from_slice(&marks))
    }
}
