//! The project's own chores: `cargo xtask <task>`.

fn main() {}
