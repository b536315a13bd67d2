//! A block's bytes into columns. Nothing is believed: every length is held against what is there.

use std::borrow::Cow;
use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use super::column::{Column, Piece, Words, sum_of};
use super::growing::{Growing, Texts};
use super::item::{Effort, Item, bounded, read_some};
use super::kind::Kind;
use super::{
    CHECKSUM, HEAD, MAGIC, MAX_COLUMNS, MAX_ROWS, MOST_TEXT, VERSION, checksum, damaged, number,
    version_1, write,
};
use crate::error::Result;

/// The most bytes of the words of a column: of four pieces, which is what ticks have in a block.
const MOST_WORDS: usize = 4 * MOST_TEXT;

/// A block whose header is right; its pieces are unpacked one by one.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    bytes: Cow<'a, [u8]>,
    rows: usize,
    header: usize,
    columns: Vec<Column>,
}

impl<'a> Block<'a> {
    /// Looks at the header and compares its checksum. A block of version 1 is brought to this one.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for bytes that no encoder of ours made.
    pub(crate) fn open(bytes: &'a [u8]) -> Result<Self> {
        match version_1::block(bytes, Effort::Fast)? {
            Some(bytes) => Self::parse(Cow::Owned(bytes)),
            None => Self::parse(Cow::Borrowed(bytes)),
        }
        .map_err(damaged)
    }

    /// A block of columns of these types and so many rows, in today's form or an earlier one. No types leave them open, but in
    /// the earlier forms that need them.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for others.
    pub(crate) fn of_types(bytes: &'a [u8], types: &[DataType], n: usize) -> Result<Self> {
        let block = match version_1::renewed(bytes, types, n, Effort::Fast)? {
            Cow::Borrowed(bytes) => Self::of_rows(bytes, n)?,
            Cow::Owned(bytes) => Block::of_rows(&bytes, n)?.into_owned(),
        };
        match types.is_empty() || types.len() == block.columns.len() {
            true => Ok(block),
            false => {
                let (found, wanted) = (block.columns.len(), types.len());
                Err(damaged(format!("it has {found} columns where {wanted} belong")))
            }
        }
    }

    /// A block of so many rows.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for others.
    pub(crate) fn of_rows(bytes: &'a [u8], n: usize) -> Result<Self> {
        let block = Self::open(bytes)?;
        match block.rows == n {
            true => Ok(block),
            false => Err(damaged(format!("it has {} rows where {n} belong", block.rows))),
        }
    }

