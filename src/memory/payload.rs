//! What an episode experienced, and what stands for a concept: nested values and arrays, as bytes.
//!
//! Layout, numbers low byte first: the four bytes `SMP` and 1, the version; one value; XXH3-128 of all before, high
//! byte first. A value is a tag and what follows it:
//!
//! | tag | value | what follows |
//! |---|---|---|
//! | 0, 1, 2 | nothing, false, true | |
//! | 3 | integer | `i64` |
//! | 4 | float | `f64` |
//! | 5, 6 | text in UTF-8, bytes | length `u64`, the bytes |
//! | 7, 8 | list, tuple | count `u32`, the values |
//! | 9 | map | count `u32`, of each entry the key, a value of tags 0 to 6, and the value |
//! | 10 | array | length of the dtype text `u8` and the text, number of dimensions `u8`, each as `u64`, the items in C order |

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use crate::array::{Array, byte_size};
use crate::error::{Error, Result};
use crate::kernel::Node;

const MAGIC: [u8; 4] = *b"SMP\x01";
const CHECKSUM_BYTES: usize = 16;
/// How deep values may lie in one another.
const MOST_DEPTH: usize = 64;
/// The most values of one payload. An array counts as one, however many items it has.
pub(super) const MOST_VALUES: usize = 4 << 20;

/// A value of an experience: an array, a number, a text, bytes, or a nest of them.
///
/// # Example
/// ```
/// use siltstone::Array;
/// use siltstone::memory::Payload;
/// let seen = Payload::map([
///     ("observation", Payload::from(Array::from_slice(&[0.5, 1.5]))),
///     ("action", "move_forward".into()),
///     ("reward", 1.0.into()),
/// ]);
/// let back = Payload::decode(seen.encode()?)?;
/// assert_eq!(back.get("reward"), Some(&Payload::Float(1.0)));
/// assert_eq!(back, seen);
/// # Ok::<(), siltstone::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Payload {
    /// Python's `None`.
    Nothing,
    /// A truth value.
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// A float, bit for bit.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// An array.
    Array(Array),
    /// Values in order.
    List(Vec<Payload>),
    /// Values in order, which Python knows as a tuple.
    Tuple(Vec<Payload>),
    /// Keys and values in the order in which they came. A key is neither an array nor a nest.
    Map(Vec<(Payload, Payload)>),
}

impl Payload {
    /// A map with texts as keys.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Payload)>) -> Self {
        let entry = |(key, value): (K, Payload)| (Payload::Text(key.into()), value);
        Payload::Map(entries.into_iter().map(entry).collect())
    }

    /// A value of a type of yours: a struct is a map of its fields, a sequence a list. Of many numbers make an [`Array`].
    ///
    /// # Errors
    /// [`Error::Invalid`] for an integer beyond 64 bits with sign, and what the type itself refuses.
    ///
    /// # Example
    /// ```
    /// # use siltstone::memory::Payload;
    /// #[derive(serde::Serialize)]
    /// struct Move { action: &'static str, reward: f64 }
    ///
    /// let seen = Payload::of(&Move { action: "left", reward: 0.5 })?;
    /// assert_eq!(seen.get("reward"), Some(&Payload::Float(0.5)));
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn of(value: &impl serde::Serialize) -> Result<Self> {
        of_node(Node::of("a payload", value)?, "a payload")
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &str) -> Option<&Payload> {
        let Payload::Map(entries) = self else { return None };
        let is_it = |entry: &&(Payload, Payload)| matches!(&entry.0, Payload::Text(t) if t == key);
        entries.iter().find(is_it).map(|(_, value)| value)
    }

    /// The array, if it is one.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Payload::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The bytes that stand in the file: the layout of this module's documentation, checksum included.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a key that is an array or a nest, more than 64 levels, more than 2^22 values, or
    /// more bytes than [`Array::MAX_STORED_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        let size = self.size_hint();
        Array::check_stored("a payload", size)?;
        let mut encoder = Encoder::new(size);
        encoder.value(self, 0)?;
        Ok(encoder.finish())
    }

    /// The value that bytes stand for. Arrays share the memory of `bytes`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for bytes that [`encode`](Self::encode) did not make, or that have changed since.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self> {
        let bytes = bytes.into();
        let body = checked(&bytes)?;
        let mut decoder = Decoder { all: bytes.slice(..body), at: MAGIC.len(), left: MOST_VALUES };
        let value = decoder.value(0)?;
        if decoder.at == body { Ok(value) } else { Err(damaged("bytes are left over")) }
    }

    fn size_hint(&self) -> usize {
        match self {
            Payload::Nothing | Payload::Bool(_) => 1,
            Payload::Int(_) | Payload::Float(_) => 9,
            Payload::Text(text) => 9 + text.len(),
            Payload::Bytes(bytes) => 9 + bytes.len(),
            Payload::Array(array) => 16 + 8 * array.shape().len() + array.data().len(),
            Payload::List(items) | Payload::Tuple(items) => {
                5 + items.iter().map(Payload::size_hint).sum::<usize>()
            }
            Payload::Map(entries) => {
                5 + entries.iter().map(|(k, v)| k.size_hint() + v.size_hint()).sum::<usize>()
            }
        }
    }
}

