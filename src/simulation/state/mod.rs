//! The state of an entity group at any time, without replaying the run.

mod column;
mod cursor;
mod diff;
mod exact;
mod forms;
mod group;
mod keyframe_builder;
mod keyframes;
mod promote;
mod walk;

pub use cursor::GroupCursor;
pub use diff::Tolerance;
pub use group::{ColumnState, GroupState};
pub use walk::{AttributeHistory, EntityHistory};

pub(super) use column::sentinels_as_mask;
pub(super) use cursor::{Beginning, state_at};
pub(super) use diff::TrackedState;
pub(super) use exact::{check_initial, first_inexact};
pub(super) use forms::Forms;
pub(super) use keyframe_builder::KeyframeBuilder;
pub(super) use promote::{append_as, common};
pub(super) use walk::{attribute_history, entity_history, group_timestamps};
