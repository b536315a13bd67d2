//! An Arrow array as a blob and back, and the names of its types.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, make_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer as Bytes};
use arrow_data::ArrayData;
use arrow_schema::{DataType, TimeUnit};

use super::buffers::{Buffer, Effort, Items, Stored, encode, open};
use crate::error::{Error, Result};

/// The most bytes of the texts of an array.
const MOST_BYTES: usize = i32::MAX as usize;
/// The most bytes of the texts of a block of more than one point.
const MOST_TEXT: usize = 64 << 20;

/// Packs an array: its bits of validity if any is missing, and the buffers that Arrow gives its type.
pub(crate) fn pack(array: &ArrayRef, effort: Effort) -> Result<Vec<u8>> {
    use DataType as T;
    let data = array.to_data();
    let (from, n) = (data.offset(), data.len());
    let missing = data.nulls().filter(|nulls| nulls.null_count() > 0);
    let valid = missing.map(|nulls| nulls.inner().sliced());
    let bits = (*data.data_type() == T::Boolean)
        .then(|| BooleanBuffer::new(data.buffers()[0].clone(), from, n).sliced());
    let mut offsets: Vec<u32> = Vec::new();
    let mut all = Vec::with_capacity(3);
    let bytes_of = |bits: &Bytes| bits.as_slice()[..n.div_ceil(8)].to_vec();
    let (valid, bits) = (valid.as_ref().map(bytes_of), bits.as_ref().map(bytes_of));
    if let Some(valid) = &valid {
        all.push(Buffer::U8(valid));
    }
    macro_rules! numbers {
        ($name:ident) => {
            all.push(Buffer::$name(&data.buffers()[0].typed_data()[from..from + n]))
        };
    }
    match data.data_type() {
        T::Boolean => all.push(Buffer::U8(bits.as_ref().expect("made above"))),
        T::Int8 => numbers!(I8),
        T::Int16 => numbers!(I16),
        T::Int32 => numbers!(I32),
        T::Int64 | T::Timestamp(..) | T::Duration(_) => numbers!(I64),
        T::UInt8 => numbers!(U8),
        T::UInt16 | T::Float16 => numbers!(U16),
        T::UInt32 => numbers!(U32),
        T::UInt64 => numbers!(U64),
        T::Float32 => numbers!(F32),
        T::Float64 => numbers!(F64),
        T::FixedSizeBinary(size) => {
            let size = *size as usize;
            all.push(Buffer::U8(&data.buffers()[0].as_slice()[from * size..(from + n) * size]));
        }
        T::Utf8 | T::Binary => {
            let ends = data.buffers()[0].typed_data::<i32>();
            let ends = if n == 0 { &[0][..] } else { &ends[from..=from + n] };
            offsets.extend(ends.iter().map(|end| (end - ends[0]) as u32));
            let (start, end) = (ends[0] as usize, ends[ends.len() - 1] as usize);
            all.push(Buffer::U32(&offsets));
            all.push(Buffer::U8(&data.buffers()[1].as_slice()[start..end]));
        }
        other => return Err(unknown(&other.to_string())),
    }
    encode(&all, effort)
}

/// An array that grows by what lies in blobs.
#[derive(Debug)]
pub(crate) struct Column {
    kind: DataType,
    length: usize,
    /// None as long as nothing is missing.
    valid: Option<BooleanBufferBuilder>,
    items: Parts,
}

#[derive(Debug)]
enum Parts {
    /// So many items each.
    Fixed(Items, usize),
    Bits(BooleanBufferBuilder),
    /// Where each text ends, and their bytes.
    Texts(Vec<i32>, Items),
}