impl From<Array> for Payload {
    fn from(array: Array) -> Self {
        Payload::Array(array)
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Payload::Text(text.to_owned())
    }
}

impl From<f64> for Payload {
    fn from(number: f64) -> Self {
        Payload::Float(number)
    }
}

impl From<i64> for Payload {
    fn from(number: i64) -> Self {
        Payload::Int(number)
    }
}

impl From<bool> for Payload {
    fn from(yes: bool) -> Self {
        Payload::Bool(yes)
    }
}

/// `what` names the value in errors.
fn of_node(node: Node, what: &str) -> Result<Payload> {
    Ok(match node {
        Node::Nothing => Payload::Nothing,
        Node::Bool(yes) => Payload::Bool(yes),
        Node::Int(n) => Payload::Int(n),
        Node::Large(n) => {
            return Err(Error::invalid(what, "an integer of 64 bits with sign", n.to_string()));
        }
        Node::Single(x) => Payload::Float(x.into()),
        Node::Float(x) => Payload::Float(x),
        Node::Text(text) => Payload::Text(text),
        Node::Bytes(bytes) => Payload::Bytes(bytes.into()),
        Node::List(items) => {
            let all = items.into_iter().zip(0..);
            Payload::List(
                all.map(|(item, i)| of_node(item, &format!("{what}[{i}]")))
                    .collect::<Result<_>>()?,
            )
        }
        Node::Map(entries) => {
            let entry = |(key, value): (Node, Node)| {
                let name = match &key {
                    Node::Text(name) => name.clone(),
                    other => other.to_json(),
                };
                Ok((of_node(key, what)?, of_node(value, &format!("{what}.{name}"))?))
            };
            Payload::Map(entries.into_iter().map(entry).collect::<Result<_>>()?)
        }
    })
}

/// What the bytes of a payload are, as far as it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Written by [`Payload::encode`], whole.
    Sound,
    /// A pickle, which Godly-AI writes.
    Pickle,
    /// Neither.
    Damaged,
}

/// What the bytes of a payload are, without decoding them.
pub(super) fn state(bytes: &[u8]) -> State {
    match checked(bytes) {
        Ok(_) => State::Sound,
        Err(_) if is_pickle(bytes) => State::Pickle,
        Err(_) => State::Damaged,
    }
}

/// The value of a payload without what is around it, if it is whole.
pub(super) fn sound_body(bytes: &[u8]) -> Option<&[u8]> {
    checked(bytes).ok().map(|body| &bytes[MAGIC.len()..body])
}

/// Protocols 2 and later begin with their number, and all end with a full stop.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, .., b'.'])
}

/// The length of the bytes before the checksum, if that is right.
fn checked(bytes: &[u8]) -> Result<usize> {
    if is_pickle(bytes) {
        let why = "it is a pickle, as another program writes them, and pickles are not run here: \
            import the database it came from, which decodes arrays and plain containers";
        return Err(damaged(why));
    }
    let body = bytes.len().checked_sub(CHECKSUM_BYTES).filter(|body| *body > MAGIC.len());
    let body = body.ok_or_else(|| damaged("it is too short"))?;
    if bytes[..MAGIC.len()] != MAGIC {
        return Err(damaged("it does not begin as a payload does"));
    }
    if xxh3_128(&bytes[..body]).to_be_bytes() != bytes[body..] {
        return Err(damaged("the checksum differs from the one it was stored with"));
    }
    Ok(body)
}

