//! The hook engine under simulation: seeds in, broken laws out.
//!
//! A seed is one imagined day of a server: its hooks, what happens, how handlers behave, when time
//! jumps, when the operator reloads. The world plays it against [`jackfield_hooks::Core`], and a checker
//! that sees only inputs and outputs knows the laws. The same seed is the same day, so a failure can be
//! replayed with its trace.
//!
//! To prove that the checker bites, the core can be given named defects ([`Mutation`]); each must be
//! found.
//!
//! ```
//! use jackfield_hook_simulation::{Mutation, hunt, run, seeds};
//! assert!(run(7, None).is_ok());
//! assert_eq!(seeds(0..50).unwrap().seeds, 50);
//! assert!(hunt(Mutation::VerdictTwice, 10_000).is_some());
//! ```
//!
//! What it does not do: it calls no transport and no clock, and it does not know how the driver uses the
//! core.

mod chance;
mod checker;
mod input;
mod run;
mod trace;
mod world;

pub use jackfield_hooks::{Law, Mutation};
pub use run::{Broken, Tally, hunt, run, seeds, trace};
