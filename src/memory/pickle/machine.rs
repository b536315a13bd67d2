//! The machine: its stack, its memo and its operations.

use bytes::Bytes;

use super::{Budget, ENDS_EARLY, Name, Node, Result, UNSOUND, Value, no, shown};
use crate::array::{Array, DType, Kind, integer};

/// The most items of a tuple that numpy is called with.
const MOST_ARGUMENTS: usize = Array::MAX_DIMENSIONS;

/// The state between two operations.
pub(super) struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    /// The input again, for arrays to share.
    shared: Bytes,
    stack: Vec<Value>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: Vec<Value>,
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) budget: Budget,
}

impl<'a> Machine<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Machine {
            input,
            at: 0,
            shared: Bytes::copy_from_slice(input),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            nodes: Vec::new(),
            budget: Budget::of(input.len()),
        }
    }

    /// Carries out all operations and returns what the last one leaves.
    pub(super) fn run(&mut self) -> Result<Value> {
        loop {
            let operation = self.take(1)?[0];
            if operation == b'.' {
                let whole = self.pop()?;
                let over = self.at < self.input.len();
                return if over { no("bytes are left over behind it") } else { Ok(whole) };
            }
            self.step(operation)?;
        }
    }

    /// One operation, by the byte that stands for it.
    fn step(&mut self, operation: u8) -> Result<()> {
        match operation {
            0x80 if self.number::<1>()? > 5 => no("its protocol is newer than 5"),
            0x80 => Ok(()),
            0x95 => {
                let frame = self.number::<8>()?;
                let left = (self.input.len() - self.at) as u64;
                if frame > left { no(ENDS_EARLY) } else { Ok(()) }
            }
            b'(' => {
                self.marks.push(self.stack.len());
                self.budget.values(1)
            }
            b'0' if self.marks.last() == Some(&self.stack.len()) => self.marked().map(drop),
            b'0' => self.pop().map(drop),
            b'1' => self.marked().map(drop),
            b'2' => self.top().and_then(|top| self.push(top)),

            b'N' => self.push(Value::Nothing),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'I' => {
                let value = match self.line()? {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    digits => Value::Int(decimal(digits)?),
                };
                self.push(value)
            }
            b'L' => {
                let line = self.line()?;
                self.push(Value::Int(decimal(line.strip_suffix('L').unwrap_or(line))?))
            }
            b'J' => {
                let number = self.number::<4>()? as u32;
                self.push(Value::Int(i64::from(number as i32)))
            }
            b'K' => self.number::<1>().and_then(|n| self.push(Value::Int(n as i64))),
            b'M' => self.number::<2>().and_then(|n| self.push(Value::Int(n as i64))),
            0x8a => self.number::<1>().and_then(|n| self.long(n)),
            0x8b => self.number::<4>().and_then(|n| self.long(n)),
            b'F' => {
                let number = self.line()?.parse().map_err(|_| "it holds an invalid float")?;
                self.push(Value::Float(number))
            }
            b'G' => {
                let number = self.number::<8>()?;
                self.push(Value::Float(f64::from_bits(number.swap_bytes())))
            }

            b'V' => {
                let line = self.raw_line()?;
                self.add(Node::Text(unescaped(line)?.into()))
            }
            0x8c => self.number::<1>().and_then(|n| self.text(n)),
            b'X' => self.number::<4>().and_then(|n| self.text(n)),
            0x8d => self.number::<8>().and_then(|n| self.text(n)),
            b'C' => self.number::<1>().and_then(|n| self.bytes(n)),
            b'B' => self.number::<4>().and_then(|n| self.bytes(n)),
            0x8e | 0x96 => self.number::<8>().and_then(|n| self.bytes(n)),

            b']' => self.add(Node::List(Vec::new())),
            b'l' => self.marked().and_then(|items| self.add(Node::List(items))),
            b'a' => self.pop().and_then(|item| self.append(&[item])),
            b'e' => self.marked().and_then(|items| self.append(&items)),
            b')' => self.add(Node::Tuple(Vec::new())),
            b't' => self.marked().and_then(|items| self.add(Node::Tuple(items))),
            0x85..=0x87 => {
                let mut items = vec![Value::Nothing; usize::from(operation - 0x84)];
                for item in items.iter_mut().rev() {
                    *item = self.pop()?;
                }
                self.add(Node::Tuple(items))
            }
            b'}' => self.add(Node::Map(Vec::new())),
            b'd' => {
                let items = self.marked()?;
                self.add(Node::Map(Vec::new()))?;
                self.set_items(&items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])
            }
            b'u' => self.marked().and_then(|items| self.set_items(&items)),
            0x8f | 0x90 => no("it holds a set"),
            0x91 => no("it holds a frozenset"),

            b'p' => self.line().and_then(|line| self.remember(slot(line)?)),
            b'q' => self.number::<1>().and_then(|n| self.remember(n)),
            b'r' => self.number::<4>().and_then(|n| self.remember(n)),
            0x94 => self.remember(self.memo.len() as u64),
            b'g' => self.line().and_then(|line| self.recall(slot(line)?)),
            b'h' => self.number::<1>().and_then(|n| self.recall(n)),
            b'j' => self.number::<4>().and_then(|n| self.recall(n)),

            b'c' | b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let name = known(module, name)?;
                if operation == b'i' { no(UNSOUND) } else { self.push(Value::Name(name)) }
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let name = known(self.text_of(module)?, self.text_of(name)?)?;
                self.push(Value::Name(name))
            }
            b'R' => {
                let arguments = self.pop().and_then(|arguments| self.tuple_of(arguments))?;
                let Value::Name(name) = self.pop()? else { return no(UNSOUND) };
                self.call(name, &arguments)
            }
            b'b' => self.build(),

            0x81 | 0x92 | b'o' => no("it makes an object in a way that is not known here"),
            b'S' | b'T' | b'U' => no("it holds a string of Python 2"),
            0x82..=0x84 => no("it names something by a number of Python's copyreg"),
            0x97 | 0x98 => no("it refers to a buffer outside of it"),
            b'P' | b'Q' => no("it refers to an object outside of it"),
            _ => Err(format!("it has an operation 0x{operation:02x}, which is not run here")),
        }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8]> {
        let rest = &self.input[self.at..];
        let count = usize::try_from(count).ok().filter(|count| *count <= rest.len());
        let count = count.ok_or(ENDS_EARLY)?;
        self.at += count;
        Ok(&rest[..count])
    }

    /// A number of `N` bytes, low byte first.
    fn number<const N: u64>(&mut self) -> Result<u64> {
        Ok(self.take(N)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn raw_line(&mut self) -> Result<&'a [u8]> {
        let end = self.input[self.at..].iter().position(|byte| *byte == b'\n').ok_or(ENDS_EARLY)?;
        let line = self.take(end as u64)?;
        self.at += 1;
        Ok(line)
    }

    fn line(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.raw_line()?).map_err(|_| UNSOUND.to_owned())
    }

    /// An integer of any length, in two's complement, low byte first.
    fn long(&mut self, count: u64) -> Result<()> {
        let bytes = self.take(count)?;
        let (low, high) = bytes.split_at(bytes.len().min(8));
        let fill = if low.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        if high.iter().any(|byte| *byte != fill) {
            return no("it holds an integer of more than 64 bits");
        }
        self.push(Value::Int(integer(Kind::Int, low)))
    }

    fn text(&mut self, count: u64) -> Result<()> {
        let text = std::str::from_utf8(self.take(count)?);
        self.add(Node::Text(text.map_err(|_| "it holds a text that is not Unicode")?.into()))
    }

    fn bytes(&mut self, count: u64) -> Result<()> {
        let start = self.at;
        self.take(count)?;
        self.add(Node::Bytes(self.shared.slice(start..self.at)))
    }

    pub(super) fn push(&mut self, value: Value) -> Result<()> {
        self.budget.values(1)?;
        self.stack.push(value);
        Ok(())
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> Result<()> {
        self.push(Value::Node(self.nodes.len()))?;
        self.nodes.push(node);
        Ok(())
    }

    /// The topmost value above the last mark.
    pub(super) fn top(&self) -> Result<Value> {
        let floor = self.marks.last().copied().unwrap_or(0);
        Ok(self.stack[floor..].last().copied().ok_or(UNSOUND)?)
    }

    pub(super) fn pop(&mut self) -> Result<Value> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// Takes all values above the last mark, and the mark.
    fn marked(&mut self) -> Result<Vec<Value>> {
        let floor = self.marks.pop().ok_or(UNSOUND)?;
        Ok(self.stack.drain(floor..).collect())
    }

    fn append(&mut self, items: &[Value]) -> Result<()> {
        let Some(Node::List(list)) = self.top_node()? else { return no(UNSOUND) };
        list.extend_from_slice(items);
        Ok(())
    }

    fn set_items(&mut self, items: &[Value]) -> Result<()> {
        let Some(Node::Map(entries)) = self.top_node()? else { return no(UNSOUND) };
        let (pairs, odd) = items.as_chunks::<2>();
        entries.extend(pairs.iter().map(|[key, value]| (*key, *value)));
        if odd.is_empty() { Ok(()) } else { no(UNSOUND) }
    }

    fn top_node(&mut self) -> Result<Option<&mut Node<'a>>> {
        Ok(match self.top()? {
            Value::Node(at) => Some(&mut self.nodes[at]),
            _ => None,
        })
    }

    /// Puts the topmost value into the memo. Python fills its slots one after another.
    fn remember(&mut self, slot: u64) -> Result<()> {
        let top = self.top()?;
        match usize::try_from(slot).ok().filter(|slot| *slot <= self.memo.len()) {
            Some(slot) if slot == self.memo.len() => {
                self.budget.values(1)?;
                self.memo.push(top);
            }
            Some(slot) => self.memo[slot] = top,
            None => return no("its memo has gaps"),
        }
        Ok(())
    }

    fn recall(&mut self, slot: u64) -> Result<()> {
        let value = usize::try_from(slot).ok().and_then(|slot| self.memo.get(slot));
        self.push(*value.ok_or(UNSOUND)?)
    }

    fn node(&self, value: Value) -> Option<&Node<'a>> {
        match value {
            Value::Node(at) => Some(&self.nodes[at]),
            _ => None,
        }
    }

    pub(super) fn text_of(&self, value: Value) -> Result<&str> {
        let Some(Node::Text(text)) = self.node(value) else { return no(UNSOUND) };
        Ok(text)
    }

    pub(super) fn bytes_of(&self, value: Value) -> Result<Bytes> {
        let Some(Node::Bytes(bytes)) = self.node(value) else { return no(UNSOUND) };
        Ok(bytes.clone())
    }

    pub(super) fn dtype_of(&self, value: Value) -> Result<DType> {
        let Some(Node::DType(dtype)) = self.node(value) else { return no(UNSOUND) };
        Ok(*dtype)
    }

    /// The items of a tuple, which must be few.
    pub(super) fn tuple_of(&self, value: Value) -> Result<Vec<Value>> {
        let Some(Node::Tuple(items)) = self.node(value) else { return no(UNSOUND) };
        if items.len() > MOST_ARGUMENTS { no(UNSOUND) } else { Ok(items.clone()) }
    }
}

