//! Blocks of earlier files, into those of today. They are read, and never written.
//!
//! There were two forms. A block of ticks has `"SBLK"`, `u8` 1, `u8` number of columns, `u16` zero, `u32` rows; for each column `u8` type (1
//! i64, 2 f64, 3 text, 4 u8), `u8` form, `u16` zero, `u32` bytes, and its least and greatest value, 8 bytes each; the columns' data; and the
//! XXH3-128 of everything before. Texts are `u32` bytes of a dictionary, the dictionary, packed by zstd if the form says so (`u32` words, each
//! as `u32` bytes and UTF-8), `u8` form of the words' numbers, and these, u32.
//!
//! A column of a series or of records has `"SBUF"`, `u8` 1, `u8` number of buffers, `u16` zero; for each buffer `u8` type, `u8` form, `u16`
//! zero, `u32` items, `u32` bytes; the buffers' data; and the same checksum. The buffers are those of Arrow: the bits of validity if
//! rows are missing, the numbers, or where each text ends and the bytes of all. The columns of records follow `u32` number of columns
//! and `u32` bytes of each.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, StringArray, make_array};
use arrow_buffer::Buffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;

use super::growing::Growing;
use super::item::{Effort, Item};
use super::kind::{Form, Kind};
use super::{CHECKSUM, MAGIC, MAX_ROWS, MOST_TEXT, checksum, damaged, encode, number, numbers};
use crate::error::Result;

const COLUMN_MAGIC: [u8; 4] = *b"SBUF";

/// The block of ticks in these bytes as one of today; `None` if it is one.
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) for bytes that no encoder of ours made.
pub(crate) fn block(bytes: &[u8], effort: Effort) -> Result<Option<Vec<u8>>> {
    if !bytes.starts_with(&[&MAGIC[..], &[1]].concat()) {
        return Ok(None);
    }
    let columns = ticks(bytes).map_err(damaged)?;
    encode(&columns, effort).map(Some)
}

/// The `n` rows of these bytes as a block of today: a block, a column of a series if there is one type, or a block of records.
///
/// # Errors
/// [`Error::Corrupt`](crate::Error::Corrupt) for bytes that no encoder of ours made.
pub(crate) fn renewed<'a>(
    bytes: &'a [u8],
    types: &[DataType],
    n: usize,
    effort: Effort,
) -> Result<Cow<'a, [u8]>> {
    if bytes.starts_with(&MAGIC) || types.is_empty() {
        return Ok(block(bytes, effort)?.map_or(Cow::Borrowed(bytes), Cow::Owned));
    }
    if let ([data_type], true) = (types, bytes.starts_with(&COLUMN_MAGIC)) {
        let array = column(bytes, data_type, n).map_err(damaged)?;
        return encode(&[array], effort).map(Cow::Owned);
    }
    let short = || damaged("it ends too early");
    let mut rest = bytes;
    let count = number(rest.split_off(..4).ok_or_else(short)?) as usize;
    if count != types.len() {
        return Err(damaged(format!("{count} columns where {} belong", types.len())));
    }
    let mut sizes = rest.split_off(..types.len() * 4).ok_or_else(short)?.chunks_exact(4);
    let columns = types.iter().map(|data_type| {
        let size = number(sizes.next().unwrap_or(&[0; 4])) as usize;
        column(rest.split_off(..size).ok_or_else(short)?, data_type, n).map_err(damaged)
    });
    encode(&columns.collect::<Result<Vec<_>>>()?, effort).map(Cow::Owned)
}

/// What is before the checksum, which is right.
fn body(bytes: &[u8]) -> Result<&[u8], String> {
    let body = bytes.len().checked_sub(CHECKSUM).ok_or("it is too short")?;
    let (body, sum) = bytes.split_at(body);
    match checksum(body) == sum {
        true => Ok(body),
        false => Err("the checksum differs from the one it was stored with".into()),
    }
}

fn ticks(bytes: &[u8]) -> Result<Vec<ArrayRef>, String> {
    let short = || "it ends too early".to_owned();
    let mut rest = body(bytes)?;
    let head = rest.split_off(..12).ok_or_else(short)?;
    let (columns, rows) = (usize::from(head[5]), number(&head[8..]) as usize);
    if rows == 0 || rows > MAX_ROWS {
        return Err(format!("it claims {rows} rows"));
    }
    let entries = rest.split_off(..columns * 24).ok_or_else(short)?;
    let arrays = entries.chunks_exact(24).map(|entry| {
        let own = rest.split_off(..number(&entry[4..]) as usize).ok_or_else(short)?;
        let form = Form::of(entry[1])?;
        match entry[0] {
            1 => numbers_of(&DataType::Int64, form, own, rows),
            2 => numbers_of(&DataType::Float64, form, own, rows),
            3 => texts(form, own, rows),
            4 => numbers_of(&DataType::UInt8, form, own, rows),
            other => Err(format!("column type {other} is not one that this build knows")),
        }
    });
    arrays.collect()
}

fn numbers_of(
    data_type: &DataType,
    form: Form,
    data: &[u8],
    rows: usize,
) -> Result<ArrayRef, String> {
    let plain = |e: crate::Error| e.to_string();
    let mut growing = Growing::new(data_type).map_err(plain)?;
    growing.append(form, false, data, rows, 0..rows)?;
    growing.finish().map_err(plain)
}

