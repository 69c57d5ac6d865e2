//! The short form of the soak, with every check but that of memory.

#![expect(clippy::disallowed_methods, reason = "the program itself is started, from outside")]

use std::process::Command;

#[test]
fn a_server_under_load_with_hooks_that_misbehave_keeps_its_promises() {
    let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/soak");
    let mut soak = Command::new(env!("CARGO_BIN_EXE_soak"));
    soak.args(["--short", "--for", "1s", "--folder", folder]);
    let soak = soak.output().unwrap();
    let said = String::from_utf8_lossy(&soak.stdout);
    assert!(soak.status.success(), "{said}\n{}", String::from_utf8_lossy(&soak.stderr));
}