impl Column {
    /// An empty one, of a type that a series can have.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another type.
    pub(crate) fn new(kind: &DataType) -> Result<Self> {
        use DataType as T;
        let items = match kind {
            T::Boolean => Parts::Bits(BooleanBufferBuilder::new(0)),
            T::Int8 => Parts::Fixed(Items::I8(vec![]), 1),
            T::Int16 => Parts::Fixed(Items::I16(vec![]), 1),
            T::Int32 => Parts::Fixed(Items::I32(vec![]), 1),
            T::Int64 | T::Timestamp(..) | T::Duration(_) => Parts::Fixed(Items::I64(vec![]), 1),
            T::UInt8 => Parts::Fixed(Items::U8(vec![]), 1),
            T::UInt16 | T::Float16 => Parts::Fixed(Items::U16(vec![]), 1),
            T::UInt32 => Parts::Fixed(Items::U32(vec![]), 1),
            T::UInt64 => Parts::Fixed(Items::U64(vec![]), 1),
            T::Float32 => Parts::Fixed(Items::F32(vec![]), 1),
            T::Float64 => Parts::Fixed(Items::F64(vec![]), 1),
            T::FixedSizeBinary(size) => Parts::Fixed(Items::U8(vec![]), *size as usize),
            T::Utf8 | T::Binary => Parts::Texts(vec![0], Items::U8(vec![])),
            other => return Err(unknown(&other.to_string())),
        };
        Ok(Column { kind: kind.clone(), length: 0, valid: None, items })
    }

    /// Makes room for so many points more, if there is memory.
    pub(crate) fn reserve(&mut self, n: usize) {
        match &mut self.items {
            Parts::Fixed(items, each) => items.reserve(n.saturating_mul(*each)),
            Parts::Bits(_) | Parts::Texts(..) => {}
        }
    }

    /// Puts the `n` points of a blob behind those that are there.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for bytes that do not hold `n` points of this type; the column is of no use then.
    pub(crate) fn append(&mut self, bytes: &[u8], n: usize) -> Result<()> {
        let stored = open(bytes)?;
        let due = if matches!(self.items, Parts::Texts(..)) { 2 } else { 1 };
        let own = match stored.len().checked_sub(due) {
            Some(0) => {
                self.valid.iter_mut().for_each(|valid| valid.append_n(n, true));
                &stored[..]
            }
            Some(1) => {
                let before = self.length;
                let valid = self.valid.get_or_insert_with(|| {
                    let mut valid = BooleanBufferBuilder::new(before + n);
                    valid.append_n(before, true);
                    valid
                });
                valid.append_packed_range(0..n, &bits(&stored[0], n)?);
                &stored[1..]
            }
            _ => {
                return Err(damaged(format!("{} buffers do not make {}", stored.len(), self.kind)));
            }
        };
        match &mut self.items {
            Parts::Fixed(items, each) => read(&own[0], n.saturating_mul(*each), items)?,
            Parts::Bits(builder) => builder.append_packed_range(0..n, &bits(&own[0], n)?),
            Parts::Texts(ends, bytes) => {
                let base = bytes.len();
                let mut own_ends = Items::U32(Vec::new());
                read(&own[0], n + 1, &mut own_ends)?;
                let Items::U32(own_ends) = own_ends else { unreachable!("it was made above") };
                let size = own_ends[n] as usize;
                if own_ends[0] != 0 || !own_ends.is_sorted() || base + size > MOST_BYTES {
                    return Err(damaged("its texts do not lie one after another".into()));
                }
                if n > 1 && size > MOST_TEXT {
                    return Err(damaged(format!("it claims {size} bytes of texts")));
                }
                read(&own[1], size, bytes)?;
                ends.extend(own_ends[1..].iter().map(|end| (base + *end as usize) as i32));
            }
        }
        self.length += n;
        Ok(())
    }

    /// The array.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for texts that are not UTF-8.
    pub(crate) fn finish(self) -> Result<ArrayRef> {
        let buffers = match self.items {
            Parts::Fixed(items, _) => vec![items.into_bytes()],
            Parts::Bits(mut bits) => vec![bits.finish().into_inner()],
            Parts::Texts(ends, bytes) => vec![Bytes::from_vec(ends), bytes.into_bytes()],
        };
        let valid = self.valid.map(|mut valid| valid.finish().into_inner());
        // Looks at every offset and every text.
        ArrayData::try_new(self.kind, self.length, valid, 0, buffers, vec![])
            .map(make_array)
            .map_err(|e| damaged(e.to_string()))
    }
}

