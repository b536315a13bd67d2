//! Update files: JSON text straight into columns, without a tree of values between.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::column::{Column, Refusal, Step};
use super::python::{odd_number, python_numbers};
use super::reading::Reading;
use super::schema::{PyType, Schema};
use crate::error::Result;
use crate::simulation::update::{Attribute, EntityData, Group};

/// Reads an update file: each dataset in it with its change, in the order of the file.
///
/// - `fallback_name`: the dataset that the file name tells, which `{"data":{..}}` stands for.
///
/// A group without `id` is one whose entities are known by their positions. `NaN`, which Python writes, is `null` here,
/// `Infinity` a number, and a byte order mark at the beginning nothing.
///
/// What is no object beside the datasets is passed over, and so is `general`, unless the file
/// name says that a dataset is called so.
///
/// # Errors
/// [`Error::Corrupt`] if the text is no JSON (an unfinished text, something behind the end), with line and column. [`Error::Invalid`], naming dataset, group and attribute, if it is JSON
/// of another content: a name twice, values of two kinds in one column, lists of unequal length,
/// more or fewer values than `id` has, an `id` that is null or twice there.
pub fn parse_update(
    text: &[u8],
    fallback_name: &str,
    schema: &Schema,
) -> Result<Vec<(String, EntityData)>> {
    let text = python_numbers(text);
    let reading = Reading::new(&text, fallback_name, schema);
    reading.read(UpdateFile { reading: &reading, fallback_name })
}

struct UpdateFile<'r, 'a> {
    reading: &'r Reading<'a>,
    fallback_name: &'r str,
}

impl<'de> DeserializeSeed<'de> for UpdateFile<'_, '_> {
    type Value = Vec<(String, EntityData)>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for UpdateFile<'_, '_> {
    type Value = Vec<(String, EntityData)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of datasets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let UpdateFile { reading, fallback_name } = self;
        let mut keys = HashSet::new();
        let mut datasets: Vec<(String, EntityData)> = vec![];
        while let Some(key) = map.next_key::<String>()? {
            let name = if key == "data" { fallback_name } else { &key };
            reading.enter(0, name);
            if keys.contains(&key) || datasets.iter().any(|(known, _)| known == name) {
                return Err(reading.twice(name));
            }
            if key == "general" && fallback_name != "general" {
                map.next_value::<IgnoredAny>()?;
            } else if let Some(groups) = map.next_value_seed(Groups { reading, or_plain: true })? {
                datasets.push((name.to_owned(), groups));
            }
            keys.insert(key);
        }
        Ok(datasets)
    }
}

/// The groups of a dataset; `None` for a plain value, where one may stand instead.
pub(super) struct Groups<'r, 'a> {
    pub(super) reading: &'r Reading<'a>,
    pub(super) or_plain: bool,
}

impl<'de> DeserializeSeed<'de> for Groups<'_, '_> {
    type Value = Option<EntityData>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        if self.or_plain { reader.deserialize_any(self) } else { reader.deserialize_map(self) }
    }
}

/// Plain values beside the datasets say something of the file, nothing of entities.
macro_rules! pass_over {
    ($($visit:ident: $t:ty),*) => {$(
        fn $visit<E: serde::de::Error>(self, _: $t) -> Result<Self::Value, E> {
            Ok(None)
        }
    )*};
}

impl<'de> Visitor<'de> for Groups<'_, '_> {
    type Value = Option<EntityData>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of entity groups")
    }

    pass_over!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = HashSet::new();
        let mut groups = vec![];
        while let Some(name) = map.next_key::<String>()? {
            self.reading.enter(1, &name);
            if !names.insert(name.clone()) {
                return Err(self.reading.twice(&name));
            }
            let attributes = map.next_value_seed(Attributes { reading: self.reading })?;
            groups.push(Group { name, attributes });
        }
        Ok(Some(groups))
    }
}

