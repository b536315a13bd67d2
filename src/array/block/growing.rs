//! An Arrow array that grows by pieces of columns.

use std::fmt::Debug;
use std::ops::Range;

use arrow_array::{ArrayRef, make_array};
use arrow_buffer::{BooleanBufferBuilder, Buffer};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use super::column::Words;
use super::item::{Item, read_part, read_some};
use super::kind::{Form, Kind};
use super::{MOST_BYTES, MOST_TEXT, damaged, number};
use crate::array::large;
use crate::error::Result;

/// An array that grows by pieces of columns of its type.
#[derive(Debug)]
pub(crate) struct Growing {
    data_type: DataType,
    kind: Kind,
    width: u32,
    length: usize,
    /// None as long as nothing is missing.
    valid: Option<BooleanBufferBuilder>,
    items: Items,
}

#[derive(Debug)]
enum Items {
    Numbers(Box<dyn Numbers>),
    Bits(BooleanBufferBuilder),
    /// Where each text ends, and their bytes.
    Texts(Vec<i32>, Vec<u8>),
}

/// Numbers of some type that grow.
trait Numbers: Debug + Send {
    fn append(
        &mut self,
        form: Form,
        data: &[u8],
        n: usize,
        wanted: Range<usize>,
    ) -> Result<(), String>;
    /// Makes room for so many more, if there is memory: where there is none, whoever fills it says so.
    fn reserve(&mut self, n: usize);
    fn into_buffer(self: Box<Self>) -> Buffer;
}

impl<T: Item> Numbers for Vec<T> {
    fn append(
        &mut self,
        form: Form,
        data: &[u8],
        n: usize,
        wanted: Range<usize>,
    ) -> Result<(), String> {
        read_some(form, data, n, wanted, self)
    }

    fn reserve(&mut self, n: usize) {
        let _ = large::reserve(self, n);
    }

    fn into_buffer(self: Box<Self>) -> Buffer {
        Buffer::from_vec(*self)
    }
}

impl Growing {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a type that no column has.
    pub(crate) fn new(data_type: &DataType) -> Result<Self> {
        let (kind, width) = Kind::of_type(data_type)?;
        let items = match kind {
            Kind::Bool => Items::Bits(BooleanBufferBuilder::new(0)),
            Kind::I8 => Items::Numbers(Box::<Vec<i8>>::default()),
            Kind::I16 => Items::Numbers(Box::<Vec<i16>>::default()),
            Kind::I32 => Items::Numbers(Box::<Vec<i32>>::default()),
            Kind::I64 => Items::Numbers(Box::<Vec<i64>>::default()),
            Kind::U8 | Kind::Bytes => Items::Numbers(Box::<Vec<u8>>::default()),
            Kind::U16 | Kind::F16 => Items::Numbers(Box::<Vec<u16>>::default()),
            Kind::U32 => Items::Numbers(Box::<Vec<u32>>::default()),
            Kind::U64 => Items::Numbers(Box::<Vec<u64>>::default()),
            Kind::F32 => Items::Numbers(Box::<Vec<f32>>::default()),
            Kind::F64 => Items::Numbers(Box::<Vec<f64>>::default()),
            Kind::Text | Kind::Binary => Items::Texts(vec![0], vec![]),
        };
        Ok(Growing { data_type: data_type.clone(), kind, width, length: 0, valid: None, items })
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn width(&self) -> u32 {
        self.width
    }

    /// Makes room for so many rows more, if there is memory.
    pub(crate) fn reserve(&mut self, n: usize) {
        if let Items::Numbers(items) = &mut self.items {
            items.reserve(n.saturating_mul(self.width.max(1) as usize));
        }
    }

    /// Puts those of a piece's `n` rows that are wanted behind those that are there.
    pub(super) fn append(
        &mut self,
        form: Form,
        is_missing: bool,
        mut data: &[u8],
        n: usize,
        wanted: Range<usize>,
    ) -> Result<(), String> {
        if is_missing {
            let valid = self.valid.get_or_insert_with(|| {
                let mut valid = BooleanBufferBuilder::new(self.length + n);
                valid.append_n(self.length, true);
                valid
            });
            valid.append_packed_range(wanted.clone(), &read_part::<u8>(&mut data, n.div_ceil(8))?);
        } else if let Some(valid) = &mut self.valid {
            valid.append_n(wanted.len(), true);
        }
        self.length += wanted.len();
        match &mut self.items {
            Items::Numbers(items) => {
                let width = self.width.max(1) as usize;
                let wanted = wanted.start * width..wanted.end * width;
                items.append(form, data, n.saturating_mul(width), wanted)
            }
            Items::Bits(bits) => {
                let mut bytes = Vec::new();
                u8::read(form, data, n.div_ceil(8), &mut bytes)?;
                bits.append_packed_range(wanted, &bytes);
                Ok(())
            }
            Items::Texts(ends, texts) => Texts::read(form, data, n)?.append(wanted, ends, texts),
        }
    }

    /// The array.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for texts that are not UTF-8.
    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let buffers = match self.items {
            Items::Numbers(items) => vec![items.into_buffer()],
            Items::Bits(mut bits) => vec![bits.finish().into_inner()],
            Items::Texts(ends, bytes) => vec![Buffer::from_vec(ends), Buffer::from_vec(bytes)],
        };
        let valid = self.valid.map(|mut valid| valid.finish().into_inner());
        // Looks at every offset and every text.
        ArrayData::try_new(self.data_type, self.length, valid, 0, buffers, vec![])
            .map(make_array)
            .map_err(|e| damaged(e.to_string()))
    }
}

