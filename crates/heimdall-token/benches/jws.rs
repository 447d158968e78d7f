//! Placeholder until the owner writes it.
fn main() {}
