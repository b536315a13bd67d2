//! The end: nodes that refer to one another become one payload.

use std::collections::HashSet;

use super::{Budget, Node, Result, Value, no};
use crate::array::Array;
use crate::memory::payload::Payload;

/// How deep values may lie in one another, as deep as a payload can be stored.
const MOST_DEPTH: usize = 64;

/// Makes a payload of nodes.
pub(super) struct Unfolding<'n> {
    nodes: &'n [Node<'n>],
    /// The containers that lie around the value.
    path: Vec<usize>,
    budget: Budget,
}

impl<'n> Unfolding<'n> {
    /// - `input`: how many bytes the pickle has.
    pub(super) fn new(nodes: &'n [Node<'n>], input: usize) -> Self {
        Unfolding { nodes, path: Vec::new(), budget: Budget::of(input) }
    }

    pub(super) fn value(&mut self, value: Value) -> Result<Payload> {
        if self.path.len() > MOST_DEPTH {
            return no("its values lie too deep in one another");
        }
        let at = match value {
            Value::Nothing => return Ok(Payload::Nothing),
            Value::Bool(yes) => return Ok(Payload::Bool(yes)),
            Value::Int(number) => return Ok(Payload::Int(number)),
            Value::Float(number) => return Ok(Payload::Float(number)),
            Value::Name(_) => return no("it holds a type or a function"),
            Value::Node(at) => at,
        };
        Ok(match &self.nodes[at] {
            Node::Text(text) => {
                self.budget.bytes(text.len())?;
                Payload::Text(text.as_ref().to_owned())
            }
            Node::Bytes(bytes) => {
                self.budget.bytes(bytes.len())?;
                Payload::Bytes(bytes.clone())
            }
            Node::Array(Some(array)) => {
                self.budget.bytes(array.data().len() + 8 * array.shape().len())?;
                Payload::Array(Array::clone(array))
            }
            Node::Array(None) => return no("it holds an array that is never filled"),
            Node::DType(_) => return no("it holds a dtype by itself"),
            Node::List(items) => Payload::List(self.items(at, items)?),
            Node::Tuple(items) => Payload::Tuple(self.items(at, items)?),
            Node::Map(entries) => {
                self.enter(at, 2 * entries.len())?;
                let mut map = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    map.push((self.value(*key)?, self.value(*value)?));
                }
                self.path.pop();
                check_keys(&map)?;
                Payload::Map(map)
            }
        })
    }

    fn items(&mut self, at: usize, items: &[Value]) -> Result<Vec<Payload>> {
        self.enter(at, items.len())?;
        let mut unfolded = Vec::with_capacity(items.len());
        for item in items {
            unfolded.push(self.value(*item)?);
        }
        self.path.pop();
        Ok(unfolded)
    }

    /// Goes into a container of `count` values, which are paid for before there is room for them.
    fn enter(&mut self, at: usize, count: usize) -> Result<()> {
        if self.path.contains(&at) {
            return no("it holds a container that lies in itself");
        }
        self.path.push(at);
        self.budget.values(count)
    }
}

/// What Python compares of a key. A number is the same as a truth value, an integer and a float.
#[derive(PartialEq, Eq, Hash)]
enum Key<'p> {
    Nothing,
    Whole(i64),
    Float(u64),
    Text(&'p str),
    Bytes(&'p [u8]),
}

/// Checks that a payload can have these keys, and that Python would hold no two for equal.
fn check_keys(map: &[(Payload, Payload)]) -> Result<()> {
    let mut keys = HashSet::with_capacity(map.len());
    for (key, _) in map {
        let key = match key {
            Payload::Nothing => Key::Nothing,
            Payload::Bool(yes) => Key::Whole(i64::from(*yes)),
            Payload::Int(number) => Key::Whole(*number),
            // Not even itself.
            Payload::Float(number) if number.is_nan() => continue,
            Payload::Float(number) if number.fract() == 0.0 && number.abs() < 2f64.powi(63) => {
                Key::Whole(*number as i64)
            }
            Payload::Float(number) => Key::Float(number.to_bits()),
            Payload::Text(text) => Key::Text(text),
            Payload::Bytes(bytes) => Key::Bytes(bytes),
            _ => return no("it holds a dict with a key that is a tuple or an array"),
        };
        if !keys.insert(key) {
            return no("it holds a dict that has a key twice");
        }
    }
    Ok(())
}
