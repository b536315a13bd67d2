//! Typed n-dimensional arrays and their bytes: no input, no output, no SQL.
//!
//! ```
//! use siltstone::{Array, DType};
//! let heat = Array::from([20.0, 21.5, 19.0, 20.5]).reshape(vec![2, 2])?;
//! assert_eq!((heat.dtype(), heat.shape()), (DType::F64, &[2, 2][..]));
//! assert_eq!(heat.to_vec::<f64>().unwrap()[1], 21.5);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! An [`Array`] is a numpy dtype, a shape and C-ordered bytes; it keeps the byte order it came
//! with, so that every number returns bit for bit. A [`Codec`] makes the bytes smaller, a
//! [`Checksum`] names and guards them.

mod array_block;
pub(crate) mod block;
mod checksum;
mod codec;
mod csr;
mod dtype;
mod element;
mod extremes;
mod from;
pub(crate) mod large;
mod ndarray;
mod number;
mod pack;
mod time_format;

pub(crate) use array_block::{
    BLOCK, BlockLocation, COLUMN, array_in_block, pack_arrays, unpack_arrays,
};
pub use checksum::Checksum;
pub(crate) use checksum::{parse_shape, shape_json};
pub use codec::Codec;
pub use csr::check_row_ptr;
pub use dtype::{DType, Kind};
pub use element::Element;
pub use extremes::extremes;
pub use ndarray::Array;
pub(crate) use ndarray::byte_size;
pub(crate) use ndarray::text_of_cell;
pub(crate) use number::{integer, is_float, number};
pub(crate) use pack::{pack, unpack};
pub(crate) use time_format::{TimeFormat, date_of_day, day_number, per_second, span_text};
