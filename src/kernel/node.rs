//! Values of users' own types, as `serde` describes them.

use std::fmt::{self, Write};

use serde::ser::{self, Serialize};

use crate::error::{Error, Result};

/// A value as `serde` describes it: a struct is a map of its fields, an enum its variant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Nothing,
    Bool(bool),
    Int(i64),
    /// One that is not of 64 bits with sign.
    Large(i128),
    Single(f32),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The value; `what` names it in errors, with the field.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what the type's own code refuses, and an integer of 128 bits without sign.
    pub(crate) fn of(what: &str, value: &(impl Serialize + ?Sized)) -> Result<Node> {
        value.serialize(Builder).map_err(|Refused { path, why }| {
            let what =
                if path.is_empty() { what.to_owned() } else { format!("{what}, field {path}") };
            Error::invalid(what, "a value that serde takes apart", why)
        })
    }

    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Node::Nothing => "nothing",
            Node::Bool(_) => "a bool",
            Node::Int(_) => "an integer",
            Node::Large(_) => "an integer beyond 64 bits with sign",
            Node::Single(_) | Node::Float(_) => "a float",
            Node::Text(_) => "a text",
            Node::Bytes(_) => "bytes",
            Node::List(_) => "a list",
            Node::Map(_) => "a struct or a map",
        }
    }

    /// JSON text; a float that JSON does not have is written as Python does.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn write_json(&self, out: &mut String) {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Node::Nothing => out.push_str("null"),
            Node::Bool(yes) => drop(write!(out, "{yes}")),
            Node::Int(n) => drop(write!(out, "{n}")),
            Node::Large(n) => drop(write!(out, "{n}")),
            Node::Single(x) if x.is_finite() => drop(write!(out, "{x:?}")),
            Node::Single(x) => Node::Float((*x).into()).write_json(out),
            Node::Float(x) if x.is_nan() => out.push_str("NaN"),
            Node::Float(x) if x.is_infinite() => {
                out.push_str(if *x > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Node::Float(x) => drop(write!(out, "{x:?}")),
            Node::Text(of) => out.push_str(&text(of)),
            Node::Bytes(bytes) => {
                let items = bytes.iter().map(|byte| Node::Int((*byte).into()));
                Node::List(items.collect()).write_json(out);
            }
            Node::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "[" } else { "," });
                    item.write_json(out);
                }
                out.push_str(if items.is_empty() { "[]" } else { "]" });
            }
            Node::Map(entries) => {
                for (i, (key, value)) in entries.iter().enumerate() {
                    out.push_str(if i == 0 { "{" } else { "," });
                    let key = match key {
                        Node::Text(key) => key.clone(),
                        other => other.to_json(),
                    };
                    out.push_str(&text(&key));
                    out.push(':');
                    value.write_json(out);
                }
                out.push_str(if entries.is_empty() { "{}" } else { "}" });
            }
        }
    }
}

/// A value that is not taken: where it is, and why.
#[derive(Debug)]
struct Refused {
    path: String,
    why: String,
}

impl Refused {
    fn within(mut self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{name}{dot}{}", self.path);
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Refused { path: String::new(), why: message.to_string() }
    }
}

struct Builder;

