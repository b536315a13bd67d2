//! Columns into a block.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use super::column::{Column, Piece, Stats, sum_of};
use super::item::{Effort, Item, write_part};
use super::kind::{Form, Kind};
use super::{
    CHECKSUM, HEAD, MAGIC, MAX_COLUMNS, MAX_ROWS, MOST_TEXT, PIECE, PIECE_LOG, PIECE_ROWS, VERSION,
    checksum, numbers,
};
use crate::error::{Error, Result};

/// A column is one piece if its first piece has fewer bytes than this many entries of the header: cutting it would cost more than a
/// twentieth.
const WORTH_CUTTING: usize = 36;
/// Texts become a dictionary if so many rows share a word on the average.
const ROWS_A_WORD: usize = 4;

/// The bytes of a block; the same columns give the same bytes.
///
/// # Errors
/// [`Error::Invalid`] for no rows or columns, too many of them, columns of different lengths, or of a type that no column has.
pub(crate) fn encode(columns: &[ArrayRef], effort: Effort) -> Result<Vec<u8>> {
    let rows = columns.first().map_or(0, |column| column.len());
    check(columns, rows)?;
    let mut data = Vec::new();
    let columns = columns.iter().map(|column| write_column(column, effort, &mut data));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let mut out = Vec::with_capacity(HEAD + data.len() + columns.len() * 2 * PIECE);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, PIECE_LOG]);
    out.extend_from_slice(&(columns.len() as u16).to_le_bytes());
    out.extend_from_slice(&(rows as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    columns.iter().for_each(|column| column.write(&mut out));
    let size = (out.len() + CHECKSUM) as u32;
    out[HEAD - 4..HEAD].copy_from_slice(&size.to_le_bytes());
    let sum = checksum(&out);
    out.extend_from_slice(&sum);
    out.extend_from_slice(&data);
    Ok(out)
}

fn check(columns: &[ArrayRef], rows: usize) -> Result<()> {
    let invalid = |expected: String, got: usize| {
        Err(Error::invalid("a column block", expected, got.to_string()))
    };
    if columns.is_empty() || columns.len() > MAX_COLUMNS {
        return invalid(format!("1 to {MAX_COLUMNS} columns"), columns.len());
    }
    if rows == 0 || rows > MAX_ROWS {
        return invalid(format!("1 to {MAX_ROWS} rows"), rows);
    }
    match columns.iter().find(|column| column.len() != rows) {
        Some(column) => invalid(format!("{rows} rows in each column"), column.len()),
        None => Ok(()),
    }
}

fn write_column(array: &ArrayRef, effort: Effort, data: &mut Vec<u8>) -> Result<Column> {
    let (kind, width) = Kind::of_type(array.data_type())?;
    let (rows, start) = (array.len(), data.len());
    let mut piece_rows = if effort == Effort::Whole { rows } else { rows.min(PIECE_ROWS) };
    let mut pieces = vec![write_piece(&array.slice(0, piece_rows), kind, effort, data)?];
    if piece_rows < rows && data.len() - start < WORTH_CUTTING * PIECE {
        data.truncate(start);
        piece_rows = rows;
        pieces = vec![write_piece(array, kind, effort, data)?];
    }
    for first in (piece_rows..rows).step_by(piece_rows) {
        let piece = array.slice(first, piece_rows.min(rows - first));
        pieces.push(write_piece(&piece, kind, effort, data)?);
    }
    Ok(Column { kind, width, piece_rows, is_whole: piece_rows == rows, pieces })
}

fn write_piece(array: &ArrayRef, kind: Kind, effort: Effort, out: &mut Vec<u8>) -> Result<Piece> {
    let start = out.len();
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    if let Some(nulls) = nulls {
        write_part(&bits(nulls.inner()), effort, out);
    }
    let data = array.to_data();
    let form = match kind {
        Kind::I8 => pack::<i8>(&data, effort, out),
        Kind::I16 => pack::<i16>(&data, effort, out),
        Kind::I32 => pack::<i32>(&data, effort, out),
        Kind::I64 => pack::<i64>(&data, effort, out),
        Kind::U16 | Kind::F16 => pack::<u16>(&data, effort, out),
        Kind::U32 => pack::<u32>(&data, effort, out),
        Kind::U64 => pack::<u64>(&data, effort, out),
        Kind::F32 => pack::<f32>(&data, effort, out),
        Kind::F64 => pack::<f64>(&data, effort, out),
        Kind::U8 => pack::<u8>(&data, effort, out),
        Kind::Bool => u8::pack(&bits(array.as_boolean().values()), effort, out),
        Kind::Bytes => u8::pack(array.as_fixed_size_binary().value_data(), effort, out),
        Kind::Text | Kind::Binary => write_texts(array, &data, effort, out)?,
    };
    let size = out.len() - start;
    if size > u32::MAX as usize {
        return Err(Error::invalid("a column block", "fewer bytes", size.to_string()));
    }
    let (is_missing, checksum) = (nulls.is_some(), sum_of(&out[start..]));
    Ok(Piece { form, is_missing, size, checksum, stats: stats(array, kind) })
}

/// The items of an array of numbers.
fn items<T: Item>(data: &ArrayData) -> &[T] {
    &data.buffer::<T>(0)[..data.len()]
}

fn pack<T: Item>(data: &ArrayData, effort: Effort, out: &mut Vec<u8>) -> Form {
    let (items, start) = (items::<T>(data), out.len());
    let form = T::pack(items, effort, out);
    if effort == Effort::Whole
        && form != Form::Zstd
        && let Some((form, zstd)) = numbers::compress_bytes(items, out.len() - start)
    {
        out.truncate(start);
        out.extend_from_slice(&zstd);
        return form;
    }
    form
}

/// Bits from the lowest of the first byte on.
fn bits(buffer: &BooleanBuffer) -> Vec<u8> {
    let mut bytes = buffer.sliced().as_slice()[..buffer.len().div_ceil(8)].to_vec();
    if let (Some(last), used @ 1..) = (bytes.last_mut(), buffer.len() % 8) {
        *last &= (1 << used) - 1; // behind a slice lie the bits of others
    }
    bytes
}

/// What the header says of the values of a piece.
pub(super) fn stats(array: &ArrayRef, kind: Kind) -> Stats {
    fn of<T: Item>(data: &ArrayData, nulls: Option<&NullBuffer>) -> Stats {
        Stats::of(items::<T>(data), nulls)
    }
    let (data, nulls) = (array.to_data(), array.nulls().filter(|nulls| nulls.null_count() > 0));
    match kind {
        Kind::I8 => of::<i8>(&data, nulls),
        Kind::I16 => of::<i16>(&data, nulls),
        Kind::I32 => of::<i32>(&data, nulls),
        Kind::I64 => of::<i64>(&data, nulls),
        Kind::U8 => of::<u8>(&data, nulls),
        Kind::U16 => of::<u16>(&data, nulls),
        Kind::U32 => of::<u32>(&data, nulls),
        Kind::U64 => of::<u64>(&data, nulls),
        Kind::F32 => of::<f32>(&data, nulls),
        Kind::F64 => of::<f64>(&data, nulls),
        Kind::Bool => {
            let bytes: Vec<u8> = array.as_boolean().values().iter().map(u8::from).collect();
            Stats::of(&bytes, nulls)
        }
        Kind::F16 | Kind::Text | Kind::Binary | Kind::Bytes => Stats::count(array.len(), nulls),
    }
}

fn write_texts(
    array: &ArrayRef,
    data: &ArrayData,
    effort: Effort,
    out: &mut Vec<u8>,
) -> Result<Form> {
    if let DataType::Dictionary(..) = array.data_type() {
        let codes = array.as_dictionary::<Int32Type>();
        let words = codes.values().as_string::<i32>();
        if codes.null_count() > 0 || words.null_count() > 0 {
            return Err(Error::invalid("a dictionary of words", "a word in each row", "none"));
        }
        let rows = codes.keys().values().iter().map(|code| words.value(*code as usize).as_bytes());
        let (codes, words) = dictionary(rows, usize::MAX).expect("as many words as there are");
        write_dictionary(&codes, &words, effort, out);
        return Ok(Form::Dictionary);
    }
    let ends = &data.buffer::<i32>(0)[..=data.len()];
    let bytes = &data.buffers()[1].as_slice();
    let rows = ends.windows(2).map(|ends| &bytes[ends[0] as usize..ends[1] as usize]);
    if let Some((codes, words)) = dictionary(rows.clone(), data.len() / ROWS_A_WORD) {
        write_dictionary(&codes, &words, effort, out);
        return Ok(Form::Dictionary);
    }
    let (first, last) = (ends[0] as usize, ends[data.len()] as usize);
    let lengths: Vec<i64> = rows.map(|row| row.len() as i64).collect();
    write_words(&lengths, &bytes[first..last], effort, out);
    Ok(Form::Raw)
}

/// The number of each row's word, and the words in the order in which they come first; `None` if they are more than `most`.
fn dictionary<'a>(
    rows: impl Iterator<Item = &'a [u8]>,
    most: usize,
) -> Option<(Vec<i64>, Vec<&'a [u8]>)> {
    let (mut codes, mut words) = (Vec::new(), Vec::new());
    let mut known: HashMap<&[u8], i64> = HashMap::new();
    for row in rows {
        let code = *known.entry(row).or_insert_with(|| {
            words.push(row);
            words.len() as i64 - 1
        });
        codes.push(code);
        if words.len() > most {
            return None;
        }
    }
    Some((codes, words))
}

