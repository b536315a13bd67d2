//! Conditions on the metadata of episodes and concepts.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::kernel::json::{is_number, number};

/// A condition on metadata.
///
/// Numbers are compared as numbers, texts by their code points, false before true; values of two kinds are not equal, and
/// neither is the smaller. A key that is not there is equal to nothing: `ne` and `not` are true of it, all others false.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// A value compares so.
    Compare {
        /// The key; where no key has the name, its parts between full stops lead into nested objects.
        key: String,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Value,
    },
    /// A value is one of these.
    In {
        /// The key, as in [`Filter::Compare`].
        key: String,
        /// The values.
        values: Vec<Value>,
    },
    /// A key is there.
    Exists {
        /// The key, as in [`Filter::Compare`].
        key: String,
    },
    /// All hold.
    And(Vec<Filter>),
    /// At least one holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
}

/// How a value of metadata is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comparison {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
}

const FORM: &str = "an object as {\"key\": value}, {\"key\": {\"gte\": value}}, {\"and\": [..]}, {\"or\": [..]} or {\"not\": {..}}";
const OPERATORS: &str = "eq, ne, in, nin, gt, gte, lt, lte, exists or not, each also with a $";

/// How deep conditions may lie in one another.
const MOST_DEPTH: usize = 32;

impl Filter {
    /// A filter from JSON: `{"key": value}` for equal, `{"key": {"gte": 1, "lt": 5}}` with `eq`, `ne`, `in`, `nin`, `gt`, `gte`,
    /// `lt`, `lte`, `exists` and `not`, `{"and": [..]}`, `{"or": [..]}` and `{"not": {..}}`. Each operator can have a `$` before
    /// it; what else begins with one is an error. Of several entries of an object all must hold.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    ///
    /// # Example
    /// ```
    /// use siltstone::memory::Filter;
    /// let filter = Filter::parse(r#"{"level": {"gte": 2}, "or": [{"kind": "maze"}, {"kind": "arena"}]}"#)?;
    /// assert!(filter.accepts(r#"{"level": 2.5, "kind": "arena"}"#));
    /// assert!(!filter.accepts(r#"{"level": 1, "kind": "maze"}"#));
    /// # Ok::<(), siltstone::Error>(())
    /// ```
    pub fn parse(json: &str) -> Result<Self> {
        let value = crate::kernel::json::parse(json);
        let value = value.map_err(|e| Error::invalid("where", FORM, e.to_string()))?;
        Filter::of(&value, 0)
    }

    fn of(value: &Value, depth: usize) -> Result<Self> {
        let Value::Object(object) = value else {
            return Err(Error::invalid("where", FORM, value.to_string()));
        };
        if depth > MOST_DEPTH {
            return Err(Error::invalid("where", "at most 32 levels", "more"));
        }
        let list = |value: &Value| -> Result<Vec<Filter>> {
            let Value::Array(items) = value else {
                return Err(Error::invalid("where", "a list after and/or", value.to_string()));
            };
            items.iter().map(|item| Filter::of(item, depth + 1)).collect()
        };
        let entry = |(key, value): (&String, &Value)| match (key.as_str(), value) {
            ("and" | "$and", value) => Ok(Filter::And(list(value)?)),
            ("or" | "$or", value) => Ok(Filter::Or(list(value)?)),
            ("not" | "$not", value) => Ok(Filter::Not(Box::new(Filter::of(value, depth + 1)?))),
            (key, _) if key.starts_with('$') => {
                let expected =
                    "a key of metadata, or the operator and, or, not, each also with a $";
                Err(Error::invalid("where", expected, format!("{key:?}")))
            }
            (key, Value::Object(operators)) if !is_number(value) => {
                comparisons(key, operators, depth)
            }
            (key, value) => Ok(compare(key, Comparison::Eq, value)),
        };
        let mut all = object.iter().map(entry).collect::<Result<Vec<_>>>()?;
        Ok(if all.len() == 1 { all.remove(0) } else { Filter::And(all) })
    }

