//! What numpy calls: dtypes, arrays and scalars.

use bytes::Bytes;

use super::machine::Machine;
use super::{Name, Node, Result, UNSOUND, Value, no, shown};
use crate::array::{Array, DType, Kind, number};

impl Machine<'_> {
    /// A tuple of numbers that are not negative: a shape, or the order of its dimensions.
    fn numbers_of(&self, value: Value) -> Result<Vec<usize>> {
        let number = |item| match item {
            Value::Int(number) => usize::try_from(number).map_err(|_| UNSOUND.to_owned()),
            _ => no(UNSOUND),
        };
        self.tuple_of(value)?.into_iter().map(number).collect()
    }

    /// What one of the known names makes of its arguments.
    pub(super) fn call(&mut self, name: Name, arguments: &[Value]) -> Result<()> {
        let node = match (name, arguments) {
            (Name::Reconstruct, [Value::Name(Name::ArrayType), ..]) => Node::Array(None),
            // The state that follows must not reach a dtype that others share: it is a copy.
            (Name::DType, [text, _, Value::Bool(true) | Value::Int(1)]) => {
                Node::DType(dtype(self.text_of(*text)?)?)
            }
            (Name::FromBuffer, [data, dtype, shape, order, axes @ ..]) => {
                let (data, dtype) = (self.bytes_of(*data)?, self.dtype_of(*dtype)?);
                let shape = self.numbers_of(*shape)?;
                let array = match (self.text_of(*order)?, axes) {
                    ("C", [] | [Value::Nothing]) => array(dtype, shape, data)?,
                    ("F", [] | [Value::Nothing]) => from_fortran(dtype, shape, data)?,
                    ("K", [axes]) => {
                        transposed(&array(dtype, shape, data)?, &self.numbers_of(*axes)?)?
                    }
                    _ => return no(UNSOUND),
                };
                Node::Array(Some(array.into()))
            }
            (Name::Scalar, [dtype, data]) => {
                let data = self.bytes_of(*data)?;
                let array = array(self.dtype_of(*dtype)?, Vec::new(), data)?;
                match plain(&array) {
                    Some(value) => return self.push(value),
                    None => Node::Array(Some(array.into())),
                }
            }
            // The call and the state with which numpy rebuilds the array that it was, and what JAX knows besides.
            (Name::JaxArray, [Value::Name(Name::Reconstruct), _, state, ..]) => {
                Node::Array(Some(self.array_of(&self.tuple_of(*state)?)?.into()))
            }
            (Name::Bytes | Name::ByteArray, []) => Node::Bytes(Bytes::new()),
            (Name::Bytes | Name::ByteArray, [bytes]) => Node::Bytes(self.bytes_of(*bytes)?),
            (Name::Encode | Name::Bytes | Name::ByteArray, [text, encoding]) => {
                if !matches!(self.text_of(*encoding)?, "latin1" | "latin-1") {
                    return no("it holds bytes as a text in an encoding that is not Latin 1");
                }
                let byte = |c: char| u8::try_from(u32::from(c)).map_err(|_| UNSOUND.to_owned());
                Node::Bytes(self.text_of(*text)?.chars().map(byte).collect::<Result<_>>()?)
            }
            _ => return no("it calls numpy in a way that is not known here"),
        };
        self.charge(&node)?;
        self.add(node)
    }

    /// Fills a dtype or an array.
    pub(super) fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let Value::Node(at) = self.top()? else { return no(UNSOUND) };
        let state = self.tuple_of(state)?;
        let node = match (&self.nodes[at], &state[..]) {
            (Node::DType(dtype), state) => Node::DType(self.with_state(*dtype, state)?),
            (Node::Array(_), state) => Node::Array(Some(self.array_of(state)?.into())),
            _ => return no(UNSOUND),
        };
        self.charge(&node)?;
        self.nodes[at] = node;
        Ok(())
    }

    /// An array of a state of numpy's.
    fn array_of(&self, state: &[Value]) -> Result<Array> {
        let [Value::Int(1), shape, dtype, fortran, data] = state else { return no(UNSOUND) };
        let (shape, data) = (self.numbers_of(*shape)?, self.bytes_of(*data)?);
        let dtype = self.dtype_of(*dtype)?;
        match fortran {
            Value::Bool(false) | Value::Int(0) => array(dtype, shape, data),
            Value::Bool(true) | Value::Int(1) => from_fortran(dtype, shape, data),
            _ => no(UNSOUND),
        }
    }

    /// A dtype with the byte order and the unit of a state of numpy's, version 3 or 4.
    fn with_state(&self, dtype: DType, state: &[Value]) -> Result<DType> {
        let [Value::Int(3 | 4), order, inner, names, fields, Value::Int(size), _, _, rest @ ..] =
            state
        else {
            return no("it holds a dtype in a form that is not known here");
        };
        if [inner, names, fields].iter().any(|part| !matches!(part, Value::Nothing)) {
            return no("it holds an array of structured items");
        }
        let order = self.text_of(*order)?;
        if !matches!(order, "<" | ">" | "|") || (*size != -1 && *size != dtype.item_size() as i64) {
            return no(UNSOUND);
        }
        let unit = match (dtype.kind(), rest) {
            (Kind::DateTime | Kind::TimeDelta, [about]) => self.unit_of(*about)?,
            (_, [] | [_]) => String::new(),
            _ => return no(UNSOUND),
        };
        let plain = dtype.to_string();
        let text = format!("{order}{}{unit}", plain.trim_start_matches(['<', '>', '|']));
        text.parse().map_err(|_| UNSOUND.to_owned())
    }

    /// The unit of a time, as a dtype spells it: `[25us]`.
    fn unit_of(&self, about: Value) -> Result<String> {
        let [_, unit] = self.tuple_of(about)?[..] else { return no(UNSOUND) };
        let [name, Value::Int(count), Value::Int(1), _] = self.tuple_of(unit)?[..] else {
            return no("it holds times in a unit that is not known here");
        };
        let name = self.bytes_of(name)?;
        let name = std::str::from_utf8(&name).map_err(|_| UNSOUND)?;
        Ok(if name == "generic" { String::new() } else { format!("[{count}{name}]") })
    }

    /// Counts the bytes that a call may have copied.
    fn charge(&mut self, node: &Node<'_>) -> Result<()> {
        self.budget.bytes(match node {
            Node::Bytes(bytes) => bytes.len(),
            Node::Array(Some(array)) => array.data().len(),
            _ => 0,
        })
    }
}

