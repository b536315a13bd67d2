//! Array bytes to stored bytes and back.
//!
//! What is stored carries the name of its form, and no name for raw bytes:
//!
//! | name | bytes |
//! |---|---|
//! | none, `raw` | the array's bytes as they are |
//! | `lz4` | one LZ4 block of them, without a length |
//! | `zstd` | one Zstandard frame of them, with its content size |
//! | `lz4-shuffle`, `zstd-shuffle` | the same after a byte shuffle: all bytes 0, then all bytes 1, ... |
//! | `pco` | a standalone Pcodec file of the numbers |
//!
//! The length before encoding is never stored: dtype and shape say it.

mod form;
mod numbers;
mod shuffle;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use form::Form;
pub(super) use numbers::{FORMAT, check_chunk};
pub(super) use shuffle::{shuffle, unshuffle};

use super::checksum::shape_json;
use super::ndarray::byte_size;
use super::{Array, DType};
use crate::error::{Error, Result};

/// Above this, forms compete on a sample of the array, and the winner alone encodes all of it.
const SAMPLE_BYTES: usize = 64 << 10;
/// The sample is cut from this many positions, evenly spread.
const SAMPLE_PIECES: usize = 4;
/// Below this, [`Codec::Auto`] stores raw: the gain is a few bytes, and each read would pay for it.
const AUTO_MIN_BYTES: usize = 64;

/// How the bytes of an [`Array`] are made smaller. Every codec returns every bit.
///
/// Encoding never makes bigger: what would not shrink is stored raw. The same array gives the same
/// bytes each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Codec {
    /// As they are: nothing to undo when reading, and readable by any program.
    #[default]
    Raw,
    /// Zstandard at level 3, after a byte shuffle where that is smaller.
    Zstd,
    /// LZ4, after a byte shuffle where that is smaller: the fastest to read, less small.
    Lz4,
    /// Pcodec, made for numbers: mostly the smallest, the slowest to write. Text goes to Zstandard.
    Pco,
    /// Whichever of the others is smallest.
    ///
    /// Up to 64 KiB each of them encodes the whole array, above that a sample of 64 KiB: the work
    /// is bounded by sizes and not by a clock. Arrays below 64 bytes stay raw.
    Auto,
}

impl Codec {
    /// Every codec, in the order of the documentation.
    pub const ALL: [Codec; 5] = [Codec::Raw, Codec::Zstd, Codec::Lz4, Codec::Pco, Codec::Auto];

    /// The largest array that is decoded, in bytes: what SQLite takes as one row. A shape that asks for more is
    /// damage, however few bytes are stored.
    pub const MAX_BYTES: u64 = 1_000_000_000;

