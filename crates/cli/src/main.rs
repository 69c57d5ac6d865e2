//! The binary `jackfield`: arguments in, exit code out.

fn main() {}
