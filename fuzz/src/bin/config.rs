//! Configuration files: whatever stands in one, it is read or every problem is shown, and both can be printed.
#![no_main]

use jackfield_server::config::{Colour, Config, Flags, Problems};
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;

/// One file for each fuzzing process.
fn file() -> PathBuf {
    std::env::temp_dir().join(format!("jackfield-fuzz-{}.toml", std::process::id()))
}

fn load() -> Result<Config, Problems> {
    Config::load(&Flags { config: Some(file()), given: Vec::new() }, [])
}

fn check(problems: &Problems) {
    assert_eq!(problems.lines().count(), problems.count());
    let plain = problems.render(Colour::No);
    assert_eq!(plain.is_empty(), problems.count() == 0);
    drop(problems.render(Colour::Yes));
}

fuzz_target!(|data: &[u8]| {
    // Files that are named are read; those of the system are not the fuzzer's to find.
    if data.windows(5).any(|window| window == b"file:") {
        return;
    }
    std::fs::write(file(), data).expect("the temporary folder can be written");
    match (load(), load()) {
        (Ok(config), Ok(again)) => {
            check(&config.warnings);
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
        }
        (Err(problems), Err(again)) => {
            check(&problems);
            assert!(problems.count() > 0);
            assert_eq!(problems.to_string(), again.to_string());
        }
        _ => panic!("the same file is read in two ways"),
    }
});