fn damaged(why: &str) -> Error {
    Error::Corrupt { location: String::new(), what: "a payload".into(), why: why.into() }
}

/// Writes a payload piece by piece.
struct Encoder {
    out: Vec<u8>,
    /// How many values may still come.
    left: usize,
}

impl Encoder {
    fn new(size: usize) -> Self {
        let mut out = Vec::with_capacity(MAGIC.len() + size + CHECKSUM_BYTES);
        out.extend_from_slice(&MAGIC);
        Encoder { out, left: MOST_VALUES }
    }

    fn value(&mut self, value: &Payload, depth: usize) -> Result<()> {
        if depth > MOST_DEPTH {
            let expected = format!("at most {MOST_DEPTH} levels");
            return Err(Error::invalid(
                "a payload",
                expected,
                "deeper ones, or one that holds itself",
            ));
        }
        let left = self.left.checked_sub(1).ok_or_else(|| {
            let expected =
                format!("at most {MOST_VALUES} values; many numbers belong into an array");
            Error::invalid("a payload", expected, "more")
        });
        self.left = left?;
        match value {
            Payload::Nothing => self.out.push(0),
            Payload::Bool(yes) => self.out.push(1 + u8::from(*yes)),
            Payload::Int(number) => self.tagged(3, &number.to_le_bytes()),
            Payload::Float(number) => self.tagged(4, &number.to_le_bytes()),
            Payload::Text(text) => self.sized(5, text.as_bytes()),
            Payload::Bytes(bytes) => self.sized(6, bytes),
            Payload::List(items) => self.items(7, items, depth)?,
            Payload::Tuple(items) => self.items(8, items, depth)?,
            Payload::Map(entries) => {
                self.count(9, entries.len())?;
                for (key, value) in entries {
                    if matches!(
                        key,
                        Payload::Array(_) | Payload::List(_) | Payload::Tuple(_) | Payload::Map(_)
                    ) {
                        let expected = "a text, bytes, a number, a boolean or nothing";
                        return Err(Error::invalid(
                            "a key of a payload",
                            expected,
                            "an array or a nest",
                        ));
                    }
                    self.value(key, depth + 1)?;
                    self.value(value, depth + 1)?;
                }
            }
            Payload::Array(array) => {
                let dtype = array.dtype().to_string();
                self.out.push(10);
                self.out.push(dtype.len() as u8);
                self.out.extend_from_slice(dtype.as_bytes());
                self.out.push(array.shape().len() as u8);
                for n in array.shape() {
                    self.out.extend_from_slice(&(*n as u64).to_le_bytes());
                }
                self.out.extend_from_slice(array.data());
            }
        }
        Ok(())
    }

    fn items(&mut self, tag: u8, items: &[Payload], depth: usize) -> Result<()> {
        self.count(tag, items.len())?;
        items.iter().try_for_each(|item| self.value(item, depth + 1))
    }

    fn count(&mut self, tag: u8, count: usize) -> Result<()> {
        let most = || {
            Error::invalid("a payload", "at most 4294967295 values in a list", count.to_string())
        };
        self.tagged(tag, &u32::try_from(count).map_err(|_| most())?.to_le_bytes());
        Ok(())
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) {
        self.tagged(tag, &(bytes.len() as u64).to_le_bytes());
        self.out.extend_from_slice(bytes);
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.out.push(tag);
        self.out.extend_from_slice(bytes);
    }

    fn finish(mut self) -> Vec<u8> {
        let checksum = xxh3_128(&self.out);
        self.out.extend_from_slice(&checksum.to_be_bytes());
        self.out
    }
}

struct Decoder {
    all: Bytes,
    at: usize,
    /// How many values may still come: each takes many times the byte that it may be in the file.
    left: usize,
}

