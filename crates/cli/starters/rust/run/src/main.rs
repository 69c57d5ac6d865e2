//! A program for Jackfield that decides who may publish: an event on standard input, an answer on standard output.
//!
//! What goes to standard error is in the server's log. `decide.rs` is the part to change.

mod decide;

use decide::decide;
use std::io;

fn main() -> io::Result<()> {
    let event = serde_json::from_reader(io::stdin().lock())?;
    println!("{}", decide(&event));
    Ok(())
}