/// The attributes of one group.
struct Attributes<'r, 'a> {
    reading: &'r Reading<'a>,
}

impl<'de> DeserializeSeed<'de> for Attributes<'_, '_> {
    type Value = Vec<(String, Attribute)>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Attributes<'_, '_> {
    type Value = Vec<(String, Attribute)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let reading = self.reading;
        let mut names = HashSet::new();
        let mut attributes: Vec<(String, Attribute)> = vec![];
        while let Some(name) = map.next_key::<String>()? {
            reading.enter(2, &name);
            if !names.insert(name.clone()) {
                return Err(reading.twice(&name));
            }
            let rows = reading.rows.get();
            let attribute = map.next_value_seed(Values { reading, name: &name, rows })?;
            reading.rows.set(Some(attribute.entities()));
            attributes.push((name, attribute));
        }
        reading.rows.set(None);
        self.check_lengths(&attributes).map_err(|(name, refusal)| {
            reading.enter(2, &name);
            reading.refuse::<A::Error>(refusal)
        })?;
        Ok(attributes)
    }
}

impl Attributes<'_, '_> {
    /// Each attribute has as many values as there are entities.
    fn check_lengths(&self, attributes: &[(String, Attribute)]) -> Result<(), (String, Refusal)> {
        let ids = attributes.iter().find(|(name, _)| name == "id");
        // Without ids the entities are known by their positions.
        let Some((first, ids)) = ids.or(attributes.first()) else { return Ok(()) };
        let entities = ids.entities();
        match attributes.iter().find(|(_, attribute)| attribute.entities() != entities) {
            None => Ok(()),
            Some((name, attribute)) => {
                let each = if first == "id" { "id" } else { "position, as there is no id" };
                let expected = format!("{entities} values, one for each {each}");
                Err((
                    name.clone(),
                    Refusal { expected, got: format!("{} values", attribute.entities()) },
                ))
            }
        }
    }
}

/// The list of one attribute's values.
struct Values<'r, 'a> {
    reading: &'r Reading<'a>,
    name: &'r str,
    /// How many values an attribute before this one had.
    rows: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for Values<'_, '_> {
    type Value = Attribute;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values<'_, '_> {
    type Value = Attribute;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list with one value for each entity")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let Values { reading, name, rows } = self;
        let is_id = name == "id";
        let spec = reading.schema.get(name).filter(|_| !is_id);
        let hint = if is_id { Some(PyType::Int) } else { spec.map(|spec| spec.py_type) };
        let mut column = Column::new(hint, rows.unwrap_or(0));
        while list.next_element_seed(Item { reading, column: &mut column, depth: 0 })?.is_some() {}
        if let Some(digits) = column.wide.take().filter(|_| hint.is_none() && !column.float) {
            let expected = "integers from -2^63 to 2^64 - 1".into();
            return Err(reading.refuse(Refusal { expected, got: digits }));
        }
        let attribute =
            if is_id { column.finish_id() } else { column.finish(spec, reading.text.len()) };
        attribute.map_err(|refusal| reading.refuse(*refusal))
    }
}

/// One item of a list, `depth` lists below the row.
struct Item<'r, 'a, 'c> {
    reading: &'r Reading<'a>,
    column: &'c mut Column,
    depth: u8,
}

