//! What the plugin of hyperparameters keeps: parameters of a run, and how it ended.

use serde_json::{Value as Json, json};

use super::super::message::{Fields, Value};
use super::super::run::Run;
use crate::kernel::json;

/// The name of the plugin.
pub(super) const PLUGIN: &str = "hparams";
/// Lists and structs in one another; deeper ones are refused.
const MAX_DEPTH: usize = 32;

/// Takes the parameters or the end of a run; false if it is neither. `None` for what is damaged.
pub(super) fn take(run: &mut Run, content: &[u8]) -> Option<bool> {
    let mut is_taken = false;
    for field in Fields(content) {
        match field? {
            (3, start) => {
                for field in Fields(start.bytes()) {
                    match field? {
                        (1, pair) => {
                            if let Some((name, value)) = entry(pair, 0)? {
                                run.parameters.insert(name, value);
                            }
                        }
                        (4, group) => {
                            run.fact("group_name", Some(group.text()).filter(|g| !g.is_empty()))
                        }
                        _ => {}
                    }
                }
                is_taken = true;
            }
            (4, end) => {
                for field in Fields(end.bytes()) {
                    match field? {
                        (1, status) => {
                            run.status = match status.int() {
                                1 => "completed",
                                2 => "failed",
                                3 => "running",
                                _ => "unknown",
                            };
                        }
                        (2, seconds) => {
                            let us = (seconds.float() * 1e6).round();
                            run.end_us = (us > 0.0 && us < 9e18).then_some(us as i64);
                        }
                        _ => {}
                    }
                }
                is_taken = true;
            }
            _ => {}
        }
    }
    Some(is_taken)
}

/// An entry of a map of `google.protobuf.Value`; one without a name or a value is passed over.
fn entry(pair: Value<'_>, depth: usize) -> Option<Option<(String, Json)>> {
    let (mut name, mut value) = (None, None);
    for field in Fields(pair.bytes()) {
        match field? {
            (1, field) => name = Some(field.text()),
            (2, field) => value = Some(value_of(field, depth)?),
            _ => {}
        }
    }
    Some(name.zip(value))
}

/// A `google.protobuf.Value`.
fn value_of(value: Value<'_>, depth: usize) -> Option<Json> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut found = Json::Null;
    for field in Fields(value.bytes()) {
        found = match field? {
            (2, number) => json::of_number(number.float()),
            (3, text) => json!(text.text()),
            (4, yes) => json!(yes.int() != 0),
            (5, object) => {
                let mut all = serde_json::Map::new();
                for field in Fields(object.bytes()) {
                    if let (1, pair) = field? {
                        all.extend(entry(pair, depth + 1)?);
                    }
                }
                Json::Object(all)
            }
            (6, list) => {
                let mut all = Vec::new();
                for field in Fields(list.bytes()) {
                    if let (1, item) = field? {
                        all.push(value_of(item, depth + 1)?);
                    }
                }
                Json::Array(all)
            }
            _ => Json::Null,
        };
    }
    Some(found)
}