impl Decoder {
    fn value(&mut self, depth: usize) -> Result<Payload> {
        if depth > MOST_DEPTH {
            return Err(damaged("its values lie too deep in one another"));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| damaged("it has too many values"))?;
        Ok(match self.byte()? {
            0 => Payload::Nothing,
            1 => Payload::Bool(false),
            2 => Payload::Bool(true),
            3 => Payload::Int(i64::from_le_bytes(self.fixed()?)),
            4 => Payload::Float(f64::from_le_bytes(self.fixed()?)),
            5 => {
                let bytes = self.sized()?;
                let text =
                    std::str::from_utf8(&bytes).map_err(|_| damaged("a text is not UTF-8"))?;
                Payload::Text(text.to_owned())
            }
            6 => Payload::Bytes(self.sized()?),
            7 => Payload::List(self.items(depth)?),
            8 => Payload::Tuple(self.items(depth)?),
            9 => {
                // No memory by the count, which nothing answers for: each entry takes two bytes at least.
                let mut entries = Vec::new();
                for _ in 0..u32::from_le_bytes(self.fixed()?) {
                    let key = self.value(depth + 1)?;
                    entries.push((key, self.value(depth + 1)?));
                }
                Payload::Map(entries)
            }
            10 => Payload::Array(self.array()?),
            _ => return Err(damaged("it has a value of an unknown kind")),
        })
    }

    fn items(&mut self, depth: usize) -> Result<Vec<Payload>> {
        let mut items = Vec::new();
        for _ in 0..u32::from_le_bytes(self.fixed()?) {
            items.push(self.value(depth + 1)?);
        }
        Ok(items)
    }

    fn array(&mut self) -> Result<Array> {
        let n = self.byte()? as usize;
        let dtype = self.take(n)?;
        let dtype = std::str::from_utf8(&dtype).map_err(|_| damaged("a dtype is not UTF-8"))?;
        let dtype = dtype.parse().map_err(|_| damaged("it has an array of an unknown dtype"))?;
        let mut shape = Vec::new();
        for _ in 0..self.byte()? {
            let n = usize::try_from(u64::from_le_bytes(self.fixed()?));
            shape.push(n.map_err(|_| damaged("a dimension is too large"))?);
        }
        let size = byte_size(dtype, &shape).ok_or_else(|| damaged("a shape is too large"))?;
        let data = self.take(size)?;
        Array::new(dtype, shape, data).map_err(|_| damaged("an array has more than 64 dimensions"))
    }

    fn sized(&mut self) -> Result<Bytes> {
        let n = usize::try_from(u64::from_le_bytes(self.fixed()?));
        self.take(n.map_err(|_| damaged("a length is too large"))?)
    }

