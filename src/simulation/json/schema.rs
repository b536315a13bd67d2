//! What a simulation says of its attributes: the attribute schema and its JSON list.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The type of one value, by its Python name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PyType {
    /// `bool`: `|i1`, 0 or 1.
    Bool,
    /// `int`: `<i4`, or eight bytes where four do not suffice.
    Int,
    /// `float`: `<f8`.
    Float,
    /// `str`: `<U` of the longest text.
    Str,
}

/// What the schema says of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributeSpec {
    /// The name, as `drinking_water.pressure`.
    pub name: String,
    /// The type of each component.
    pub py_type: PyType,
    /// The shape of one value: empty for a plain number, `[2]` for a point.
    #[serde(default)]
    pub unit_shape: Vec<usize>,
    /// Whether an entity has a list of such values, of any length.
    #[serde(default)]
    pub csr: bool,
    /// The enumeration that the numbers stand for.
    #[serde(default)]
    pub enum_name: Option<String>,
}

impl AttributeSpec {
    /// One plain value an entity.
    pub fn new(name: impl Into<String>, py_type: PyType) -> Self {
        AttributeSpec {
            name: name.into(),
            py_type,
            unit_shape: vec![],
            csr: false,
            enum_name: None,
        }
    }
}

/// Attribute specifications by name, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    specs: Vec<AttributeSpec>,
    locations: HashMap<String, usize>,
}

impl Schema {
    /// The most bytes of a JSON list of specifications: 64 MiB.
    pub const MAX_BYTES: u64 = 64 << 20;

    /// Reads the JSON list of specifications.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a text of more than [`MAX_BYTES`](Self::MAX_BYTES).
    /// [`Error::Corrupt`] if the text is no JSON, [`Error::Invalid`] for another content, two
    /// specifications of one name or a unit shape with a zero.
    pub fn parse(text: &[u8]) -> Result<Self> {
        if text.len() as u64 > Self::MAX_BYTES {
            let expected = format!("at most {} bytes", Self::MAX_BYTES);
            return Err(Error::invalid("attribute schema", expected, text.len().to_string()));
        }
        let specs: Vec<AttributeSpec> = serde_json::from_slice(text).map_err(|e| {
            if e.is_data() {
                let expected = "a list of {name, py_type, unit_shape, csr, enum_name}";
                return Error::invalid("attribute schema", expected, e.to_string());
            }
            Error::Corrupt {
                location: "attribute schema".into(),
                what: "the JSON text".into(),
                why: e.to_string(),
            }
        })?;
        let mut schema = Schema::default();
        for spec in specs {
            schema.insert(spec)?;
        }
        Ok(schema)
    }

    /// The JSON list, indented by one space.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
        let mut writer = serde_json::Serializer::with_formatter(&mut text, format);
        self.specs.serialize(&mut writer).expect("plain fields always serialize into memory");
        text
    }

    /// Adds a specification.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name has another specification already, or the unit shape holds
    /// a zero.
    pub fn insert(&mut self, spec: AttributeSpec) -> Result<()> {
        let what = format!("schema of {:?}", spec.name);
        if spec.unit_shape.contains(&0) {
            let got = format!("{:?}", spec.unit_shape);
            return Err(Error::invalid(what, "a unit shape without zeros", got));
        }
        match self.get(&spec.name) {
            Some(known) if *known == spec => Ok(()),
            Some(known) => {
                let said = |spec| serde_json::to_string(spec).expect("plain fields serialize");
                let got = format!("{} and {}", said(known), said(&spec));
                Err(Error::invalid(what, "one specification a name", got))
            }
            None => {
                self.locations.insert(spec.name.clone(), self.specs.len());
                self.specs.push(spec);
                Ok(())
            }
        }
    }

    /// The specification of an attribute.
    pub fn get(&self, name: &str) -> Option<&AttributeSpec> {
        self.locations.get(name).map(|location| &self.specs[*location])
    }

    /// All specifications in the order given.
    pub fn specs(&self) -> &[AttributeSpec] {
        &self.specs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a schema file survives byte for byte, and is found by name.
    #[test]
    fn a_schema_survives() {
        let text = r#"[
 {
  "name": "c.line",
  "py_type": "float",
  "unit_shape": [
   2
  ],
  "csr": true,
  "enum_name": null
 },
 {
  "name": "i.state",
  "py_type": "int",
  "unit_shape": [],
  "csr": false,
  "enum_name": "state"
 }
]"#;
        let schema = Schema::parse(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(schema.to_json()).unwrap(), text);
        assert_eq!(schema.get("i.state").unwrap().enum_name.as_deref(), Some("state"));
        assert_eq!(schema.get("c.line").unwrap().unit_shape, [2]);
        assert!(schema.get("c").is_none());
    }

    /// Goal: a schema that contradicts itself is refused, the same entry twice is not.
    #[test]
    fn contradictions_are_refused() {
        let twice = |second: &str| {
            Schema::parse(format!(r#"[{{"name":"a","py_type":"int"}},{second}]"#).as_bytes())
        };
        assert!(twice(r#"{"name":"a","py_type":"int","csr":false}"#).is_ok());
        assert!(twice(r#"{"name":"a","py_type":"str"}"#).is_err());
        assert!(twice(r#"{"name":"b","py_type":"int","unit_shape":[2,0]}"#).is_err());
        assert!(twice(r#"{"name":"b","py_type":"complex"}"#).is_err());
        let Err(Error::Corrupt { why, .. }) = Schema::parse(b"[{") else { panic!("accepted") };
        assert!(why.contains("line 1 column 2"), "{why}");
    }
}
