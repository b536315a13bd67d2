//! Which part of the updates is collected.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::simulation::update::EntityData;

/// Which part of the updates is collected: `null` or `"*"` everything, or by dataset, entity group and
/// attribute.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum GatherFilter {
    /// Everything.
    #[default]
    All,
    /// The datasets that are named, others not at all.
    Datasets(Vec<(String, DatasetFilter)>),
}

/// Which part of a dataset is collected.
#[derive(Debug, Clone, PartialEq)]
pub enum DatasetFilter {
    /// All entity groups.
    All,
    /// The entity groups that are named, others not at all.
    Groups(Vec<(String, AttributeFilter)>),
}

/// Which part of an entity group is collected.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeFilter {
    /// All attributes.
    All,
    /// The attributes that are named, and `id`.
    Only(Vec<String>),
}

impl GatherFilter {
    /// Reads the documented form, `{"dataset": {"group": ["attribute"]}}` with `null` or `"*"` for all
    /// of anything.
    ///
    /// # Errors
    /// [`Error::Invalid`] saying where it has another form.
    pub fn parse(value: &Value) -> Result<Self> {
        if is_all(value) {
            return Ok(GatherFilter::All);
        }
        let of_dataset = |name: &str, value: &Value| {
            if is_all(value) {
                return Ok(DatasetFilter::All);
            }
            let of_group =
                |group: &str, value: &Value| attributes(&format!("{name}/{group}"), value);
            Ok(DatasetFilter::Groups(entries(name, value, of_group)?))
        };
        Ok(GatherFilter::Datasets(entries("", value, of_dataset)?))
    }

    /// The part of an update that is collected.
    pub fn apply(&self, dataset: &str, mut data: EntityData) -> EntityData {
        let GatherFilter::Datasets(datasets) = self else { return data };
        let groups = match datasets.iter().find(|(name, _)| name == dataset) {
            None => return EntityData::new(),
            Some((_, DatasetFilter::All)) => return data,
            Some((_, DatasetFilter::Groups(groups))) => groups,
        };
        data.retain_mut(|group| match groups.iter().find(|(name, _)| *name == group.name) {
            None => false,
            Some((_, AttributeFilter::All)) => true,
            Some((_, AttributeFilter::Only(names))) => {
                group.attributes.retain(|(name, _)| name == "id" || names.contains(name));
                group.attributes.iter().any(|(name, _)| name != "id")
            }
        });
        data
    }
}

fn is_all(value: &Value) -> bool {
    value.is_null() || value == "*"
}

fn refuse<T>(location: &str, expected: &str, value: &Value) -> Result<T> {
    let what = if location.is_empty() {
        "gather_filter".into()
    } else {
        format!("gather_filter of {location}")
    };
    Err(Error::invalid(what, expected, value.to_string()))
}

fn entries<T>(
    location: &str,
    value: &Value,
    read: impl Fn(&str, &Value) -> Result<T>,
) -> Result<Vec<(String, T)>> {
    let Some(map) = value.as_object() else {
        return refuse(location, "null, \"*\" or an object of names", value);
    };
    map.iter().map(|(name, value)| Ok((name.clone(), read(name, value)?))).collect()
}

fn attributes(location: &str, value: &Value) -> Result<AttributeFilter> {
    if is_all(value) {
        return Ok(AttributeFilter::All);
    }
    let names = value.as_array().and_then(|names| {
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    match names {
        Some(names) => Ok(AttributeFilter::Only(names)),
        None => refuse(location, "null, \"*\" or a list of attribute names", value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::array::Array;
    use crate::simulation::update::{Attribute, Group};

    fn data() -> EntityData {
        let column = |name: &str| (name.to_owned(), Attribute::new(Array::from_slice(&[1i64])));
        let group = |name: &str| Group {
            name: name.into(),
            attributes: vec![column("id"), column("x"), column("y")],
        };
        vec![group("g"), group("h")]
    }

    fn kept(filter: Value, dataset: &str) -> Vec<String> {
        let data = GatherFilter::parse(&filter).unwrap().apply(dataset, data());
        let names =
            |g: Group| g.attributes.into_iter().map(move |(a, _)| format!("{}.{a}", g.name));
        data.into_iter().flat_map(names).collect()
    }

    /// Goal: each level takes all, or what is named; a list of attributes always has the ids.
    #[test]
    fn each_level_selects() {
        let all = ["g.id", "g.x", "g.y", "h.id", "h.x", "h.y"];
        for filter in [json!(null), json!("*"), json!({"d": "*"}), json!({"d": null})] {
            assert_eq!(kept(filter, "d"), all);
        }
        assert_eq!(kept(json!({"d": {"g": "*"}}), "d"), all[..3]);
        assert_eq!(kept(json!({"d": {"g": ["y"], "h": ["z"]}}), "d"), ["g.id", "g.y"]);
        assert!(kept(json!({"d": {"g": []}}), "d").is_empty());
        assert!(kept(json!({"e": "*"}), "d").is_empty());
        assert!(kept(json!({}), "d").is_empty());
    }

    /// Goal: another form is refused, with its location.
    #[test]
    fn other_forms_are_refused() {
        for (filter, location) in [
            (json!(1), "gather_filter:"),
            (json!("all"), "gather_filter:"),
            (json!({"d": ["g"]}), "of d:"),
            (json!({"d": {"g": "x"}}), "of d/g:"),
            (json!({"d": {"g": [1]}}), "of d/g:"),
        ] {
            let error = GatherFilter::parse(&filter).unwrap_err().to_string();
            assert!(error.contains(location), "{error}");
        }
    }
}
