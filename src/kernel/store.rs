//! What the kernel knows of a store.

use std::sync::OnceLock;

use super::block_plan::BlockTable;
use super::foreign::Definitions;
use super::point_rows::Decode;
use super::query::Views;
use super::schema::{Migrations, Upgrade};
use super::verify::Verifier;

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
    /// The views that [`Database::sql`](super::Database::sql) puts over its tables.
    pub(crate) views: Option<Views>,
    /// What the numbers of its series stand for, in those views.
    pub(crate) decode: Option<Decode>,
    /// The blocks that those views show as rows.
    pub(crate) blocks: Option<BlockTable>,
}

impl Store {
    /// A store of these tables and checks.
    pub(crate) const fn new(migrations: &'static Migrations, verify: Verifier) -> Self {
        Store {
            migrations,
            upgrade: None,
            definitions: None,
            verify,
            views: None,
            decode: None,
            blocks: None,
        }
    }
}

/// The files of other programs that stores upgrade.
pub(crate) fn upgrades() -> &'static [&'static Upgrade] {
    static ALL: OnceLock<Vec<&'static Upgrade>> = OnceLock::new();
    ALL.get_or_init(|| crate::STORES.iter().filter_map(|store| store.upgrade).collect())
}