/// The items of a list, of a variant if it is one.
struct Items(Option<&'static str>, Vec<Node>);

/// The entries of a map, of a variant if it is one, and a key that has no value yet.
struct Entries(Option<&'static str>, Vec<(Node, Node)>, Node);

fn of_variant(variant: Option<&'static str>, node: Node) -> Node {
    match variant {
        Some(name) => Node::Map(vec![(Node::Text(name.into()), node)]),
        None => node,
    }
}

impl ser::Serializer for Builder {
    type Ok = Node;
    type Error = Refused;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    fn serialize_bool(self, yes: bool) -> Result<Node, Refused> {
        Ok(Node::Bool(yes))
    }
    fn serialize_i8(self, n: i8) -> Result<Node, Refused> {
        Ok(Node::Int(n.into()))
    }
    fn serialize_i16(self, n: i16) -> Result<Node, Refused> {
        Ok(Node::Int(n.into()))
    }
    fn serialize_i32(self, n: i32) -> Result<Node, Refused> {
        Ok(Node::Int(n.into()))
    }
    fn serialize_i64(self, n: i64) -> Result<Node, Refused> {
        Ok(Node::Int(n))
    }
    fn serialize_u8(self, n: u8) -> Result<Node, Refused> {
        Ok(Node::Int(n.into()))
    }
    fn serialize_u16(self, n: u16) -> Result<Node, Refused> {
        Ok(Node::Int(n.into()))
    }
    fn serialize_u32(self, n: u32) -> Result<Node, Refused> {
        Ok(Node::Int(n.into()))
    }
    fn serialize_u64(self, n: u64) -> Result<Node, Refused> {
        self.serialize_i128(n.into())
    }
    fn serialize_i128(self, n: i128) -> Result<Node, Refused> {
        Ok(i64::try_from(n).map_or(Node::Large(n), Node::Int))
    }
    fn serialize_f32(self, x: f32) -> Result<Node, Refused> {
        Ok(Node::Single(x))
    }
    fn serialize_f64(self, x: f64) -> Result<Node, Refused> {
        Ok(Node::Float(x))
    }
    fn serialize_char(self, c: char) -> Result<Node, Refused> {
        Ok(Node::Text(c.into()))
    }
    fn serialize_str(self, text: &str) -> Result<Node, Refused> {
        Ok(Node::Text(text.into()))
    }
    fn serialize_bytes(self, bytes: &[u8]) -> Result<Node, Refused> {
        Ok(Node::Bytes(bytes.into()))
    }
    fn serialize_none(self) -> Result<Node, Refused> {
        Ok(Node::Nothing)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Node, Refused> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Node, Refused> {
        Ok(Node::Nothing)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Node, Refused> {
        Ok(Node::Nothing)
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Node, Refused> {
        Ok(Node::Text(variant.into()))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Node, Refused> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Node, Refused> {
        let value = value.serialize(Builder).map_err(|refused| refused.within(variant))?;
        Ok(of_variant(Some(variant), value))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items, Refused> {
        Ok(Items(None, Vec::new()))
    }
    fn serialize_tuple(self, _: usize) -> Result<Items, Refused> {
        Ok(Items(None, Vec::new()))
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items, Refused> {
        Ok(Items(None, Vec::new()))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items, Refused> {
        Ok(Items(Some(variant), Vec::new()))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Entries, Refused> {
        Ok(Entries(None, Vec::new(), Node::Nothing))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries, Refused> {
        Ok(Entries(None, Vec::new(), Node::Nothing))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Entries, Refused> {
        Ok(Entries(Some(variant), Vec::new(), Node::Nothing))
    }
}

impl Items {
    fn add(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        let at = self.1.len();
        let node =
            value.serialize(Builder).map_err(|refused| refused.within(&format!("[{at}]")))?;
        self.1.push(node);
        Ok(())
    }
}

impl Entries {
    fn add(&mut self, key: Node, value: &(impl Serialize + ?Sized)) -> Result<(), Refused> {
        let node = value.serialize(Builder).map_err(|refused| {
            refused.within(&match &key {
                Node::Text(name) => name.clone(),
                other => other.to_json(),
            })
        })?;
        self.1.push((key, node));
        Ok(())
    }
}

macro_rules! items {
    ($($of:ident $add:ident;)*) => {$(
        impl ser::$of for Items {
            type Ok = Node;
            type Error = Refused;
            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
                self.add(value)
            }
            fn end(self) -> Result<Node, Refused> {
                Ok(of_variant(self.0, Node::List(self.1)))
            }
        }
    )*};
}

items! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($of:ident;)*) => {$(
        impl ser::$of for Entries {
            type Ok = Node;
            type Error = Refused;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Refused> {
                self.add(Node::Text(name.into()), value)
            }
            fn end(self) -> Result<Node, Refused> {
                Ok(of_variant(self.0, Node::Map(self.1)))
            }
        }
    )*};
}

fields! { SerializeStruct; SerializeStructVariant; }

impl ser::SerializeMap for Entries {
    type Ok = Node;
    type Error = Refused;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Refused> {
        self.2 = key.serialize(Builder)?;
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let key = std::mem::replace(&mut self.2, Node::Nothing);
        self.add(key, value)
    }
    fn end(self) -> Result<Node, Refused> {
        Ok(Node::Map(self.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    enum Form {
        Plain,
        At(f64, f64),
        Named { age: u8 },
    }

    #[derive(serde::Serialize)]
    struct All<'a> {
        id: u64,
        rate: f32,
        score: f64,
        note: Option<&'a str>,
        forms: Vec<Form>,
    }

    fn all(id: u64) -> All<'static> {
        let forms = vec![Form::Plain, Form::At(0.5, f64::INFINITY), Form::Named { age: 3 }];
        All { id, rate: 0.1, score: f64::NAN, note: None, forms }
    }

    /// Goal: every kind of value of a struct has a JSON text, floats that JSON lacks as Python writes them, an `f32` in its
    /// own digits; a field that does not fit is named with its path.
    #[test]
    fn a_struct_is_a_map_of_its_fields_and_an_error_names_one() {
        let json = Node::of("params", &all(7)).unwrap().to_json();
        let forms = r#"["Plain",{"At":[0.5,Infinity]},{"Named":{"age":3}}]"#;
        let wanted = format!(r#"{{"id":7,"rate":0.1,"score":NaN,"note":null,"forms":{forms}}}"#);
        assert_eq!(json, wanted);
        let lists = serde_json::json!({}); // an empty map and list
        assert_eq!(Node::of("x", &(lists, Vec::<u8>::new())).unwrap().to_json(), "[{},[]]");
        assert_eq!(Node::of("x", &u64::MAX).unwrap().to_json(), "18446744073709551615");
        #[derive(serde::Serialize)]
        struct Id {
            id: u128,
        }
        let by_number = std::collections::BTreeMap::from([(1, vec![Id { id: 1 << 127 }])]);
        let error = Node::of("params", &by_number).unwrap_err().to_string();
        assert!(error.starts_with("params, field 1[0].id: expected "), "{error}");
    }
}
