//! The one integration-test binary: a module a topic.

mod shared;
mod store;
mod travel;
