//! Pickles, as Python programs write them: read into payloads, and never run.
//!
//! A pickle is a program for a small machine with a stack and a memo. This machine knows the
//! operations that build plain containers, and nine names: those with which numpy rebuilds an
//! array, a dtype or a scalar, that with which JAX makes its array of one of numpy's, and those with
//! which older protocols spell bytes. Any other name is refused, so nothing of the pickle can act. Protocols 0 to 5 are read.
//!
//! | Python | payload |
//! |---|---|
//! | `None`, `bool`, `int` of 64 bits, `float`, `str` | the same |
//! | `bytes`, `bytearray` | bytes |
//! | `list`, `tuple`, `dict` | list, tuple, map |
//! | `numpy.ndarray` of fixed width, `jax.Array` | array in C order, in the byte order it came with |
//! | numpy scalar | truth value, integer or float; of another dtype an array of no dimensions |
//!
//! A container is named in the memo before it is filled. Values therefore first lie side by side as
//! nodes that refer to one another by number, and are unfolded into a payload at the end. What the
//! memo shares is copied there, and each copy counts against a [`Budget`].

mod machine;
mod numpy;
#[cfg(test)]
mod tests;
mod unfold;

use std::borrow::Cow;

use bytes::Bytes;

use super::payload::{MOST_VALUES, Payload};
use crate::array::{Array, DType};
use machine::Machine;
use unfold::Unfolding;

const ENDS_EARLY: &str = "it ends too early";
const UNSOUND: &str = "its operations do not fit together";

type Result<T> = std::result::Result<T, String>;

/// The value that a pickle stands for.
///
/// # Errors
/// A clause that says what it holds, names or claims that is not read here, or how it is damaged.
pub(super) fn read(bytes: &[u8]) -> Result<Payload> {
    let mut machine = Machine::new(bytes);
    let whole = machine.run()?;
    Unfolding::new(&machine.nodes, bytes.len()).value(whole)
}

/// What may still be made of a pickle: a short one must not grow into much.
///
/// Values: a million and 64 for each byte of the pickle, and never more than [`MOST_VALUES`]. Bytes
/// of texts and arrays: a million and 4 for each byte of the pickle.
struct Budget {
    values: usize,
    bytes: usize,
}

impl Budget {
    fn of(input: usize) -> Self {
        Budget {
            values: input.saturating_mul(64).saturating_add(1 << 20).min(MOST_VALUES),
            bytes: input.saturating_mul(4).saturating_add(1 << 20),
        }
    }

    fn values(&mut self, count: usize) -> Result<()> {
        self.values = self.values.checked_sub(count).ok_or("it unfolds into too many values")?;
        Ok(())
    }

    fn bytes(&mut self, count: usize) -> Result<()> {
        self.bytes = self.bytes.checked_sub(count).ok_or("it unfolds into too many bytes")?;
        Ok(())
    }
}

/// The names that mean something here.
#[derive(Clone, Copy)]
enum Name {
    ArrayType,
    DType,
    Reconstruct,
    FromBuffer,
    Scalar,
    JaxArray,
    Encode,
    Bytes,
    ByteArray,
}

/// What lies on the stack, in the memo and in containers.
#[derive(Clone, Copy)]
enum Value {
    Nothing,
    Bool(bool),
    Int(i64),
    Float(f64),
    Name(Name),
    /// The number of a node.
    Node(usize),
}

/// A value that others can refer to.
enum Node<'a> {
    Text(Cow<'a, str>),
    Bytes(Bytes),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Map(Vec<(Value, Value)>),
    DType(DType),
    /// Nothing as long as only its type is known.
    Array(Option<Box<Array>>),
}

fn no<T>(why: &str) -> Result<T> {
    Err(why.to_owned())
}

/// A name of a pickle in full, short and without what a terminal would obey.
fn shown(name: &str) -> String {
    name.escape_debug().take(120).collect()
}