    fn take(&mut self, n: usize) -> Result<Bytes> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.all.len());
        let end = end.ok_or_else(|| damaged("it ends too early"))?;
        let taken = self.all.slice(self.at..end);
        self.at = end;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let rest = self.all.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        let fixed = *rest.ok_or_else(|| damaged("it ends too early"))?;
        self.at += N;
        Ok(fixed)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.fixed::<1>()?[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::DType;

    fn nest() -> Payload {
        let array = |dtype: &str, shape: Vec<usize>, data: Vec<u8>| {
            Payload::Array(Array::new(dtype.parse().unwrap(), shape, data).unwrap())
        };
        Payload::Map(vec![
            (
                Payload::Text("a".into()),
                Payload::List(vec![Payload::Nothing, true.into(), false.into()]),
            ),
            (Payload::Int(-7), Payload::Tuple(vec![i64::MIN.into(), (-0.0).into()])),
            (Payload::Nothing, array(">i4", vec![1, 2], vec![0, 0, 0, 1, 0xff, 0, 0, 2])),
            (Payload::Bytes(b"\0\xff".as_slice().into()), array("<f8", vec![], vec![7; 8])),
            (Payload::Bool(true), array("<U2", vec![0, 3], vec![])),
            (Payload::Float(0.5), Payload::Map(vec![("é".into(), "🚰".into())])),
        ])
    }

    /// Goal: every kind of value comes back, floats bit for bit.
    #[test]
    fn a_nest_of_every_kind_comes_back() {
        let back = Payload::decode(nest().encode().unwrap()).unwrap();
        assert_eq!(back, nest());
        let strange = f64::from_bits(0x7ff8_0000_dead_beef);
        let Payload::Float(same) =
            Payload::decode(Payload::Float(strange).encode().unwrap()).unwrap()
        else {
            panic!("a float is a float")
        };
        assert_eq!(same.to_bits(), strange.to_bits());
    }

    /// Goal: no byte can change without being seen, wherever it is.
    #[test]
    fn every_flipped_byte_is_seen() {
        let bytes = nest().encode().unwrap();
        assert_eq!(state(&bytes), State::Sound);
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                assert!(Payload::decode(bytes.clone()).is_err(), "byte {at}");
                assert_eq!(state(&bytes), State::Damaged, "byte {at}");
            }
        }
        for n in 0..bytes.len() {
            assert!(Payload::decode(bytes[..n].to_vec()).is_err(), "{n} bytes");
        }
    }

    /// Goal: bytes that somebody made up, with a checksum that is right, neither panic nor take memory that is not there.
    #[test]
    fn claims_that_no_byte_answers_for_are_refused() {
        let sealed = |body: &[u8]| {
            let mut encoder = Encoder::new(0);
            encoder.out.extend_from_slice(body);
            encoder.finish()
        };
        let list = [&[7u8][..], &u32::MAX.to_le_bytes()].concat();
        let text = [&[5u8][..], &u64::MAX.to_le_bytes()].concat();
        let array =
            [&[10u8, 3][..], b"<f8", &[2], &u64::MAX.to_le_bytes(), &8u64.to_le_bytes()].concat();
        let object = [&[10u8, 3][..], b"|O8", &[0]].concat();
        let deep = [7u8, 1, 0, 0, 0].repeat(100_000);
        for body in [
            &list[..],
            &text,
            &array,
            &object,
            &deep,
            &[11],
            &[0, 0],
            &[5, 1, 0, 0, 0, 0, 0, 0, 0, 0xff],
        ] {
            let error = Payload::decode(sealed(body)).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        }
    }

    /// Goal: values of one byte each do not become more memory than the limit, and are not written beyond it either; an
    /// array counts as one value; what one row cannot hold is refused before it is packed.
    #[test]
    fn values_and_bytes_have_limits() {
        let mut encoder = Encoder::new(0);
        let many = MOST_VALUES as u32;
        encoder.out.extend_from_slice(&[&[7u8][..], &many.to_le_bytes()].concat());
        encoder.out.resize(encoder.out.len() + MOST_VALUES, 0);
        let error = Payload::decode(encoder.finish()).unwrap_err().to_string();
        assert!(error.contains("too many values"), "{error}");
        let many = Payload::List(vec![Payload::Nothing; MOST_VALUES]);
        let error = many.encode().unwrap_err().to_string();
        assert!(error.contains("at most 4194304 values"), "{error}");
        drop(many);
        let items = vec![0u8; MOST_VALUES + 1];
        assert!(Payload::Array(Array::from_slice(&items)).encode().is_ok());
        let zeros = Array::new(DType::U8, vec![1_000_000_000], vec![0; 1_000_000_000]).unwrap();
        let error = Payload::List(vec![Payload::Array(zeros)]).encode().unwrap_err().to_string();
        assert!(error.contains("a payload: expected at most 999934464 bytes"), "{error}");
    }

    /// Goal: a pickle is named as what it is, and never run.
    #[test]
    fn a_pickle_is_named() {
        let pickle = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.";
        assert_eq!(state(pickle), State::Pickle);
        assert!(Payload::decode(pickle.as_slice()).unwrap_err().to_string().contains("pickle"));
    }

    /// Goal: what cannot be stored is refused before anything is.
    #[test]
    fn keys_and_depth_have_limits() {
        let nested_key = Payload::Map(vec![(Payload::List(vec![]), Payload::Nothing)]);
        assert!(nested_key.encode().is_err());
        let mut deep = Payload::Nothing;
        for _ in 0..65 {
            deep = Payload::List(vec![deep]);
        }
        assert!(deep.encode().is_err());
    }
}