    /// Whether metadata, as JSON text, fulfils the condition.
    pub fn accepts(&self, metadata: &str) -> bool {
        self.holds(&crate::kernel::json::stored_object(Some(metadata)))
    }

    fn holds(&self, metadata: &Map<String, Value>) -> bool {
        match self {
            Filter::And(all) => all.iter().all(|filter| filter.holds(metadata)),
            Filter::Or(any) => any.iter().any(|filter| filter.holds(metadata)),
            Filter::Not(filter) => !filter.holds(metadata),
            Filter::In { key, values } => {
                let found = find(metadata, key);
                found.is_some_and(|found| {
                    values.iter().any(|v| order(found, v) == Some(Ordering::Equal))
                })
            }
            Filter::Exists { key } => find(metadata, key).is_some(),
            Filter::Compare { key, comparison, value } => {
                let order = find(metadata, key).and_then(|found| order(found, value));
                match comparison {
                    Comparison::Eq => order == Some(Ordering::Equal),
                    Comparison::Ne => order != Some(Ordering::Equal),
                    Comparison::Gt => order == Some(Ordering::Greater),
                    Comparison::Gte => order.is_some_and(Ordering::is_ge),
                    Comparison::Lt => order == Some(Ordering::Less),
                    Comparison::Lte => order.is_some_and(Ordering::is_le),
                }
            }
        }
    }
}

fn compare(key: &str, comparison: Comparison, value: &Value) -> Filter {
    Filter::Compare { key: key.to_owned(), comparison, value: value.clone() }
}

fn comparisons(key: &str, operators: &Map<String, Value>, depth: usize) -> Result<Filter> {
    let invalid = |expected: &str, got: String| {
        Err(Error::invalid(format!("where of {key:?}"), expected, got))
    };
    if depth > MOST_DEPTH {
        return invalid("at most 32 levels", "more".into());
    }
    let one = |(operator, value): (&String, &Value)| {
        let comparison = match operator.strip_prefix('$').unwrap_or(operator) {
            "eq" => Comparison::Eq,
            "ne" => Comparison::Ne,
            "gt" => Comparison::Gt,
            "gte" => Comparison::Gte,
            "lt" => Comparison::Lt,
            "lte" => Comparison::Lte,
            name @ ("in" | "nin") => {
                let Value::Array(values) = value else {
                    return invalid("a list after in or nin", value.to_string());
                };
                let is_in = Filter::In { key: key.to_owned(), values: values.clone() };
                return Ok(if name == "in" { is_in } else { Filter::Not(Box::new(is_in)) });
            }
            "exists" => {
                let there = Filter::Exists { key: key.to_owned() };
                return match value {
                    Value::Bool(true) => Ok(there),
                    Value::Bool(false) => Ok(Filter::Not(Box::new(there))),
                    other => invalid("true or false after exists", other.to_string()),
                };
            }
            "not" => {
                let inner = match value {
                    Value::Object(operators) if !is_number(value) => {
                        comparisons(key, operators, depth + 1)?
                    }
                    value => compare(key, Comparison::Eq, value),
                };
                return Ok(Filter::Not(Box::new(inner)));
            }
            _ => return invalid(OPERATORS, format!("{operator:?}")),
        };
        Ok(compare(key, comparison, value))
    };
    let mut all = operators.iter().map(one).collect::<Result<Vec<_>>>()?;
    match all.len() {
        0 => invalid(OPERATORS, "nothing".into()),
        1 => Ok(all.remove(0)),
        _ => Ok(Filter::And(all)),
    }
}

/// The value of a key, or of a path of keys.
fn find<'a>(metadata: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    if let Some(found) = metadata.get(key) {
        return Some(found);
    }
    let (first, rest) = key.split_once('.')?;
    find(metadata.get(first)?.as_object()?, rest)
}

