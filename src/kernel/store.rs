//! What the kernel knows of a store.

use std::sync::OnceLock;

use arrow_array::ArrayRef;

use super::block_rows::BlockTable;
use super::documented_name::DocumentedNames;
use super::foreign::Definitions;
use super::functions::ScalarFunction;
use super::schema::{Migrations, Upgrade};
use super::table_function::TableFunction;
use super::tx::WriteTx;
use super::verify::Verifier;
use crate::error::Result;

/// What the numbers of an array stand for, by the head of their series: of its index, or of its values.
pub(crate) type Decode = fn(head: &str, is_index: bool, array: &ArrayRef) -> Result<ArrayRef>;

/// Makes rows of all blocks of a store, in the transaction that is open; how many.
pub(crate) type Expand = fn(&mut WriteTx<'_>) -> Result<u64>;

/// A store: its tables, and what it does with them where a call is of the whole file.
pub(crate) struct Store {
    /// The versions of its tables.
    pub(crate) migrations: &'static Migrations,
    /// Files of another program that it reads, and upgrades in place when it writes.
    pub(crate) upgrade: Option<&'static Upgrade>,
    /// What it makes in a file beyond its versions.
    pub(crate) definitions: Option<Definitions>,
    /// Its own part of [`Database::verify`](super::Database::verify).
    pub(crate) verify: Verifier,
    /// Its documented names of which rows may lie in blocks.
    pub(crate) names: Option<DocumentedNames>,
    /// Makes rows of its blocks; `None` if it has none that can be rows.
    pub(crate) expand: Option<Expand>,
    /// What the numbers of its series stand for, in those views.
    pub(crate) decode: Option<Decode>,
    /// The blocks that those views show as rows.
    pub(crate) blocks: Option<BlockTable>,
    /// The table of blocks of arrays.
    pub(crate) array_blocks: Option<&'static str>,
    /// Its SQL functions of values.
    pub(crate) scalars: &'static [ScalarFunction],
    /// Its SQL functions whose results are rows.
    pub(crate) tables: &'static [TableFunction],
}

impl Store {
    /// A store of these tables and checks.
    pub(crate) const fn new(migrations: &'static Migrations, verify: Verifier) -> Self {
        Store {
            migrations,
            upgrade: None,
            definitions: None,
            verify,
            names: None,
            expand: None,
            decode: None,
            blocks: None,
            array_blocks: None,
            scalars: &[],
            tables: &[],
        }
    }
}

/// The files of other programs that stores upgrade.
pub(crate) fn upgrades() -> &'static [&'static Upgrade] {
    static ALL: OnceLock<Vec<&'static Upgrade>> = OnceLock::new();
    ALL.get_or_init(|| crate::STORES.iter().filter_map(|store| store.upgrade).collect())
}
