//! numpy arrays, lists and masked arrays to the library's arrays: one copy.

use std::ffi::c_void;

use numpy::npyffi::{self, PY_ARRAY_API, npy_intp};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;
use siltstone::{Array, DType};

use crate::errors::{invalid, to_py, wrong_type};

/// An array-like value as an array; `what` names it in errors.
pub(crate) fn to_array(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Array> {
    if let Ok(array) = value.cast::<PyUntypedArray>() {
        return copy(what, array);
    }
    let py = value.py();
    let made = py.import(intern!(py, "numpy"))?.call_method1(intern!(py, "asarray"), (value,));
    let made = made.map_err(|error| {
        // What is no Exception, as a KeyboardInterrupt, is not about the values.
        if !error.is_instance_of::<PyException>(py) {
            return error;
        }
        let got = error.value(py).to_string();
        invalid(what, "values that numpy makes one array of", got)
    })?;
    copy(what, made.cast::<PyUntypedArray>()?)
}

/// As [`to_array`], of an array that is stored as one value: one that is too large is refused before it is copied.
pub(crate) fn to_stored_array(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Array> {
    if let Ok(array) = value.cast::<PyUntypedArray>() {
        let bytes = array.len().saturating_mul(array.dtype().itemsize());
        Array::check_stored(what, bytes).map_err(to_py)?;
    }
    to_array(what, value)
}

/// A numpy array's items in C order, in the byte order that they have.
fn copy(what: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<Array> {
    if array.dtype().kind() == b'O' && holds_only_text(array)? {
        let text = array.call_method1(intern!(array.py(), "astype"), ("U",))?;
        return copy(what, text.cast::<PyUntypedArray>()?);
    }
    let dtype = dtype_of(what, array)?;
    let shape = array.shape().to_vec();
    let size = array.len() * dtype.item_size();
    let mut data = Vec::with_capacity(size);
    if size > 0 && array.is_c_contiguous() {
        // SAFETY: numpy says that the `size` bytes from `data` on are the items, one after another;
        // the GIL is held until they are copied.
        unsafe {
            let items = (*array.as_array_ptr()).fields.data.cast::<u8>();
            std::ptr::copy_nonoverlapping(items, data.as_mut_ptr(), size);
            data.set_len(size);
        }
    } else if size > 0 {
        data.resize(size, 0);
        copy_strided(array, &mut data)?;
    }
    Array::new(dtype, shape, data).map_err(to_py)
}

/// Whether an array of Python objects is one of texts, each of which fits into numpy's own text: that
/// knows no NUL at the end.
fn holds_only_text(array: &Bound<'_, PyUntypedArray>) -> PyResult<bool> {
    let objects = array.call_method0(intern!(array.py(), "ravel"))?;
    let mut any = false;
    for object in objects.call_method0(intern!(array.py(), "tolist"))?.try_iter()? {
        let object = object?;
        let Ok(text) = object.cast::<PyString>() else { return Ok(false) };
        if text.call_method1(intern!(array.py(), "endswith"), ("\0",))?.is_truthy()? {
            return Ok(false);
        }
        any = true;
    }
    Ok(any)
}

/// Lets numpy copy into our memory, whatever the strides.
fn copy_strided(array: &Bound<'_, PyUntypedArray>, out: &mut [u8]) -> PyResult<()> {
    let py = array.py();
    let mut dims: Vec<npy_intp> = array.shape().iter().map(|n| *n as npy_intp).collect();
    // SAFETY: `out` has the size of a C-ordered array of this dtype and shape (the caller computed
    // it so), and outlives the array made over it, which does not own its memory.
    unsafe {
        let target = PY_ARRAY_API.PyArray_NewFromDescr(
            py,
            npyffi::get_type_object(py, npyffi::NpyTypes::PyArray_Type),
            array.dtype().into_dtype_ptr(),
            dims.len() as i32,
            dims.as_mut_ptr(),
            std::ptr::null_mut(),
            out.as_mut_ptr().cast::<c_void>(),
            npyffi::NPY_ARRAY_WRITEABLE,
            std::ptr::null_mut(),
        );
        let target = Bound::from_owned_ptr_or_err(py, target)?;
        match PY_ARRAY_API.PyArray_CopyInto(py, target.as_ptr().cast(), array.as_array_ptr()) {
            0 => Ok(()),
            _ => Err(PyErr::fetch(py)),
        }
    }
}

fn dtype_of(what: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<DType> {
    let descr = array.dtype();
    let (kind, size) = (char::from(descr.kind()), descr.itemsize());
    let text = match kind {
        'b' | 'i' | 'u' | 'f' | 'c' | 'S' => {
            Some(format!("{}{kind}{size}", char::from(descr.byteorder())))
        }
        'U' => Some(format!("{}U{}", char::from(descr.byteorder()), size / 4)),
        'M' | 'm' => Some(descr.getattr(intern!(array.py(), "str"))?.extract()?),
        _ => None,
    };
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let hint = match kind {
            'O' => {
                " (Python objects: None, numbers beyond 64 bits, or values of several types; where all \
                 are meant as text, .astype('U') helps)"
            }
            'T' => " (use .astype('U'))",
            _ => "",
        };
        let expected = "a dtype of fixed width: b1, i1-i8, u1-u8, f2-f8, c8, c16, S, U, M8, m8";
        let name = descr.str().map(|name| name.to_string()).unwrap_or_default();
        invalid(what, expected, format!("dtype {name}{hint}"))
    })
}

/// A one-dimensional array of bools.
pub(crate) fn to_bools(what: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<bool>> {
    let array = to_array(what, value)?;
    // An empty list is of floats to numpy.
    if array.is_empty() && array.shape().len() == 1 {
        return Ok(Vec::new());
    }
    if array.dtype() != DType::BOOL || array.shape().len() != 1 {
        let got = format!("{} of shape {:?}", array.dtype(), array.shape());
        return Err(invalid(what, "one bool an entity", got));
    }
    Ok(array.data().iter().map(|byte| *byte != 0).collect())
}

/// A Python or numpy integer; no bool, no float.
pub(crate) fn to_integer(what: &str, value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let expected = "an integer of 64 bits";
    if value.is_instance_of::<pyo3::types::PyBool>() {
        return Err(wrong_type(what, expected, value));
    }
    value.extract().map_err(|error: PyErr| {
        match error.is_instance_of::<pyo3::exceptions::PyOverflowError>(value.py()) {
            true => invalid(what, expected, value.to_string()),
            false => wrong_type(what, expected, value),
        }
    })
}