/// A dtype from its letter and size, without byte order.
fn dtype(text: &str) -> Result<DType> {
    match text.trim_start_matches(['<', '>', '|', '=']).chars().next() {
        Some('O') => no("it holds an array of Python objects"),
        Some('V') => no("it holds an array of structured items"),
        _ => text.parse().map_err(|_| {
            format!("it holds items of the dtype {}, which is not known here", shown(text))
        }),
    }
}

fn array(dtype: DType, shape: Vec<usize>, data: Bytes) -> Result<Array> {
    Array::new(dtype, shape, data)
        .map_err(|_| "it holds an array whose bytes do not fit its shape".to_owned())
}

/// An array whose bytes lie with the first dimension running fastest.
fn from_fortran(dtype: DType, mut shape: Vec<usize>, data: Bytes) -> Result<Array> {
    shape.reverse();
    let axes = (0..shape.len()).rev().collect::<Vec<_>>();
    transposed(&array(dtype, shape, data)?, &axes)
}

/// The array whose dimension `i` is the dimension `axes[i]` of this one.
fn transposed(array: &Array, axes: &[usize]) -> Result<Array> {
    let (from, size) = (array.shape(), array.dtype().item_size());
    if axes.len() != from.len() || (0..from.len()).any(|axis| !axes.contains(&axis)) {
        return no(UNSOUND);
    }
    // How many bytes lie between one item and the next, along each new dimension.
    let step = |axis: &usize| from[axis + 1..].iter().product::<usize>() * size;
    let steps = axes.iter().map(step).collect::<Vec<_>>();
    let shape = axes.iter().map(|axis| from[*axis]).collect::<Vec<_>>();
    let mut data = Vec::with_capacity(array.data().len());
    let (mut index, mut at) = (vec![0; shape.len()], 0);
    while data.len() < array.data().len() {
        data.extend_from_slice(&array.data()[at..at + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += steps[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= steps[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    self::array(array.dtype(), shape, data.into())
}

/// A scalar as a value without dtype; nothing if it has no equal among these.
fn plain(scalar: &Array) -> Option<Value> {
    let scalar = scalar.to_little_endian();
    match scalar.dtype().kind() {
        Kind::Bool => Some(Value::Bool(scalar.data() != [0])),
        Kind::Int | Kind::UInt => scalar.to_i64s()?.first().copied().map(Value::Int),
        Kind::Float => Some(Value::Float(number(scalar.dtype(), scalar.data()))),
        _ => None,
    }
}
