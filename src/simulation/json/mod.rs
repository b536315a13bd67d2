//! movici's JSON files and our [`EntityData`](crate::simulation::EntityData).
//! Pure: text in, text out, no file is opened.
//!
//! ```
//! use siltstone::simulation::json::{Schema, dump_update, parse_update};
//!
//! let text = br#"{"network":{"roads":{"id":[1,2],"speed":[50.0,null]}}}"#;
//! let found = parse_update(text, "network", &Schema::default())?;
//! let (dataset, groups) = &found[0];
//! assert_eq!(dump_update(dataset, groups, &Schema::default())?, text);
//! # Ok::<(), siltstone::Error>(())
//! ```
//!
//! An update file is `{"<dataset>":{"<group>":{"id":[..],"<attribute>":[..]}}}`; an initial file
//! has its groups under `data` and everything else beside it. One column of values becomes one
//! [`Attribute`](crate::simulation::Attribute):
//!
//! | JSON | with a [`Schema`] entry | without |
//! |---|---|---|
//! | `true` | bool: `\|i1` (`0` and `1` count as bools) | `\|i1` |
//! | `1` | int: `<i4`, `<i8` or `<u8`, the first that holds all | the same |
//! | `1.5` | float: `<f8` | `<f8`, also if only one value has a fraction or exponent |
//! | `"a"` | str: `<U` of the longest text | the same |
//! | `[1,2]` a row | `unit_shape` `[2]`: `[n, 2]`; `csr`: ragged | ragged |
//! | `[[1,2],[3,4]]` a row | `csr` with `unit_shape` `[2]`; or `unit_shape` `[2, 2]` | ragged, unit `[2]` |
//! | nothing but `null` | the sentinel of the type | `<f8` of NaN |
//!
//! `null` is stored as the documented sentinel, and a ragged `null` as one unit of sentinels, so that
//! movici's readers see it. A mask is added only where sentinels would say something wrong:
//! an integer column that needs eight bytes has no sentinel, and a value may look like its sentinel.
//! `id` is always `<i8`, whatever the schema says.
//!
//! Written back, a file has the same bytes: compact, UTF-8, the shortest text that reads as the
//! same float. What JSON cannot say is lost as movici loses it: NaN and the
//! infinities are `null`, and so is a row that a mask calls cleared.

mod column;
mod datetime;
mod dump;
mod file_name;
mod infer;
mod initial;
mod parse;
mod python;
mod reading;
#[cfg(test)]
mod round_trip;
mod schema;

pub(super) use dump::dump_update_counted;
pub use dump::{dump_update, row_values};
pub(super) use file_name::{
    BINARY_ENDING, InitialName, initial_file_name, parse_initial_file_name,
};
pub use file_name::{file_name, parse_file_name};
pub use initial::{Initial, InitialDataset, parse_initial};
pub use parse::parse_update;
pub(super) use python::check;
pub use python::parse_any;
pub use schema::{AttributeSpec, PyType, Schema};