/// How two values compare; `None` for such as do not.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i128(), b.as_i128()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
        (a, b) if is_number(a) && is_number(b) => number(a)?.partial_cmp(&number(b)?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (a, b) => (a == b).then_some(Ordering::Equal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each operator means what its name says, also of keys that are not there and values of another kind.
    #[test]
    fn operators_mean_what_they_say() {
        let metadata = r#"{"n": 3, "x": 2.5, "t": "abc", "yes": true, "none": null, "in.dots": 1, "a": {"b": {"c": 7}}, "nan": NaN, "inf": Infinity}"#;
        for (filter, expected) in [
            (r#"{"n": 3}"#, true),
            (r#"{"n": 3.0}"#, true),
            (r#"{"n": "3"}"#, false),
            (r#"{"n": {"ne": 3}}"#, false),
            (r#"{"gone": {"ne": 3}}"#, true),
            (r#"{"gone": 3}"#, false),
            (r#"{"gone": {"lt": 3}}"#, false),
            (r#"{"x": {"gt": 2, "lt": 3}}"#, true),
            (r#"{"x": {"gte": 2.5, "lte": 2.5}}"#, true),
            (r#"{"t": {"gt": "abb"}}"#, true),
            (r#"{"t": {"gt": 1}}"#, false),
            (r#"{"t": {"in": ["x", "abc"]}}"#, true),
            (r#"{"t": {"in": []}}"#, false),
            (r#"{"yes": true}"#, true),
            (r#"{"none": null}"#, true),
            (r#"{"in.dots": 1}"#, true),
            (r#"{"a.b.c": {"gte": 7}}"#, true),
            (r#"{"a.b.d": 7}"#, false),
            (r#"{"not": {"n": 3}}"#, false),
            (r#"{"or": [{"n": 1}, {"x": 2.5}]}"#, true),
            (r#"{"and": [{"n": 3}, {"x": 1}]}"#, false),
            (r#"{"$and": [{"n": 3}, {"$or": [{"x": 1}, {"t": "abc"}]}]}"#, true),
            (r#"{"$not": {"n": 3}}"#, false),
            (r#"{"n": {"$in": [1, 3]}, "t": {"$nin": ["x"]}}"#, true),
            (r#"{"n": {"$nin": [3]}}"#, false),
            (r#"{"gone": {"nin": [3]}}"#, true),
            (r#"{"n": {"$eq": 3, "$ne": 4, "$gt": 2, "$gte": 3, "$lt": 4, "$lte": 3}}"#, true),
            (r#"{"n": {"$not": {"$gt": 2}}}"#, false),
            (r#"{"n": {"$not": 4}}"#, true),
            (r#"{"none": {"$exists": true}, "gone": {"$exists": false}}"#, true),
            (r#"{"a.b": {"exists": false}}"#, false),
            (r#"{"nan": {"gt": 0}}"#, false),
            (r#"{"nan": NaN}"#, false),
            (r#"{"inf": Infinity}"#, true),
            (r#"{"inf": {"gt": 1e300}}"#, true),
            (r#"{"n": {"lt": Infinity}}"#, true),
            (r#"{}"#, true),
        ] {
            assert_eq!(Filter::parse(filter).unwrap().accepts(metadata), expected, "{filter}");
        }
    }

    /// Goal: a filter that means nothing is refused by name.
    #[test]
    fn what_is_no_filter_is_refused() {
        for filter in [
            "[]",
            "3",
            r#"{"n": {"like": 3}}"#,
            r#"{"n": {}}"#,
            r#"{"and": 3}"#,
            r#"{"n": {"in": 3}}"#,
            r#"{"$nor": [{"n": 3}]}"#,
            r#"{"$where": "n"}"#,
            r#"{"n": {"$regex": "a"}}"#,
            r#"{"n": {"$$gt": 1}}"#,
            r#"{"n": {"$exists": 1}}"#,
            "{",
        ] {
            assert!(Filter::parse(filter).is_err(), "{filter}");
        }
        let deep = format!("{}{}{}", r#"{"not":"#.repeat(40), "{}", "}".repeat(40));
        assert!(Filter::parse(&deep).is_err());
    }
}
