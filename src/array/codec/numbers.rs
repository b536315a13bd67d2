//! Numbers through Pcodec, which works on their bits: NaN payloads and -0.0 come back.
//!
//! The file holds the numbers low byte first, whatever the dtype's order: booleans as `u8`, times
//! as `i64`, a `float16` as the `u16` of its bits, and of complex items all real parts, then all
//! imaginary ones. Text has no numbers.

use pco::data_types::Number;
use pco::standalone::{DecompressorItem, FileDecompressor, simple_compress};
use pco::{ChunkConfig, FULL_BATCH_N, PagingSpec};

use super::form::reserve;
use crate::array::{DType, Element, Kind};

/// The most numbers in a chunk that is written.
const CHUNK_NUMBERS: usize = 1 << 18;
/// How many bytes one stored byte can stand for at most: a chunk holds `CHUNK_NUMBERS` of 8 bytes
/// at most, and takes 8 bytes at least, a type, a count of three bytes and four of metadata.
pub(super) const MAX_RATIO: usize = CHUNK_NUMBERS;
/// The major version of the format that is written, and the only one that is read.
pub(in crate::array) const FORMAT: u8 = 4;
/// The largest lookback window that is written, as a power of two. The reader's own limit is 2^24
/// numbers, which a hostile header of a few bytes would make it allocate.
const MAX_WINDOW_LOG: u64 = 15;

/// Runs `$body` with `$T` as the Rust type of the dtype's numbers; `None` if it has none.
macro_rules! with_number_type {
    (@$number:ident, $T:ident => $body:expr) => {{
        type $T = $number;
        Some($body)
    }};
    ($dtype:expr, $T:ident => $body:expr) => {
        match ($dtype.kind(), $dtype.swap_size()) {
            (Kind::Bool | Kind::UInt, 1) => with_number_type!(@u8, $T => $body),
            (Kind::Int, 1) => with_number_type!(@i8, $T => $body),
            (Kind::UInt | Kind::Float, 2) => with_number_type!(@u16, $T => $body),
            (Kind::Int, 2) => with_number_type!(@i16, $T => $body),
            (Kind::UInt, 4) => with_number_type!(@u32, $T => $body),
            (Kind::Int, 4) => with_number_type!(@i32, $T => $body),
            (Kind::Float | Kind::Complex, 4) => with_number_type!(@f32, $T => $body),
            (Kind::UInt, 8) => with_number_type!(@u64, $T => $body),
            (Kind::Int | Kind::DateTime | Kind::TimeDelta, 8) => with_number_type!(@i64, $T => $body),
            (Kind::Float | Kind::Complex, 8) => with_number_type!(@f64, $T => $body),
            _ => None,
        }
    };
}

/// Whether the dtype is made of numbers that Pcodec takes.
pub(super) fn are(dtype: DType) -> bool {
    !matches!(dtype.kind(), Kind::Bytes | Kind::Str)
}

/// The Pcodec file of the numbers; `None` for text.
pub(super) fn encode(dtype: DType, raw: &[u8]) -> Option<Vec<u8>> {
    let mut plain = std::borrow::Cow::Borrowed(raw);
    if dtype.is_big_endian() {
        plain.to_mut().chunks_exact_mut(dtype.swap_size()).for_each(<[u8]>::reverse);
    }
    if dtype.kind() == Kind::Complex {
        plain = complex_to_parts(&plain, dtype.swap_size()).into();
    }
    with_number_type!(dtype, T => compress::<T>(&plain)).flatten()
}

/// The `size` bytes of the numbers, or what is wrong.
pub(super) fn decode(dtype: DType, size: usize, stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = with_number_type!(dtype, T => decompress::<T>(size, stored))
        .unwrap_or_else(|| Err(format!("a dtype of {dtype} has no numbers")))?;
    if dtype.kind() == Kind::Complex {
        out = parts_to_complex(&out, dtype.swap_size())?;
    }
    if dtype.is_big_endian() {
        out.chunks_exact_mut(dtype.swap_size()).for_each(<[u8]>::reverse);
    }
    Ok(out)
}

