//! The state of an entity group at any time, without replaying the run.

mod column;
mod cursor;
mod group;
mod keys;
mod promote;

pub use cursor::GroupCursor;
pub use group::{ColumnState, GroupState};

pub(super) use keys::build_keys;