impl Item<'_, '_, '_> {
    #[inline]
    fn step<E: serde::de::Error>(self, step: impl FnOnce(&mut Column) -> Step) -> Result<(), E> {
        match self.column.open_plain(self.depth).and_then(|()| step(self.column)) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.reading.refuse(*refusal)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_, '_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a bool, a text, null or a list of them")
    }

    #[inline]
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.step(|column| column.push_float(value))
    }

    #[inline]
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.step(|column| column.push_int(value))
    }

    #[inline]
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.step(|column| column.push_uint(value))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.step(|column| column.push_bool(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        match odd_number(value) {
            Some("NaN") => self.visit_unit(),
            Some("Infinity") => self.step(|column| column.push_float(f64::INFINITY)),
            Some("-Infinity") => self.step(|column| column.push_float(f64::NEG_INFINITY)),
            Some(digits) => self.step(|column| column.push_wide(digits)),
            None => self.step(|column| column.push_text(value)),
        }
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.column.null(self.depth);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Item { reading, column, depth } = self;
        let refused = |refusal: Box<Refusal>| reading.refuse::<A::Error>(*refusal);
        if depth == 0 {
            column.begin_row().map_err(refused)?;
        } else if depth > 1 {
            return Err(refused(Box::new(Refusal {
                expected: "at most a list of lists for each entity".into(),
                got: "a list deeper than that".into(),
            })));
        }
        let mut length = 0;
        while list
            .next_element_seed(Item { reading, column: &mut *column, depth: depth + 1 })?
            .is_some()
        {
            length += 1;
        }
        if depth == 0 {
            column.end_row();
            return Ok(());
        }
        column.end_unit(length).map_err(refused)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::array::DType;
    use crate::error::Error;
    use crate::simulation::json::AttributeSpec;

    fn schema() -> Schema {
        let mut schema = Schema::default();
        for (name, py_type, unit_shape, csr) in [
            ("b", PyType::Bool, &[][..], false),
            ("i", PyType::Int, &[], false),
            ("f", PyType::Float, &[], false),
            ("s", PyType::Str, &[], false),
            ("p2", PyType::Float, &[2], false),
            ("m22", PyType::Int, &[2, 2], false),
            ("cf", PyType::Float, &[], true),
            ("ci", PyType::Int, &[], true),
            ("cb", PyType::Bool, &[], true),
            ("c2", PyType::Float, &[2], true),
        ] {
            let spec = AttributeSpec {
                unit_shape: unit_shape.into(),
                csr,
                ..AttributeSpec::new(name, py_type)
            };
            schema.insert(spec).unwrap();
        }
        schema
    }

    pub(in super::super) fn group(text: &str) -> Result<Vec<(String, Attribute)>> {
        let text = format!(r#"{{"plant":{{"sensors":{text}}}}}"#);
        let mut datasets = parse_update(text.as_bytes(), "file", &schema())?;
        assert_eq!(datasets[0].0, "plant");
        Ok(datasets.remove(0).1.remove(0).attributes)
    }

    /// One attribute, with as many ids as it needs.
    pub(in super::super) fn column(name: &str, values: &str) -> Result<Attribute> {
        let rows = serde_json::from_str::<Vec<serde_json::Value>>(values).map_or(1, |v| v.len());
        let ids: Vec<usize> = (0..rows).collect();
        let attribute = group(&format!(r#"{{"{name}":{values},"id":{ids:?}}}"#))?.remove(0).1;
        attribute.check(name)?;
        Ok(attribute)
    }

    pub(in super::super) fn refused(name: &str, values: &str) -> String {
        match column(name, values) {
            Err(error @ Error::Invalid { .. }) => error.to_string(),
            other => panic!("{name} {values}: {other:?}"),
        }
    }

    pub(in super::super) fn row_ptr(attribute: &Attribute) -> Vec<i64> {
        assert_eq!(attribute.row_ptr.as_ref().unwrap().dtype(), DType::I64);
        attribute.row_ptr.as_ref().unwrap().to_i64s().unwrap()
    }

    /// Goal: what has no one type or shape is refused by name, never guessed.
    #[test]
    fn mixed_columns_are_refused() {
        for (name, values, part) in [
            ("x", "[1,true]", "a number, as before in this column, got true"),
            ("x", "[true,1]", "a bool, as before in this column, got 1"),
            ("x", "[\"a\",1]", "a text"),
            ("x", "[1,[1]]", "got a list for entity 1"),
            ("x", "[[1],1]", "got a plain value for entity 1"),
            ("x", "[[1,[1]]]", "either lists or plain values"),
            ("x", "[[[1],1]]", "either lists or plain values"),
            ("x", "[[[1,2],[3]]]", "2 values in each inner list, got 1 values"),
            ("x", "[[[]]]", "at least one value"),
            ("x", "[[[[1]]]]", "a list deeper than that"),
            ("x", "[-1,18446744073709551615]", "i64 or u64 together"),
            ("x", "[1,18446744073709551616]", "got 18446744073709551616 at line 1"),
            ("i", "[18446744073709551616]", "as the schema says, got 18446744073709551616"),
            ("i", "[4.9]", "an integer"),
            ("f", "[\"1\"]", "a number, as the schema says"),
            ("f", "[[1]]", "plain values for each entity, as the schema says"),
            ("b", "[2]", "a bool, as the schema says"),
            (
                "p2",
                "[[1,2,3]]",
                "lists of 2 for each entity, as the schema says, got a list of 3 for entity 0",
            ),
            ("p2", "[1]", "got a plain value"),
            ("c2", "[[1]]", "got lists of plain values"),
            ("c2", "[[[1,2,3]]]", "got lists of lists of 3"),
            (
                "x",
                "{\"data\":[1]}",
                "expected a list with one value for each entity, got invalid type: map",
            ),
            ("x", "[{}]", "invalid type: map"),
            ("s", "[\"a\\u0000\"]", "does not end in NUL"),
        ] {
            let text = refused(name, values);
            assert!(
                text.contains(part) && text.contains(&format!("plant/sensors/{name}:")),
                "{values}: {text}"
            );
        }
    }

    /// Goal: `id` is what all else leans on: eight bytes, complete, each once, one a value.
    #[test]
    fn ids_are_checked() {
        assert_eq!(
            group(r#"{"x":[1,2],"id":[7,5]}"#).unwrap()[1].1.data.to_vec::<i64>().unwrap(),
            [7, 5]
        );
        assert_eq!(group(r#"{"id":[]}"#).unwrap()[0].1.data.dtype(), DType::I64);
        assert!(group("{}").unwrap().is_empty() && group(r#"{"x":[]}"#).is_ok());
        assert_eq!(group(r#"{"x":[1,2],"y":[1,2]}"#).unwrap().len(), 2, "known by positions");
        for (text, part) in [
            (
                r#"{"id":[1,2],"x":[1.0]}"#,
                "plant/sensors/x: expected 2 values, one for each id, got 1 values",
            ),
            (
                r#"{"x":[[],[],[]],"id":[1,2]}"#,
                "plant/sensors/x: expected 2 values, one for each id, got 3 values",
            ),
            (
                r#"{"x":[1],"y":[1,2]}"#,
                "plant/sensors/y: expected 1 values, one for each position, as there is no id, got 2 values",
            ),
            (r#"{"id":[3,1,3]}"#, "each identifier once, got 3 more than once"),
            (r#"{"id":[1,null]}"#, "got null for entity 1"),
            (r#"{"id":[null]}"#, "got null for entity 0"),
            (r#"{"id":[[1]]}"#, "got a list"),
            (r#"{"id":["a"]}"#, "a number, as the schema says"),
            (r#"{"id":[1.5]}"#, "an integer"),
            (
                r#"{"id":[9223372036854775808]}"#,
                "identifiers up to 2^63 - 1, got 9223372036854775808",
            ),
            (
                r#"{"id":[1],"x":[1],"x":[2]}"#,
                "plant/sensors/x: expected each name once, got \"x\" twice",
            ),
        ] {
            let error = group(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    /// Goal: datasets are told from what stands beside them.
    #[test]
    fn datasets_and_what_stands_beside_them() {
        let names = |text: &str, fallback: &str| {
            let datasets =
                parse_update(text.as_bytes(), fallback, &schema()).map_err(|e| e.to_string())?;
            Ok::<_, String>(datasets.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
        };
        let data = r#"{"g":{"id":[1]}}"#;
        assert_eq!(names(&format!(r#"{{"data":{data}}}"#), "plant").unwrap(), ["plant"]);
        assert_eq!(names(&format!(r#"{{"b":{data},"a":{data}}}"#), "x").unwrap(), ["b", "a"]);
        assert_eq!(
            names(&format!(r#"{{"v":1,"t":"x","n":null,"general":{{"a":[1]}},"a":{data}}}"#), "x")
                .unwrap(),
            ["a"]
        );
        assert_eq!(names(&format!(r#"{{"general":{data}}}"#), "general").unwrap(), ["general"]);
        assert!(names("{}", "x").unwrap().is_empty());
        for (text, part) in [
            (format!(r#"{{"a":{data},"a":{data}}}"#), "a: expected each name once"),
            (format!(r#"{{"a":{data},"data":{data}}}"#), "a: expected each name once"),
            (r#"{"v":1,"v":2}"#.into(), "each name once"),
            (r#"{"a":{"g":{},"g":{}}}"#.into(), "a/g: expected each name once"),
            (
                r#"{"a":[1]}"#.into(),
                "a: expected an object of entity groups, got invalid type: sequence",
            ),
            (
                r#"{"a":{"g":5}}"#.into(),
                "a/g: expected an object of attributes, got invalid type: integer `5` at line 1 column 11",
            ),
            ("[]".into(), "a: expected an object of datasets"),
        ] {
            let error = names(&text, "a").unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    proptest::proptest! {
        /// Goal: each number is the double that Rust's own parser, which is exact, reads.
        #[test]
        fn floats_are_exact(
            literal in "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,25}(e[+-]?[0-9]{1,2}|e-[23][0-9]{2})?"
        ) {
            let values = column("f", &format!("[{literal}]"))?.data.to_vec::<f64>().unwrap();
            proptest::prop_assert_eq!(values[0].to_bits(), literal.parse::<f64>().unwrap().to_bits());
        }
    }

    /// Goal: what is no JSON is damaged, said with its location, and nothing makes the reader panic.
    #[test]
    fn broken_text_is_corrupt() {
        let whole = r#"{"plant":{"g":{"id":[1,2],"x":[1.5,-2e3],"s":["é\u00e9\n",null],"c":[[1],[]]}},"v":[true]}"#;
        for end in 0..whole.len() {
            let error = parse_update(&whole.as_bytes()[..end], "file", &schema()).unwrap_err();
            assert!(error.to_string().contains("line 1 column"), "{end}: {error}");
        }
        let deep = format!(r#"{{"general":{}"#, "[".repeat(1_000_000));
        let deep_value = format!(r#"{{"a":{{"g":{{"x":{}"#, "[".repeat(1_000_000));
        for text in [
            "",
            "nul",
            "{\"a\":{\"g\":{\"id\":[1],\"x\":[nan]}}}",
            "{\"a\":{\"g\":{\"id\":[1],\"x\":[Inf]}}}",
            "{\"a\":{\"g\":{\"id\":[1],\"x\":[1e999]}}}",
            "{} x",
            "{}{}",
            "{\"a\":{\"g\":{\"id\":[01]}}}",
            "{\"a\":{\"g\":{\"s\":[\"\\ud800\"]}}}",
            "{\"a\":{\"g\":{\"id\":[1,]}}}",
            &deep,
        ] {
            let Err(Error::Corrupt { location, why, .. }) =
                parse_update(text.as_bytes(), "file", &schema())
            else {
                panic!("{text:.60} was accepted or not called damaged");
            };
            assert!(location == "file" && why.contains("line 1 column"), "{text:.60}: {why}");
        }
        assert!(parse_update(deep_value.as_bytes(), "file", &schema()).is_err());
        assert!(parse_update(b"{\"a\":{\"g\":{\"s\":[\"\xff\"]}}}", "file", &schema()).is_err());
    }
}