fn texts(form: Form, mut data: &[u8], rows: usize) -> Result<ArrayRef, String> {
    let short = || "a text column ends too early".to_owned();
    let size = number(data.split_off(..4).ok_or_else(short)?) as usize;
    let stored = data.split_off(..size).ok_or_else(short)?;
    let (code_form, codes) = data.split_first().ok_or_else(short)?;
    let unpacked = match form {
        Form::Zstd => {
            let size = zstd::zstd_safe::get_frame_content_size(stored).ok().flatten();
            let size = size.filter(|size| *size <= MOST_TEXT as u64);
            let size = size.ok_or("the dictionary does not say its size, or too large a one")?;
            numbers::decompress(stored, size as usize)?
        }
        _ => stored.to_vec(),
    };
    let mut rest = &unpacked[..];
    let count = number(rest.split_off(..4).ok_or_else(short)?);
    // No allocation by the count: each word takes four bytes at least.
    let mut words = Vec::new();
    for _ in 0..count {
        let size = number(rest.split_off(..4).ok_or_else(short)?) as usize;
        let word = rest.split_off(..size).ok_or_else(short)?;
        words.push(std::str::from_utf8(word).map_err(|_| "a word is not UTF-8")?);
    }
    let mut numbers: Vec<u32> = Vec::new();
    u32::read(Form::of(*code_form)?, codes, rows, &mut numbers)?;
    if numbers.iter().any(|code| *code as usize >= words.len()) {
        return Err("a row has the number of a word that is not there".into());
    }
    let numbers = Int32Array::from_iter_values(numbers.iter().map(|code| *code as i32));
    let words = Arc::new(StringArray::from(words));
    let array = DictionaryArray::<Int32Type>::try_new(numbers, words).map_err(|e| e.to_string())?;
    Ok(Arc::new(array))
}

/// The `n` rows of a column.
fn column(bytes: &[u8], data_type: &DataType, n: usize) -> Result<ArrayRef, String> {
    let short = || "it ends too early".to_owned();
    let plain = |e: crate::Error| e.to_string();
    if n > MAX_ROWS {
        return Err(format!("it claims {n} rows"));
    }
    let mut rest = body(bytes)?;
    let head = rest.split_off(..8).ok_or_else(short)?;
    if !head.starts_with(&COLUMN_MAGIC) || head[4] != 1 {
        return Err("it does not begin as a column that this build knows".into());
    }
    let entries = rest.split_off(..usize::from(head[5]) * 12).ok_or_else(short)?;
    let (kind, width) = Kind::of_type(data_type).map_err(plain)?;
    // What each buffer is, validity left out: its type, and how many items.
    let (types, items) = match kind {
        Kind::Text | Kind::Binary => (&[3, 1][..], vec![n + 1]),
        Kind::Bool => (&[1][..], vec![n.div_ceil(8)]),
        Kind::Bytes | Kind::U8 => (&[1][..], vec![n.saturating_mul(width.max(1) as usize)]),
        Kind::U16 | Kind::F16 => (&[2][..], vec![n]),
        Kind::U32 => (&[3][..], vec![n]),
        Kind::U64 => (&[4][..], vec![n]),
        Kind::I8 => (&[5][..], vec![n]),
        Kind::I16 => (&[6][..], vec![n]),
        Kind::I32 => (&[7][..], vec![n]),
        Kind::I64 => (&[8][..], vec![n]),
        Kind::F32 => (&[9][..], vec![n]),
        Kind::F64 => (&[10][..], vec![n]),
    };
    let entries: Vec<&[u8]> = entries.chunks_exact(12).collect();
    let missing = entries.len().checked_sub(types.len()).filter(|missing| *missing < 2);
    let missing = missing.ok_or_else(|| format!("{} buffers do not make it", entries.len()))?;
    let mut parts: Vec<(Form, usize, &[u8])> = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        let due = if i < missing { 1 } else { types[i - missing] };
        let count = number(&entry[4..]) as usize;
        let expected =
            if i < missing { Some(n.div_ceil(8)) } else { items.get(i - missing).copied() };
        if entry[0] != due || expected.is_some_and(|expected| expected != count) {
            return Err(format!("a buffer claims {count} items of type {}", entry[0]));
        }
        let own = rest.split_off(..number(&entry[8..]) as usize).ok_or_else(short)?;
        parts.push((Form::of(entry[1])?, count, own));
    }
    let (form, count, data) = parts[missing];
    // As a piece of today has it: the part of validity, and the numbers.
    let mut piece = Vec::new();
    for (form, _, own) in &parts[..missing] {
        piece.push(*form as u8);
        piece.extend_from_slice(&(own.len() as u32).to_le_bytes());
        piece.extend_from_slice(own);
    }
    if let Some((bytes_form, size, bytes)) = parts.get(missing + 1) {
        let (mut ends, mut texts, mut valid): (Vec<u32>, Vec<u8>, _) = (vec![], vec![], None);
        u32::read(form, data, count, &mut ends)?;
        if *size > super::MOST_BYTES || (n > 1 && *size > MOST_TEXT) {
            return Err(format!("it claims {size} bytes of texts"));
        }
        if *size > 0 {
            u8::read(*bytes_form, bytes, *size, &mut texts)?;
        }
        if let Some((form, count, bits)) = parts[..missing].first() {
            let mut all = Vec::new();
            u8::read(*form, bits, *count, &mut all)?;
            valid = Some(Buffer::from_vec(all));
        }
        let buffers = vec![Buffer::from_vec(ends), Buffer::from_vec(texts)];
        return ArrayData::try_new(data_type.clone(), n, valid, 0, buffers, vec![])
            .map(make_array)
            .map_err(|e| e.to_string());
    }
    piece.extend_from_slice(data);
    let mut growing = Growing::new(data_type).map_err(plain)?;
    growing.append(form, missing > 0, &piece, n, 0..n)?;
    growing.finish().map_err(plain)
}
