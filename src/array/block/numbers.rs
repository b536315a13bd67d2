//! One column of numbers to bytes and back.

use pco::data_types::Number;
use pco::standalone::{DecompressorItem, FileDecompressor, simple_compress};
use pco::{ChunkConfig, PagingSpec};

use super::MAX_ROWS;
use super::kind::Form;
use crate::array::Element;
use crate::array::codec::{FORMAT, check_chunk, shuffle, unshuffle};

/// Of pieces of 4,096 numbers the default level, 8, takes up to four times the time for less than a hundredth of the bytes.
const LEVEL: usize = 6;

/// A Pcodec file of these numbers, if it is smaller than they are, and one chunk holds them.
pub(super) fn compress<T: Number>(items: &[T]) -> Option<Vec<u8>> {
    if items.len() > MAX_ROWS {
        return None;
    }
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_enable_8_bit(true)
        .with_paging_spec(PagingSpec::EqualPagesUpTo(MAX_ROWS));
    simple_compress(items, &config).ok().filter(|packed| packed.len() < size_of_val(items))
}

/// The smaller Zstandard frame of the bytes of these numbers, low byte first, as they are or shuffled, if it has fewer bytes than
/// `most`.
pub(super) fn compress_bytes<T: Element>(items: &[T], most: usize) -> Option<(Form, Vec<u8>)> {
    let mut bytes = Vec::new();
    T::write_le(items, &mut bytes);
    let mut frames = vec![(Form::Zstd, zstd::bulk::compress(&bytes, 3).ok()?)];
    if size_of::<T>() > 1 {
        let shuffled = zstd::bulk::compress(&shuffle(&bytes, size_of::<T>()), 3);
        frames.push((Form::ZstdShuffle, shuffled.ok()?));
    }
    let smallest = frames.into_iter().min_by_key(|(_, zstd)| zstd.len());
    smallest.filter(|(_, zstd)| zstd.len() < most && can_hold(zstd, bytes.len()))
}

/// Whether a frame may be of so many bytes: one byte stands for 32 KiB at most, see the codecs of arrays.
fn can_hold(zstd: &[u8], size: usize) -> bool {
    size / (32 << 10) <= zstd.len()
}

/// Appends the `n` numbers of a column, or says what is wrong.
pub(super) fn decode<T: Element + Number>(
    form: Form,
    stored: &[u8],
    n: usize,
    out: &mut Vec<T>,
) -> Result<(), String> {
    match form {
        Form::Raw => {
            exactly(stored, n * size_of::<T>())?;
            grow(out, n)?;
            out.extend(stored.chunks_exact(size_of::<T>()).map(T::read_le));
            Ok(())
        }
        Form::Constant => {
            exactly(stored, size_of::<T>())?;
            grow(out, n)?;
            out.resize(out.len() + n, T::read_le(stored));
            Ok(())
        }
        Form::Pco => unpack(stored, n, out),
        Form::Zstd => {
            let bytes = decompress(stored, n * size_of::<T>())?;
            decode(Form::Raw, &bytes, n, out)
        }
        Form::ZstdShuffle if size_of::<T>() > 1 => {
            let bytes = decompress(stored, n * size_of::<T>())?;
            decode(Form::Raw, &unshuffle(&bytes, size_of::<T>())?, n, out)
        }
        _ => Err(format!("these numbers cannot be of the form {form:?}")),
    }
}

fn unpack<T: Element + Number>(stored: &[u8], n: usize, out: &mut Vec<T>) -> Result<(), String> {
    let damaged = |why| format!("the Pcodec file does not decode: {why}");
    let (file, mut rest) = FileDecompressor::new(stored).map_err(damaged)?;
    if file.format_version().major != FORMAT {
        return Err(format!("its Pcodec format {} is not ours", file.format_version()));
    }
    // Earlier versions wrote more than one chunk for more than 2^20 numbers.
    let mut left = n;
    while left > 0 {
        check_chunk(rest, size_of::<T>())?;
        let DecompressorItem::Chunk(mut chunk) =
            file.chunk_decompressor::<T, _>(rest).map_err(damaged)?
        else {
            return Err(format!("it holds {} numbers where {n} belong", n - left));
        };
        let count = chunk.n();
        if count == 0 || count > left {
            return Err(format!("it holds {count} numbers where {left} belong"));
        }
        grow(out, count)?;
        let start = out.len();
        out.resize(start + count, T::default());
        let progress = chunk.read(&mut out[start..]).map_err(damaged)?;
        if progress.n_processed != count || !progress.finished {
            return Err(format!("it decodes to {} numbers of {count}", progress.n_processed));
        }
        left -= count;
        rest = chunk.into_src();
    }
    match file.chunk_decompressor::<T, _>(rest).map_err(damaged)? {
        DecompressorItem::EndOfData([]) => Ok(()),
        _ => Err("bytes are left over after its numbers".into()),
    }
}

/// One Zstandard frame of exactly `size` bytes.
pub(super) fn decompress(stored: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let known = zstd::zstd_safe::get_frame_content_size(stored).ok().flatten();
    if known != Some(size as u64) {
        return Err(format!("it is not a Zstandard frame of {size} bytes"));
    }
    if !can_hold(stored, size) {
        return Err(format!("{} bytes cannot hold {size}", stored.len()));
    }
    let bytes = zstd::bulk::decompress(stored, size);
    let bytes = bytes.map_err(|why| format!("the Zstandard frame does not decode: {why}"))?;
    exactly(&bytes, size)?;
    Ok(bytes)
}

fn exactly(bytes: &[u8], size: usize) -> Result<(), String> {
    if bytes.len() == size {
        return Ok(());
    }
    Err(format!("there are {} bytes where {size} belong", bytes.len()))
}

pub(super) fn grow<T>(out: &mut Vec<T>, n: usize) -> Result<(), String> {
    if out.capacity() - out.len() >= n {
        return Ok(());
    }
    out.try_reserve(n).map_err(|_| format!("there is no memory for its {n} numbers"))
}