    fn parse(bytes: Cow<'a, [u8]>) -> Result<Self, String> {
        let short = || format!("it has only {} bytes", bytes.len());
        let (head, _) = bytes.split_at_checked(HEAD).ok_or_else(short)?;
        if head[..4] != MAGIC {
            return Err("it does not begin as a block does".into());
        }
        if head[4] != VERSION {
            return Err(format!("its version {} is not one that this build knows", head[4]));
        }
        let header = number(&head[12..]) as usize;
        let (before, _) = bytes.split_at_checked(header).ok_or_else(short)?;
        let body = header.checked_sub(CHECKSUM).filter(|body| *body >= HEAD).ok_or_else(short)?;
        let (body, sum) = before.split_at(body);
        if checksum(body) != sum {
            return Err("the checksum differs from the one it was stored with".into());
        }
        let count = usize::from(u16::from_le_bytes([head[6], head[7]]));
        let (rows, log) = (number(&head[8..]) as usize, head[5]);
        if count == 0 || count > MAX_COLUMNS || rows == 0 || rows > MAX_ROWS || log > 20 {
            return Err(format!("it claims {count} columns of {rows} rows in pieces of 2^{log}"));
        }
        let mut rest = &body[HEAD..];
        // No allocation by the count: each column takes some bytes of the header.
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(Column::read(&mut rest, rows, 1 << log)?);
        }
        let pieces = columns.iter().flat_map(|column| &column.pieces);
        let size = pieces.fold(header as u64, |size, piece| size + piece.size as u64);
        if !rest.is_empty() || size != bytes.len() as u64 {
            return Err(format!("it has {} bytes where {size} belong", bytes.len()));
        }
        Ok(Block { rows, header, columns, bytes })
    }

    /// The same with bytes of its own.
    pub(crate) fn into_owned(self) -> Block<'static> {
        let Block { bytes, rows, header, columns } = self;
        Block { bytes: Cow::Owned(bytes.into_owned()), rows, header, columns }
    }

    /// The number of rows, 1 at least.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Whether the header has the ranges of a column of i64.
    pub(crate) fn has_range(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.kind == Kind::I64)
    }

    /// The least and greatest value of a column of i64; `None` if it has none.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if there is no such column.
    pub(crate) fn range(&self, column: usize) -> Result<Option<(i64, i64)>> {
        let ranges = self.column(column, Kind::I64)?.pieces.iter().filter_map(range);
        Ok(ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))))
    }

    /// The rows of each piece of a column of i64, with the least and the greatest value; of pieces that have none, nothing.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if there is no such column.
    pub(crate) fn ranges(&self, column: usize) -> Result<Vec<(Range<usize>, i64, i64)>> {
        let Column { pieces, piece_rows, .. } = self.column(column, Kind::I64)?;
        let of = |(i, piece): (usize, &Piece)| {
            let (least, greatest) = range(piece)?;
            Some((i * piece_rows..((i + 1) * piece_rows).min(self.rows), least, greatest))
        };
        Ok(pieces.iter().enumerate().filter_map(of).collect())
    }

    /// The rows from the first piece on, to the last one, which can have a value of a column of i64 between these two.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if there is no such column.
    pub(crate) fn rows_between(
        &self,
        column: usize,
        least: i64,
        greatest: i64,
    ) -> Result<Range<usize>> {
        let column = self.column(column, Kind::I64)?;
        if (least, greatest) == (i64::MIN, i64::MAX) {
            return Ok(0..self.rows); // those without a value too
        }
        let meets = |piece: &Piece| range(piece).is_some_and(|r| r.0 <= greatest && r.1 >= least);
        let first = column.pieces.iter().position(meets);
        let last = column.pieces.iter().rposition(meets);
        let Some((first, last)) = first.zip(last) else { return Ok(0..0) };
        Ok(first * column.piece_rows..((last + 1) * column.piece_rows).min(self.rows))
    }

    /// Of a column of i64 that rises: the last `n` rows up to a value, and the rest of their piece.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if there is no such column.
    pub(crate) fn last_rows(&self, column: usize, n: usize, greatest: i64) -> Result<Range<usize>> {
        let Column { pieces, piece_rows, .. } = self.column(column, Kind::I64)?;
        let last = pieces.iter().rposition(|piece| range(piece).is_some_and(|r| r.0 <= greatest));
        let Some(last) = last else { return Ok(0..0) };
        let from = (last * piece_rows).saturating_sub(n);
        Ok(from..((last + 1) * piece_rows).min(self.rows))
    }

    /// Appends rows of a column of numbers of this type, of which none is missing.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt); `out` may have grown.
    pub(crate) fn read<T: Item>(
        &self,
        column: usize,
        rows: Range<usize>,
        out: &mut Vec<T>,
    ) -> Result<()> {
        self.column(column, T::KIND)?;
        self.each(column, rows, |piece, data, n, wanted| {
            if piece.is_missing {
                return Err("it lacks values".into());
            }
            read_some(piece.form, data, n, wanted, out)
        })
    }

    /// Appends the bytes of a column of this width, with their sign, of which none is missing. They were written with
    /// [`Effort::Fast`].
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt); `out` may have grown.
    pub(crate) fn read_signed(&self, column: usize, width: usize, out: &mut Vec<i8>) -> Result<()> {
        let found = self.column(column, Kind::Bytes)?;
        if found.width as usize != width {
            return Err(damaged(format!("its column {column} has a width of {}", found.width)));
        }
        self.each(column, 0..self.rows, |piece, data, n, _| match piece.is_missing {
            true => Err("it lacks values".into()),
            false => {
                let items = n.saturating_mul(width);
                bounded(data, items)?;
                i8::read(piece.form, data, items, out)
            }
        })
    }

    /// Rows of a column of texts, of which none is missing.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt).
    pub(crate) fn words(&self, column: usize, rows: Range<usize>) -> Result<Words> {
        self.column(column, Kind::Text)?;
        let (mut all, mut size) = (Words::default(), 0);
        self.each(column, rows, |piece, data, n, wanted| {
            if piece.is_missing {
                return Err("a row has no word".into());
            }
            let texts = Texts::read(piece.form, data, n)?;
            size += texts.size();
            if size > MOST_WORDS {
                return Err(format!("its words are {size} bytes"));
            }
            texts.append_words(wanted, &mut all)
        })?;
        Ok(all)
    }

    /// Puts rows of a column behind those that are there, of whose type it must be.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt); what grew is of no use then.
    pub(crate) fn append(
        &self,
        column: usize,
        rows: Range<usize>,
        out: &mut Growing,
    ) -> Result<()> {
        let found = self.column(column, out.kind())?;
        if found.width != out.width() {
            return Err(damaged(format!("its column {column} has a width of {}", found.width)));
        }
        self.each(column, rows, |piece, data, n, wanted| {
            out.append(piece.form, piece.is_missing, data, n, wanted)
        })
    }

    /// A column as an array; of its plain type if none is given.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt).
    pub(crate) fn array(&self, column: usize, data_type: Option<&DataType>) -> Result<ArrayRef> {
        self.part(column, 0..self.rows, data_type)
    }

    /// Rows of a column as an array.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt).
    pub(crate) fn part(
        &self,
        column: usize,
        rows: Range<usize>,
        data_type: Option<&DataType>,
    ) -> Result<ArrayRef> {
        let plain = match self.columns.get(column) {
            Some(column) => column.kind.data_type(column.width),
            None => return Err(damaged(format!("it has no column {column}"))),
        };
        let mut growing = Growing::new(data_type.unwrap_or(&plain))?;
        self.append(column, rows, &mut growing)?;
        growing.finish()
    }

    /// Unpacks everything and holds it against what the header says of it.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for what is damaged.
    pub(crate) fn verify(&self) -> Result<()> {
        for (i, column) in self.columns.iter().enumerate() {
            let array = self.array(i, None)?;
            for (n, piece) in column.pieces.iter().enumerate() {
                let first = n * column.piece_rows;
                let part = array.slice(first, column.piece_rows.min(self.rows - first));
                if write::stats(&part, column.kind) != piece.stats {
                    return Err(damaged(format!(
                        "the values of piece {n} of column {i} are not those that its header says"
                    )));
                }
            }
        }
        Ok(())
    }

    fn column(&self, column: usize, kind: Kind) -> Result<&Column> {
        let found = self.columns.get(column).filter(|found| found.kind == kind);
        found.ok_or_else(|| damaged(format!("its column {column} is not of the type {kind:?}")))
    }

    /// The pieces that have some of the rows: each with its data, its number of rows, and which of them are wanted.
    fn each(
        &self,
        column: usize,
        rows: Range<usize>,
        mut take: impl FnMut(&Piece, &[u8], usize, Range<usize>) -> Result<(), String>,
    ) -> Result<()> {
        let before = self.columns[..column].iter().flat_map(|column| &column.pieces);
        let mut start = self.header + before.map(|piece| piece.size).sum::<usize>();
        let Column { pieces, piece_rows, .. } = &self.columns[column];
        for (i, piece) in pieces.iter().enumerate() {
            let data = &self.bytes[start..start + piece.size];
            start += piece.size;
            let first = i * piece_rows;
            let n = (*piece_rows).min(self.rows - first);
            let wanted = rows.start.max(first)..rows.end.min(first + n);
            if wanted.is_empty() {
                continue;
            }
            let taken = match sum_of(data) == piece.checksum {
                true => take(piece, data, n, wanted.start - first..wanted.end - first),
                false => Err("its checksum differs from the one it was stored with".into()),
            };
            taken.map_err(|why| damaged(format!("piece {i} of column {column}: {why}")))?;
        }
        Ok(())
    }
}

/// The least and greatest value of a piece of i64.
fn range(piece: &Piece) -> Option<(i64, i64)> {
    piece
        .stats
        .range
        .map(|[least, greatest]| (i64::from_le_bytes(least), i64::from_le_bytes(greatest)))
}
