//! Initial dataset files: name, metadata and the state before the first update.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::parse::Groups;
use super::python::{odd_number, python_numbers, stored};
use super::reading::Reading;
use super::schema::Schema;
use crate::error::{Error, Result};
use crate::simulation::update::EntityData;

/// An initial dataset whose data are entities.
#[derive(Debug, Clone, PartialEq)]
pub struct InitialDataset {
    /// The dataset's name.
    pub name: String,
    /// Everything but the data: `name`, `type`, `general` and what else there was. A number that JSON does not have is an
    /// object, as of [`parse_any`](super::parse_any).
    pub metadata: Map<String, Value>,
    /// The initial state.
    pub data: EntityData,
}

/// What an initial dataset file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Initial {
    /// Entities and their attributes.
    Entities(InitialDataset),
    /// A file of another kind, such as a table of time series: kept as it is.
    Unstructured {
        /// The name in the file, or else the file's own.
        name: String,
        /// The whole file.
        content: Map<String, Value>,
    },
}

/// Reads an initial dataset file.
///
/// The groups are under `data`; without `data`, under the first key, except `general`, whose value
/// is an object: then that key is the name. A file that says `"format":"unstructured"` or, without
/// a format, `"type":"tabular"`, and one without any such object, is [`Initial::Unstructured`].
///
/// - `fallback_name`: the name if the file has none, as its file name tells.
///
/// # Errors
/// As [`parse_update`](super::parse_update).
pub fn parse_initial(text: &[u8], fallback_name: &str, schema: &Schema) -> Result<Initial> {
    let text = python_numbers(text);
    let reading = Reading::new(&text, fallback_name, schema);
    let outline = reading.read(OutlineOf { reading: &reading })?;
    let name = match &outline.name {
        None => fallback_name.to_owned(),
        Some(Value::String(name)) => name.clone(),
        Some(other) => {
            return Err(Error::invalid(
                format!("{fallback_name}: name"),
                "a text",
                other.to_string(),
            ));
        }
    };
    let Some(data_key) = outline.data_key() else {
        let (content, _) =
            reading.read(Content { reading: &reading, data_key: None, name: &name })?;
        return Ok(Initial::Unstructured { name, content });
    };
    let name = if data_key == "data" { name } else { data_key.to_owned() };
    let (metadata, data) =
        reading.read(Content { reading: &reading, data_key: Some(data_key), name: &name })?;
    Ok(Initial::Entities(InitialDataset { name, metadata, data }))
}

/// What decides how the file is read.
#[derive(Default)]
struct Outline {
    name: Option<Value>,
    kind: Option<Value>,
    format: Option<Value>,
    has_data: bool,
    data_is_object: bool,
    first_object: Option<String>,
}

impl Outline {
    /// The key of the entity groups.
    fn data_key(&self) -> Option<&str> {
        let says = |value: &Option<Value>, text| value.as_ref().is_some_and(|v| v == text);
        let other_format = match &self.format {
            Some(Value::String(format)) => format != "entity_based",
            _ => says(&self.kind, "tabular"),
        };
        match (other_format, self.has_data, self.data_is_object) {
            (true, ..) | (false, true, false) => None,
            (false, true, true) => Some("data"),
            (false, false, _) => self.first_object.as_deref(),
        }
    }
}

struct OutlineOf<'r, 'a> {
    reading: &'r Reading<'a>,
}

impl<'de> DeserializeSeed<'de> for OutlineOf<'_, '_> {
    type Value = Outline;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Outline, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OutlineOf<'_, '_> {
    type Value = Outline;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the dataset")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outline, A::Error> {
        let mut outline = Outline::default();
        let reading = self.reading;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => outline.name = Some(map.next_value_seed(Plain { reading })?),
                "type" => outline.kind = Some(map.next_value_seed(Plain { reading })?),
                "format" => outline.format = Some(map.next_value_seed(Plain { reading })?),
                "data" => {
                    (outline.has_data, outline.data_is_object) =
                        (true, map.next_value_seed(IsObject)?)
                }
                _ => {
                    if map.next_value_seed(IsObject)? && key != "general" {
                        outline.first_object.get_or_insert(key);
                    }
                }
            }
        }
        Ok(outline)
    }
}

/// Passes over a value and says whether it was an object.
struct IsObject;

impl<'de> DeserializeSeed<'de> for IsObject {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_any(self)
    }
}

macro_rules! no_object {
    ($($visit:ident: $t:ty),*) => {$(
        fn $visit<E: serde::de::Error>(self, _: $t) -> Result<bool, E> {
            Ok(false)
        }
    )*};
}

impl<'de> Visitor<'de> for IsObject {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    no_object!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(true)
    }
}

/// The whole file: the groups under `data_key`, the rest as values.
struct Content<'r, 'a> {
    reading: &'r Reading<'a>,
    data_key: Option<&'r str>,
    name: &'r str,
}

impl<'de> DeserializeSeed<'de> for Content<'_, '_> {
    type Value = (Map<String, Value>, EntityData);

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Content<'_, '_> {
    type Value = (Map<String, Value>, EntityData);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the dataset")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let reading = self.reading;
        let mut metadata = Map::new();
        let mut data = None;
        while let Some(key) = map.next_key::<String>()? {
            let is_data = self.data_key == Some(key.as_str());
            if is_data {
                reading.enter(0, self.name);
            } else {
                reading.enter(0, &format!("{}: {key}", self.name));
            }
            if if is_data { data.is_some() } else { metadata.contains_key(&key) } {
                return Err(reading.twice(&key));
            }
            if is_data {
                data = map.next_value_seed(Groups { reading, or_plain: false })?;
            } else {
                let value = map.next_value_seed(Plain { reading })?;
                metadata.insert(key, value);
            }
        }
        Ok((metadata, data.unwrap_or_default()))
    }
}

