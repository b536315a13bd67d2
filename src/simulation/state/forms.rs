//! The forms of a group's attributes, held against those of an update before it is stored.

use std::collections::HashMap;

use super::cursor::Travel;
use super::exact::{check_exact, check_stored, is_wide_integer};
use super::group::{Building, IDS_NEEDED};
use crate::array::{Array, DType};
use crate::error::{Error, Result};
use crate::kernel::ReadTx;
use crate::simulation::tables::Layout;
use crate::simulation::update::Attribute;

/// Groups that are remembered; what is forgotten is looked up in the file again.
const MOST_GROUPS: usize = 4_096;

/// What the groups of a file hold so far: shape of a value, ragged or not, kind of dtype.
#[derive(Default)]
pub(in crate::simulation) struct Forms(HashMap<(String, String), Option<Building>>);

impl Forms {
    /// Checks that an attribute goes with those of that name before it: otherwise its group would have
    /// no state any more. A group without ids goes with one whose ids are its positions. Where integers and floats meet, each
    /// integer must be equal to a float.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the attribute.
    pub(in crate::simulation) fn check(
        &mut self,
        tx: &ReadTx<'_>,
        (dataset, group, name): (&str, &str, &str),
        (attribute, has_ids): (&Attribute, bool),
    ) -> Result<()> {
        let names = (dataset.to_owned(), group.to_owned());
        if !has_ids {
            self.0.remove(&names); // what is kept knows no ids that came since
        }
        let known = match self.0.get_mut(&names) {
            Some(known) => known,
            None => {
                // A group that has no state already is left to its reader.
                let template = Travel::new(tx, Layout::Ours, dataset, group).template();
                if self.0.len() >= MOST_GROUPS {
                    self.0.clear();
                }
                self.0.entry(names).or_insert(template.ok())
            }
        };
        if !has_ids && known.as_ref().is_some_and(|known| !known.has_positions()) {
            return Err(Error::invalid(format!("{dataset}/{group}"), IDS_NEEDED, "none"));
        }
        let data = &attribute.data;
        let mut shape = data.shape().to_vec();
        if let Some(rows) = shape.first_mut() {
            *rows = 0;
        }
        let (Some(known), Ok(no_rows)) = (known, Array::new(data.dtype(), shape, Vec::new()))
        else {
            return Ok(());
        };
        let row_ptr = attribute.row_ptr.as_ref().map(|_| Array::from_slice(&[0i64]));
        let form = Attribute { data: no_rows, row_ptr, mask: None };
        let dtype = |known: &Building| {
            known.columns.iter().find(|column| column.name == name).map(|column| column.dtype)
        };
        let before = dtype(known);
        known.add_column(name, &form).map_err(|error| match error {
            Error::Invalid { expected, got, .. } => Error::Invalid {
                what: format!("{dataset}/{group}/{name}"),
                expected: format!("{expected} as before"),
                got,
            },
            other => other,
        })?;
        if before.is_some() && dtype(known) == Some(DType::F64) {
            check_exact(&format!("{dataset}/{group}/{name}"), attribute, String::new)?;
            if before.is_some_and(is_wide_integer) {
                check_stored(tx, (dataset, group, name))?;
            }
        }
        Ok(())
    }
}
