//! The stored forms, one by one.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use super::{numbers, shuffle};
use crate::array::DType;

const ZSTD_LEVEL: i32 = 3;
/// The first bytes of a Zstandard frame. Older and skippable frames begin otherwise, and are refused.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

thread_local! {
    // Setting up a context costs more than a small array does. `None`: there was no memory for it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::new(ZSTD_LEVEL).ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::new().ok());
}

/// What stored bytes are, as their name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Lz4,
    Lz4Shuffle,
    Zstd,
    ZstdShuffle,
    Pco,
}

impl Form {
    /// Every form but raw, the faster to read first: of two equally small ones the first is taken.
    pub(super) const ALL: [Form; 5] =
        [Form::Lz4, Form::Lz4Shuffle, Form::Zstd, Form::ZstdShuffle, Form::Pco];

    /// The stored name. Part of the file format.
    pub(super) fn name(self) -> &'static str {
        match self {
            Form::Lz4 => "lz4",
            Form::Lz4Shuffle => "lz4-shuffle",
            Form::Zstd => "zstd",
            Form::ZstdShuffle => "zstd-shuffle",
            Form::Pco => "pco",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Form::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The encoded bytes, of any length; `None` if this form is not for this dtype.
    pub(super) fn encode(self, dtype: DType, raw: &[u8]) -> Option<Vec<u8>> {
        match self {
            Form::Lz4 => Some(lz4_flex::block::compress(raw)),
            Form::Lz4Shuffle => Some(lz4_flex::block::compress(&shuffled(dtype, raw)?)),
            Form::Zstd => compress_zstd(raw),
            Form::ZstdShuffle => compress_zstd(&shuffled(dtype, raw)?),
            Form::Pco => numbers::encode(dtype, raw),
        }
    }

    /// The `size` bytes that were encoded, or what is wrong.
    pub(super) fn decode(
        self,
        dtype: DType,
        size: usize,
        stored: &[u8],
    ) -> Result<Vec<u8>, String> {
        if size / self.max_ratio() > stored.len() {
            return Err(format!("{} bytes cannot hold {size}", stored.len()));
        }
        match self {
            Form::Lz4 => decompress_lz4(size, stored),
            Form::Lz4Shuffle => unshuffled(dtype, decompress_lz4(size, stored)?),
            Form::Zstd => decompress_zstd(size, stored),
            Form::ZstdShuffle => unshuffled(dtype, decompress_zstd(size, stored)?),
            Form::Pco => numbers::decode(dtype, size, stored),
        }
    }

    /// How many bytes one stored byte can stand for at most.
    ///
    /// # Source
    /// LZ4 block format: a byte lengthens a match by 255. Zstandard, RFC 8878: a block is at most
    /// 128 KiB and takes 4 bytes at least. Pcodec: see [`numbers::MAX_RATIO`].
    fn max_ratio(self) -> usize {
        match self {
            Form::Lz4 | Form::Lz4Shuffle => 255,
            Form::Zstd | Form::ZstdShuffle => (128 << 10) / 4,
            Form::Pco => numbers::MAX_RATIO,
        }
    }
}

/// An empty vector with room for `size` bytes, or the reason why there is none.
pub(super) fn reserve(size: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    out.try_reserve_exact(size).map_err(|_| format!("there is no memory for its {size} bytes"))?;
    Ok(out)
}

fn shuffled(dtype: DType, raw: &[u8]) -> Option<Vec<u8>> {
    let width = shuffle::width(dtype);
    (width > 1).then(|| shuffle::shuffle(raw, width))
}

fn unshuffled(dtype: DType, planes: Vec<u8>) -> Result<Vec<u8>, String> {
    match shuffle::width(dtype) {
        1 => Err(format!("a dtype of {dtype} has no bytes to shuffle")),
        width => shuffle::unshuffle(&planes, width),
    }
}

fn decompress_lz4(size: usize, stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = reserve(size)?;
    out.resize(size, 0);
    match lz4_flex::block::decompress_into(stored, &mut out) {
        Ok(n) if n == size => Ok(out),
        Ok(n) => Err(format!("it decodes to {n} bytes where {size} belong")),
        Err(why) => Err(format!("the LZ4 block does not decode: {why}")),
    }
}

fn compress_zstd(raw: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(raw).ok())
}

fn decompress_zstd(size: usize, stored: &[u8]) -> Result<Vec<u8>, String> {
    use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};
    let known = get_frame_content_size(stored).ok().flatten();
    if !stored.starts_with(&ZSTD_MAGIC) || known.is_none() {
        return Err("it does not begin with a Zstandard frame that says its size".into());
    }
    if known != Some(size as u64) {
        return Err(format!("it decodes to {} bytes where {size} belong", known.unwrap_or(0)));
    }
    if find_frame_compressed_size(stored) != Ok(stored.len()) {
        return Err("its bytes are not exactly one Zstandard frame".into());
    }
    let mut out = reserve(size)?;
    let n = DECOMPRESSOR.with_borrow_mut(|decompressor| match decompressor {
        Some(decompressor) => decompressor
            .decompress_to_buffer(stored, &mut out)
            .map_err(|why| format!("the Zstandard frame does not decode: {why}")),
        None => Err("there is no memory for a Zstandard decoder".into()),
    })?;
    if n != size {
        return Err(format!("it decodes to {n} bytes where {size} belong"));
    }
    Ok(out)
}