/// A value of any shape, in which no object has a name twice.
struct Plain<'r, 'a> {
    reading: &'r Reading<'a>,
}

impl<'de> DeserializeSeed<'de> for Plain<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

macro_rules! into_value {
    ($($visit:ident: $t:ty),*) => {$(
        fn $visit<E: serde::de::Error>(self, value: $t) -> Result<Value, E> {
            Ok(Value::from(value))
        }
    )*};
}

impl<'de> Visitor<'de> for Plain<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    into_value!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(odd_number(value).map_or_else(|| Value::from(value), stored))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = vec![];
        while let Some(item) = list.next_element_seed(Plain { reading: self.reading })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(self.reading.twice(&key));
            }
            let value = map.next_value_seed(Plain { reading: self.reading })?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initial(text: &str) -> Result<Initial> {
        parse_initial(text.as_bytes(), "file", &Schema::default())
    }

    fn entities(text: &str) -> InitialDataset {
        let Initial::Entities(dataset) = initial(text).unwrap() else {
            panic!("{text} has no entities")
        };
        dataset
    }

    /// Goal: name, metadata and groups come apart, wherever they stand in the file.
    #[test]
    fn both_forms_come_apart() {
        let groups = r#"{"cells":{"x":[1.5,null],"id":[3,1]}}"#;
        let general = r#"{"enum":{"state":["closed","open"]},"special":{"cells.x":-9999.0}}"#;
        let dataset = entities(&format!(
            r#"{{"box":{{"a":[1,{{}}]}},"data":{groups},"name":"grid","general":{general},"version":4}}"#
        ));
        assert_eq!((dataset.name.as_str(), dataset.data.len()), ("grid", 1));
        assert_eq!(dataset.data[0].attributes[1].1.data.to_vec::<i64>().unwrap(), [3, 1]);
        assert_eq!(
            dataset.metadata.keys().collect::<Vec<_>>(),
            ["box", "name", "general", "version"]
        );
        assert_eq!(dataset.metadata["general"].to_string(), general);

        let dataset =
            entities(&format!(r#"{{"general":{general},"grid":{groups},"epsg_code":28992}}"#));
        assert_eq!((dataset.name.as_str(), dataset.data.len()), ("grid", 1));
        assert_eq!(dataset.metadata.keys().collect::<Vec<_>>(), ["general", "epsg_code"]);
        assert_eq!(entities(&format!(r#"{{"data":{groups}}}"#)).name, "file");
        let odd = format!(r#"{{"format":"entity_based","type":"tabular","data":{groups}}}"#);
        assert_eq!(entities(&odd).data.len(), 1);
    }

    /// Goal: files that are not entity based are handed over whole.
    #[test]
    fn other_files_are_handed_over_whole() {
        for (text, expected) in [
            (r#"{"name":"p","type":"tabular","format":"unstructured","data":{"t":[0,1]}}"#, "p"),
            (r#"{"type":"tabular","data":{"t":[0,1]}}"#, "file"),
            (r#"{"data":[1,2]}"#, "file"),
            (r#"{"general":{"a":1},"v":2.5}"#, "file"),
        ] {
            let Initial::Unstructured { name, content } = initial(text).unwrap() else {
                panic!("{text}")
            };
            assert_eq!(
                (name.as_str(), Value::Object(content).to_string()),
                (expected, text.to_owned())
            );
        }
    }

    /// Goal: an initial dataset reads as Python wrote it: NaN of an attribute is undefined, and metadata keep every number.
    #[test]
    fn an_initial_dataset_is_read_as_python_writes_it() {
        let dataset = entities(
            "\u{feff}{\"name\":\"d\",\"limit\":[-Infinity,NaN,18446744073709551616,\"NaN\"],\
             \"data\":{\"g\":{\"id\":[1,2,3],\"x\":[NaN,Infinity,1.5]}}}",
        );
        let x = dataset.data[0].attributes[1].1.data.to_vec::<f64>().unwrap();
        assert!(x[0].is_nan() && x[1..] == [f64::INFINITY, 1.5], "{x:?}");
        let expected = r#"[{"$silt":"float","value":"-inf"},{"$silt":"float","value":"nan"},{"$silt":"int","value":"18446744073709551616"},"NaN"]"#;
        assert_eq!(dataset.metadata["limit"].to_string(), expected);
        let error = initial(r#"{"name":NaN,"data":{}}"#).unwrap_err().to_string();
        assert!(error.contains("name: expected a text"), "{error}");
    }

    /// Goal: what contradicts itself is refused with its location.
    #[test]
    fn contradictions_are_refused() {
        for (text, part) in [
            (r#"{"name":5,"data":{}}"#, "file: name: expected a text, got 5"),
            (r#"{"name":"a","data":{"g":{"id":[1,1]}}}"#, "a/g/id: expected each identifier once"),
            (r#"{"name":"a","data":{},"data":{}}"#, "each name once"),
            (r#"{"name":"a","name":"b","data":{}}"#, "each name once"),
            (
                r#"{"name":"a","general":{"enum":{"x":[],"x":[]}},"data":{}}"#,
                "a: general: expected each name once",
            ),
            (r#"{"name":"a","data":{}}]"#, "line 1 column 23"),
            ("7", "an object with the dataset"),
        ] {
            let error = initial(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let deep = format!(r#"{{"general":{}"#, "[".repeat(100_000));
        assert!(initial(&deep).is_err());
    }
}