fn write_dictionary(codes: &[i64], words: &[&[u8]], effort: Effort, out: &mut Vec<u8>) {
    let lengths: Vec<i64> = words.iter().map(|word| word.len() as i64).collect();
    write_words(&lengths, &words.concat(), effort, out);
    write_part(codes, effort, out);
}

fn write_words(lengths: &[i64], bytes: &[u8], effort: Effort, out: &mut Vec<u8>) {
    out.extend_from_slice(&(lengths.len() as u32).to_le_bytes());
    write_part(lengths, effort, out);
    write_part(bytes, effort, out);
}

/// How many of the first rows of an array a block can hold: as many as there are, unless they are long.
pub(crate) fn fit(array: &ArrayRef, most: usize) -> usize {
    let n = array.len().min(most);
    match array.data_type() {
        DataType::FixedSizeBinary(size) => n.min((MOST_TEXT / (*size).max(1) as usize).max(1)),
        DataType::Utf8 => fit_texts(array.as_string::<i32>().value_offsets(), n),
        DataType::Binary => fit_texts(array.as_binary::<i32>().value_offsets(), n),
        _ => n,
    }
}

fn fit_texts(ends: &[i32], n: usize) -> usize {
    let within = |end: &i32| (*end - ends[0]) as usize <= MOST_TEXT;
    if n == 0 { 0 } else { ends[1..=n].partition_point(within).max(1) }
}
