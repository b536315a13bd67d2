//! What a block is made from.

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// 64-bit integers.
    I64 = 1,
    /// 64-bit floats; each NaN keeps its bits.
    F64 = 2,
    /// Texts by way of a dictionary.
    Text = 3,
    /// Bytes, as for flags.
    U8 = 4,
}

impl Kind {
    pub(super) fn of(byte: u8) -> Result<Self, String> {
        match byte {
            1 => Ok(Kind::I64),
            2 => Ok(Kind::F64),
            3 => Ok(Kind::Text),
            4 => Ok(Kind::U8),
            other => Err(format!("column type {other} is not one that this build knows")),
        }
    }
}

/// A column to write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Column<'a> {
    /// 64-bit integers.
    I64(&'a [i64]),
    /// 64-bit floats.
    F64(&'a [f64]),
    /// The number of each row's word, and the words.
    Text(&'a [u32], &'a [&'a str]),
    /// Bytes.
    #[cfg_attr(not(test), expect(dead_code, reason = "part of the format; ticks have no flags"))]
    U8(&'a [u8]),
}

impl Column<'_> {
    pub(super) fn rows(&self) -> usize {
        match self {
            Column::I64(items) => items.len(),
            Column::F64(items) => items.len(),
            Column::Text(codes, _) => codes.len(),
            Column::U8(items) => items.len(),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Column::I64(_) => Kind::I64,
            Column::F64(_) => Kind::F64,
            Column::Text(..) => Kind::Text,
            Column::U8(_) => Kind::U8,
        }
    }
}

/// A text column that was read: each row's word, by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Words {
    /// Below the number of words, for each row.
    pub(crate) codes: Vec<u32>,
    /// The words.
    pub(crate) words: Vec<String>,
}