/// The array of this type and length that lies in the bytes.
pub(crate) fn unpack(bytes: &[u8], kind: &DataType, n: usize) -> Result<ArrayRef> {
    let mut column = Column::new(kind)?;
    column.append(bytes, n)?;
    column.finish()
}

/// Reads exactly `n` items: what a few bytes claim to be beyond them is refused before there is memory for it.
fn read(stored: &Stored<'_>, n: usize, out: &mut Items) -> Result<()> {
    if stored.len() != n {
        return Err(damaged(format!("a buffer claims {} items where {n} belong", stored.len())));
    }
    stored.read(out)
}

fn bits(stored: &Stored<'_>, n: usize) -> Result<Vec<u8>> {
    let mut bytes = Items::U8(Vec::new());
    read(stored, n.div_ceil(8), &mut bytes)?;
    let Items::U8(bytes) = bytes else { unreachable!("it was made above") };
    Ok(bytes)
}

/// How many of the first points of an array a block can hold: as many as there are, unless they are long.
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

const PLAIN: &[(&str, DataType)] = &[
    ("bool", DataType::Boolean),
    ("i8", DataType::Int8),
    ("i16", DataType::Int16),
    ("i32", DataType::Int32),
    ("i64", DataType::Int64),
    ("u8", DataType::UInt8),
    ("u16", DataType::UInt16),
    ("u32", DataType::UInt32),
    ("u64", DataType::UInt64),
    ("f16", DataType::Float16),
    ("f32", DataType::Float32),
    ("f64", DataType::Float64),
    ("text", DataType::Utf8),
    ("binary", DataType::Binary),
    ("span[s]", DataType::Duration(TimeUnit::Second)),
    ("span[ms]", DataType::Duration(TimeUnit::Millisecond)),
    ("span[us]", DataType::Duration(TimeUnit::Microsecond)),
    ("span[ns]", DataType::Duration(TimeUnit::Nanosecond)),
    ("time[s]", DataType::Timestamp(TimeUnit::Second, None)),
    ("time[ms]", DataType::Timestamp(TimeUnit::Millisecond, None)),
    ("time[us]", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("time[ns]", DataType::Timestamp(TimeUnit::Nanosecond, None)),
];

/// The name of a type in the file.
pub(crate) fn type_name(kind: &DataType) -> Result<String> {
    if let DataType::FixedSizeBinary(size) = kind {
        return Ok(format!("bytes[{size}]"));
    }
    let (plain, zone) = match kind {
        DataType::Timestamp(unit, Some(zone)) => (&DataType::Timestamp(*unit, None), Some(zone)),
        other => (other, None),
    };
    let (name, _) =
        PLAIN.iter().find(|(_, known)| known == plain).ok_or_else(|| unknown(&kind.to_string()))?;
    Ok(match zone {
        Some(zone) => format!("{}, {zone}]", name.trim_end_matches(']')),
        None => (*name).to_owned(),
    })
}

/// The type of a name in the file.
pub(crate) fn type_of(name: &str) -> Result<DataType> {
    if let Some((_, kind)) = PLAIN.iter().find(|(known, _)| *known == name) {
        return Ok(kind.clone());
    }
    let no_type = || damaged(format!("{name:?} is not the name of a type"));
    let (kind, argument) =
        name.strip_suffix(']').and_then(|name| name.split_once('[')).ok_or_else(no_type)?;
    if kind == "bytes" {
        let size = argument.parse().ok().filter(|size| *size > 0).ok_or_else(no_type)?;
        return Ok(DataType::FixedSizeBinary(size));
    }
    let (unit, zone) = argument.split_once(", ").ok_or_else(no_type)?;
    match type_of_plain(kind, unit) {
        Some(DataType::Timestamp(unit, _)) => Ok(DataType::Timestamp(unit, Some(zone.into()))),
        _ => Err(no_type()),
    }
}

fn type_of_plain(kind: &str, unit: &str) -> Option<DataType> {
    let name = format!("{kind}[{unit}]");
    PLAIN.iter().find(|(known, _)| *known == name).map(|(_, kind)| kind.clone())
}

fn unknown(kind: &str) -> Error {
    Error::invalid("a series", "types that a series can have", kind)
}

pub(crate) fn damaged(why: String) -> Error {
    Error::Corrupt { location: String::new(), what: "a stored series".into(), why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Goal: a few bytes that claim to be many numbers are refused before there is memory for them.
    #[test]
    fn a_block_cannot_claim_more_than_its_points() {
        let many = encode(&[Buffer::I64(&vec![7; 1 << 20])], Effort::Fast).unwrap();
        assert!(many.len() < 100, "it is one number, so many times");
        let error = unpack(&many, &DataType::Int64, 10).unwrap_err();
        assert!(error.to_string().contains("where 10 belong"), "{error}");
        assert!(unpack(&many, &DataType::Float64, 1 << 20).is_err(), "of another type");
        assert_eq!(unpack(&many, &DataType::Int64, 1 << 20).unwrap().len(), 1 << 20);
        let long = vec![b'a'; MOST_TEXT + 1];
        let ends = [0, 7, long.len() as u32];
        let long = encode(&[Buffer::U32(&ends), Buffer::U8(&long)], Effort::Compact).unwrap();
        let error = unpack(&long, &DataType::Utf8, 2).unwrap_err();
        assert!(error.to_string().contains("bytes of texts"), "{error}");
    }

    /// Goal: blobs with and without missing points, one behind the other, are the arrays one behind the other.
    #[test]
    fn a_column_grows_by_blobs() {
        use arrow_array::{BooleanArray, Float64Array, StringArray};
        let numbers: [ArrayRef; 3] = [
            Arc::new(Float64Array::from(vec![1.0; 13])),
            Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-0.0)])),
            Arc::new(Float64Array::from(vec![2.5; 9])),
        ];
        let texts: [ArrayRef; 3] = [
            Arc::new(StringArray::from(vec!["a", "", "ß"])),
            Arc::new(StringArray::from(vec![None, Some("b")])),
            Arc::new(StringArray::from(Vec::<&str>::new())),
        ];
        let flags: [ArrayRef; 3] = [
            Arc::new(BooleanArray::from(vec![true, false, true])),
            Arc::new(BooleanArray::from(vec![None, Some(true)])),
            Arc::new(BooleanArray::from(vec![Some(false); 70])),
        ];
        for parts in [numbers, texts, flags] {
            for effort in [Effort::Fast, Effort::Compact] {
                let mut column = Column::new(parts[0].data_type()).unwrap();
                for part in &parts {
                    column.append(&pack(part, effort).unwrap(), part.len()).unwrap();
                }
                let whole = parts.iter().map(|part| part.as_ref()).collect::<Vec<_>>();
                let whole = arrow_select::concat::concat(&whole).unwrap();
                assert_eq!(column.finish().unwrap().to_data(), whole.to_data());
            }
        }
    }

    /// Goal: a block takes as many long texts as it may hold, and one at least.
    #[test]
    fn long_texts_make_small_blocks() {
        use arrow_array::StringArray;
        let long = "a".repeat(MOST_TEXT / 2);
        let array: ArrayRef = Arc::new(StringArray::from(vec![&*long, &*long, "b"]));
        assert_eq!((fit(&array, 9), fit(&array.slice(1, 2), 9), fit(&array, 1)), (2, 2, 1));
        let longer: ArrayRef = Arc::new(StringArray::from(vec![format!("{long}{long}{long}")]));
        assert_eq!((fit(&longer, 9), fit(&longer.slice(0, 0), 9)), (1, 0));
    }
}