fn known(module: &str, name: &str) -> Result<Name> {
    Ok(match (module, name) {
        ("numpy", "ndarray") => Name::ArrayType,
        ("numpy", "dtype") => Name::DType,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Name::Reconstruct,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Name::Scalar,
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Name::FromBuffer,
        ("jax._src.array", "_reconstruct_array")
        | ("jax._src.device_array", "reconstruct_device_array") => Name::JaxArray,
        ("_codecs", "encode") => Name::Encode,
        ("builtins" | "__builtin__", "bytes") => Name::Bytes,
        ("builtins" | "__builtin__", "bytearray") => Name::ByteArray,
        ("builtins" | "__builtin__", "set" | "frozenset") => {
            return Err(format!("it holds a {name}"));
        }
        _ => {
            let full = shown(&format!("{module}.{name}"));
            let masked = module == "numpy.ma" || module.starts_with("numpy.ma.");
            return Err(match masked {
                true => format!("it holds a masked array of numpy ({full})"),
                false => format!("it names {full}, which is not run here"),
            });
        }
    })
}

/// A slot of the memo in protocol 0.
fn slot(digits: &str) -> Result<u64> {
    digits.parse().map_err(|_| UNSOUND.to_owned())
}

/// An integer of protocol 0.
fn decimal(digits: &str) -> Result<i64> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    digits.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow | NegOverflow => "it holds an integer of more than 64 bits".to_owned(),
        _ => UNSOUND.to_owned(),
    })
}

/// A text of protocol 0: Latin 1, with `\u` and four digits or `\U` and eight for other characters.
fn unescaped(line: &[u8]) -> Result<String> {
    let mut text = String::new();
    let mut rest = line;
    while let [first, after @ ..] = rest {
        rest = after;
        let count = match (first, rest.first()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            (b'\\', Some(other)) => {
                text.extend(['\\', char::from(*other)]);
                rest = &rest[1..];
                continue;
            }
            _ => {
                text.push(char::from(*first));
                continue;
            }
        };
        let digits = rest.get(1..=count).filter(|all| all.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()).ok_or(UNSOUND)?;
        let code = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
        text.push(code.ok_or("it holds a text that is not Unicode")?);
        rest = &rest[1 + count..];
    }
    Ok(text)
}
