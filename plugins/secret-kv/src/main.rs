//! The kv engine as an external plugin.
fn main() {}
