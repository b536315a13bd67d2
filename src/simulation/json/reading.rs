//! The JSON reader and its errors.

use std::cell::{Cell, RefCell};

use serde::de::DeserializeSeed;

use super::column::Refusal;
use super::schema::Schema;
use crate::error::{Error, Result};

/// One text while it is read: where the reader stands, and why it stopped.
pub(super) struct Reading<'a> {
    pub(super) text: &'a [u8],
    file: &'a str,
    pub(super) schema: &'a Schema,
    /// Dataset, group and attribute, as far as known.
    location: RefCell<[String; 3]>,
    refusal: RefCell<Option<Refusal>>,
    /// How many values the attribute before had.
    pub(super) rows: Cell<Option<usize>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(text: &'a [u8], file: &'a str, schema: &'a Schema) -> Self {
        Reading {
            text,
            file,
            schema,
            location: RefCell::default(),
            refusal: RefCell::default(),
            rows: Cell::default(),
        }
    }

    /// Reads the whole text.
    pub(super) fn read<'de, S: DeserializeSeed<'de>>(&self, seed: S) -> Result<S::Value>
    where
        'a: 'de,
    {
        let mut reader = serde_json::Deserializer::from_slice(self.text);
        let value = seed.deserialize(&mut reader).map_err(|e| self.error(&e))?;
        reader.end().map_err(|e| self.error(&e))?;
        Ok(value)
    }

    pub(super) fn enter(&self, depth: usize, name: &str) {
        let mut location = self.location.borrow_mut();
        location[depth].clear();
        location[depth].push_str(name);
        location[depth + 1..].iter_mut().for_each(String::clear);
    }

    pub(super) fn location(&self) -> String {
        let location = self.location.borrow();
        let known: Vec<&str> =
            location.iter().map(String::as_str).take_while(|name| !name.is_empty()).collect();
        if known.is_empty() { self.file.to_owned() } else { known.join("/") }
    }

    /// Stops the reader; [`Reading::error`] will say why.
    pub(super) fn refuse<E: serde::de::Error>(&self, refusal: Refusal) -> E {
        *self.refusal.borrow_mut() = Some(refusal);
        E::custom("refused")
    }

    pub(super) fn twice<E: serde::de::Error>(&self, name: &str) -> E {
        self.refuse(Refusal { expected: "each name once".into(), got: format!("{name:?} twice") })
    }

    fn error(&self, e: &serde_json::Error) -> Error {
        let message = e.to_string();
        let at = format!(" at line {} column {}", e.line(), e.column());
        let message = message.strip_suffix(&at).unwrap_or(&message);
        if let Some(Refusal { expected, got }) = self.refusal.take() {
            return Error::invalid(self.location(), expected, got + &at);
        }
        if !e.is_data() {
            let why = format!("{message}{at}");
            return Error::Corrupt {
                location: self.file.to_owned(),
                what: "the JSON text".into(),
                why,
            };
        }
        // serde's own words: `invalid type: integer `5`, expected a list`.
        let (got, expected) =
            message.rsplit_once(", expected ").unwrap_or((message, "another content"));
        Error::invalid(self.location(), expected, format!("{got}{at}"))
    }
}