/// The words of a piece of texts, and the number of each row's.
pub(super) struct Texts {
    /// Where each word begins, and where the last one ends.
    starts: Vec<usize>,
    bytes: Vec<u8>,
    /// Below the number of words.
    codes: Vec<u32>,
}

impl Texts {
    /// Of a piece of `n` rows.
    pub(super) fn read(form: Form, mut data: &[u8], n: usize) -> Result<Self, String> {
        let count = data.split_off(..4).ok_or("its data end before its words")?;
        let count = number(count) as usize;
        if count == 0 || count > n || (form == Form::Raw && count < n) {
            return Err(format!("it claims {count} words for {n} rows"));
        }
        let mut starts = vec![0_usize];
        for length in read_part::<i64>(&mut data, count)? {
            let end =
                usize::try_from(length).ok().and_then(|n| starts[starts.len() - 1].checked_add(n));
            let end = end.filter(|end| *end <= most_bytes(n));
            starts.push(end.ok_or_else(|| format!("a word claims {length} bytes of texts"))?);
        }
        let bytes = read_part::<u8>(&mut data, starts[count])?;
        let codes = match form {
            Form::Raw => (0..n as u32).collect(),
            Form::Dictionary => {
                let codes = read_part::<i64>(&mut data, n)?.into_iter();
                let codes =
                    codes.map(|code| u32::try_from(code).ok().filter(|n| (*n as usize) < count));
                let codes: Option<_> = codes.collect();
                codes.ok_or("a row has the number of a word that is not there")?
            }
            form => return Err(format!("texts cannot be of the form {form:?}")),
        };
        match data {
            [] => Ok(Texts { starts, bytes, codes }),
            _ => Err("bytes are left over after its words".into()),
        }
    }

    fn word(&self, code: u32) -> &[u8] {
        &self.bytes[self.starts[code as usize]..self.starts[code as usize + 1]]
    }

    /// The bytes of its words.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Puts the words behind those that are there, and the numbers of the wanted rows.
    pub(super) fn append_words(self, wanted: Range<usize>, out: &mut Words) -> Result<(), String> {
        let before = out.words.len() as u32;
        for code in 0..self.starts.len() as u32 - 1 {
            let word = std::str::from_utf8(self.word(code)).map_err(|_| "a word is not UTF-8")?;
            out.words.push(word.to_owned());
        }
        out.codes.extend(self.codes[wanted].iter().map(|code| before + code));
        Ok(())
    }

    /// Puts the texts of the wanted rows behind those that are there.
    fn append(
        &self,
        wanted: Range<usize>,
        ends: &mut Vec<i32>,
        texts: &mut Vec<u8>,
    ) -> Result<(), String> {
        let total = self.codes.iter().map(|code| self.word(*code).len()).sum::<usize>();
        if total > most_bytes(self.codes.len()) || texts.len() + total > MOST_BYTES {
            return Err(format!("it claims {total} bytes of texts"));
        }
        for code in &self.codes[wanted] {
            texts.extend_from_slice(self.word(*code));
            ends.push(texts.len() as i32);
        }
        Ok(())
    }
}

/// The most bytes of the texts of so many rows.
fn most_bytes(n: usize) -> usize {
    if n > 1 { MOST_TEXT } else { MOST_BYTES }
}
