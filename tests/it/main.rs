//! The one integration-test binary: a module a topic.

mod child;
mod crash;
mod facts;
mod shared;
mod store;
mod tidy;
mod travel;