    /// The name, as it is typed: `raw`, `zstd`, `lz4`, `pco`, `auto`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Raw => "raw",
            Codec::Zstd => "zstd",
            Codec::Lz4 => "lz4",
            Codec::Pco => "pco",
            Codec::Auto => "auto",
        }
    }

    /// The bytes to store for an array, and the name of their form; no name for raw bytes.
    pub fn encode(self, array: &Array) -> (Option<&'static str>, Cow<'_, [u8]>) {
        let raw = array.data();
        match self.choose(array.dtype(), raw) {
            Some((form, bytes)) => (Some(form.name()), Cow::Owned(bytes)),
            None => (None, Cow::Borrowed(raw)),
        }
    }

    /// The array from its stored bytes and the name of their form.
    ///
    /// Nothing is believed: what dtype and shape ask for is held against [`Codec::MAX_BYTES`] and
    /// against what so few bytes can hold at most, before any memory is taken for it. Memory then
    /// is the array, twice that for a form that rearranges, and what the decoder itself needs.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for an unknown name, a size that does not fit, bytes that do not decode
    /// to exactly that size, or bytes left over. Nothing was changed.
    pub fn decode(
        name: Option<&str>,
        dtype: DType,
        shape: &[usize],
        stored: &[u8],
    ) -> Result<Array> {
        let size = decoded_size(dtype, shape)?;
        let form = match name {
            None | Some("raw") => None,
            Some(name) => Some(Form::of_name(name).ok_or_else(|| unknown(name))?),
        };
        let bytes = match form {
            None => copy(size, stored),
            Some(form) => form.decode(dtype, size, stored),
        };
        let data = bytes.map_err(|why| {
            let form = form.map_or("raw", Form::name);
            corrupt(format!("{dtype}{} as {form}", shape_json(shape)), why)
        })?;
        Array::new(dtype, shape.to_vec(), data)
    }

    /// The form to store and its bytes, smaller than raw; `None` for raw.
    fn choose(self, dtype: DType, raw: &[u8]) -> Option<(Form, Vec<u8>)> {
        let forms: &[Form] = match self {
            Codec::Raw => &[],
            Codec::Lz4 => &[Form::Lz4, Form::Lz4Shuffle],
            Codec::Pco if numbers::are(dtype) => &[Form::Pco],
            Codec::Zstd | Codec::Pco => &[Form::Zstd, Form::ZstdShuffle],
            Codec::Auto if raw.len() < AUTO_MIN_BYTES => &[],
            Codec::Auto => &Form::ALL,
        };
        if raw.len() <= SAMPLE_BYTES || forms.len() < 2 {
            return smallest(forms, dtype, raw);
        }
        let form = match smallest(forms, dtype, &sample(raw)) {
            Some((form, _)) => form,
            None if self == Codec::Auto => return None,
            // The caller chose the codec, and what repeats far apart shows in the whole only.
            None => forms[0],
        };
        smallest(&[form], dtype, raw)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Codec::ALL.into_iter().find(|codec| codec.name() == text).ok_or_else(|| {
            let names = Codec::ALL.map(Codec::name).join(", ");
            Error::invalid("codec", format!("one of {names}"), format!("{text:?}"))
        })
    }
}

/// The smallest of the forms that are smaller than raw; of equals the first.
fn smallest(forms: &[Form], dtype: DType, raw: &[u8]) -> Option<(Form, Vec<u8>)> {
    let mut best: Option<(Form, Vec<u8>)> = None;
    for form in forms {
        let limit = best.as_ref().map_or(raw.len(), |(_, bytes)| bytes.len());
        if let Some(bytes) = form.encode(dtype, raw).filter(|bytes| bytes.len() < limit) {
            best = Some((*form, bytes));
        }
    }
    best
}

/// Pieces of a large array that together stand for it, cut at whole items.
fn sample(raw: &[u8]) -> Vec<u8> {
    let piece = SAMPLE_BYTES / SAMPLE_PIECES;
    let last = raw.len() - piece;
    let start = |i: usize| last / (SAMPLE_PIECES - 1) * i / shuffle::MAX_WIDTH * shuffle::MAX_WIDTH;
    (0..SAMPLE_PIECES).flat_map(|i| &raw[start(i)..start(i) + piece]).copied().collect()
}

/// The bytes that dtype and shape ask for, if they can be true.
fn decoded_size(dtype: DType, shape: &[usize]) -> Result<usize> {
    let what = || format!("an array of dtype {dtype}");
    if shape.len() > Array::MAX_DIMENSIONS {
        return Err(corrupt(what(), format!("its shape has {} dimensions", shape.len())));
    }
    byte_size(dtype, shape).filter(|size| *size as u64 <= Codec::MAX_BYTES).ok_or_else(|| {
        corrupt(what(), format!("its shape {} asks for more than 10^9 bytes", shape_json(shape)))
    })
}

/// Raw bytes, if they are as many as they should be.
fn copy(size: usize, stored: &[u8]) -> Result<Vec<u8>, String> {
    if stored.len() != size {
        return Err(format!("there are {} bytes where {size} belong", stored.len()));
    }
    let mut out = form::reserve(size)?;
    out.extend_from_slice(stored);
    Ok(out)
}

fn unknown(name: &str) -> Error {
    let known = Form::ALL.map(Form::name).join(", ");
    let name = name.chars().take(40).collect::<String>();
    let why = format!("{name:?} is not one of the names that this build knows: raw, {known}");
    corrupt("the name of its codec".into(), why)
}

fn corrupt(what: String, why: String) -> Error {
    Error::Corrupt { location: "a stored array".into(), what, why }
}

#[cfg(test)]
mod tests;
