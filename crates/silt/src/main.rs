//! The command `silt`.

fn main() {}
