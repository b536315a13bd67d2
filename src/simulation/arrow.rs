//! Updates and states as Arrow.