fn compress<T: Element + Number>(plain: &[u8]) -> Option<Vec<u8>> {
    let numbers = plain.chunks_exact(size_of::<T>()).map(T::read_le).collect::<Vec<_>>();
    let config = ChunkConfig::default()
        .with_enable_8_bit(true)
        .with_paging_spec(PagingSpec::EqualPagesUpTo(CHUNK_NUMBERS));
    simple_compress(&numbers, &config).ok()
}

/// Chunk by chunk and batch by batch: what a chunk claims is checked before it is decoded.
fn decompress<T: Element + Number>(size: usize, stored: &[u8]) -> Result<Vec<u8>, String> {
    let damaged = |why| format!("the Pcodec file does not decode: {why}");
    let (file, mut rest) = FileDecompressor::new(stored).map_err(damaged)?;
    if file.format_version().major != FORMAT {
        return Err(format!("its Pcodec format {} is not ours", file.format_version()));
    }
    let mut out = reserve(size)?;
    let mut batch = [T::default(); 8 * FULL_BATCH_N];
    loop {
        check_chunk(rest, size_of::<T>())?;
        let mut chunk = match file.chunk_decompressor::<T, _>(rest).map_err(damaged)? {
            DecompressorItem::Chunk(chunk) => chunk,
            DecompressorItem::EndOfData(left) if left.is_empty() && out.len() == size => {
                return Ok(out);
            }
            DecompressorItem::EndOfData([]) => {
                return Err(format!("it decodes to {} bytes where {size} belong", out.len()));
            }
            DecompressorItem::EndOfData(left) => {
                return Err(format!("{} bytes are left over after its end", left.len()));
            }
        };
        if chunk.n() > (size - out.len()) / size_of::<T>() {
            return Err(format!("a chunk claims {} numbers, more than belong there", chunk.n()));
        }
        loop {
            let progress = chunk.read(&mut batch).map_err(damaged)?;
            T::write_le(&batch[..progress.n_processed], &mut out);
            if progress.finished {
                break;
            }
        }
        rest = chunk.into_src();
    }
}

/// Refuses a chunk whose metadata would make the decoder allocate what no encoder of ours asks for.
///
/// After a type byte and 24 bits of count come, low bit first, 4 bits of mode, what that mode
/// carries, 4 bits of delta encoding and what that carries.
///
/// # Source
/// How pco 1.1 reads `metadata::Mode` and `metadata::DeltaEncoding`, format 4.
pub(in crate::array) fn check_chunk(chunk: &[u8], number_size: usize) -> Result<(), String> {
    let meta = chunk.get(4..).unwrap_or(&[]);
    let bits = |at: usize, n: usize| {
        let bit = |i: usize| meta.get(i / 8).map_or(0, |byte| u64::from(byte >> (i % 8) & 1));
        (0..n).map(|i| bit(at + i) << i).sum::<u64>()
    };
    let carried = match bits(0, 4) {
        0 => 0,
        // A multiplier of integers or of floats.
        1 | 2 => 8 * number_size,
        // The bits that a float does not use.
        3 => 8,
        _ => return Err("a chunk has a mode that is never written".into()),
    };
    let lookback = bits(4 + carried, 4) == 2;
    if lookback && 1 + bits(8 + carried, 5) > MAX_WINDOW_LOG {
        return Err("a chunk has a lookback window larger than any that is written".into());
    }
    Ok(())
}

/// All real parts, then all imaginary ones: neighbours are then alike.
fn complex_to_parts(items: &[u8], half: usize) -> Vec<u8> {
    let mut parts = Vec::with_capacity(items.len());
    for start in [0, half] {
        items.chunks_exact(2 * half).for_each(|z| parts.extend_from_slice(&z[start..start + half]));
    }
    parts
}

/// The inverse of [`complex_to_parts`].
fn parts_to_complex(parts: &[u8], half: usize) -> Result<Vec<u8>, String> {
    let mut items = reserve(parts.len())?;
    let (real, imaginary) = parts.split_at(parts.len() / 2);
    for (re, im) in real.chunks_exact(half).zip(imaginary.chunks_exact(half)) {
        items.extend_from_slice(re);
        items.extend_from_slice(im);
    }
    Ok(items)
}
