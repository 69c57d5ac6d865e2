//! Unsafe code stands only where this list says, and each such file says why.
//!
//! The compiler denies it everywhere (`unsafe_code` in the workspace's lints); this keeps the exceptions in one list.

use super::{Finding, source};

/// Files and folders with unsafe code, and what for.
const ALLOWED: [(&str, &str); 9] = [
    ("crates/process/src/sys", "fork, exec, signal masks, the user database"),
    ("crates/process/src/lib.rs", "an initialiser for test binaries"),
    ("crates/net/src/low_water.rs", "a socket option without a wrapper"),
    ("crates/process/tests/", "leases on files"),
    ("crates/rtmp/tests/it/memory.rs", "an allocator that counts"),
    ("crates/dispatch/tests/it/allocations.rs", "an allocator that counts"),
    ("e2e/src/link/", "network devices of the test kit"),
    ("fuzz/", "an allocator that counts, and the entry of the fuzzer: nothing of it is in the server"),
    ("bench/", "the load tool and what counts under valgrind: nothing of it is in the server"),
];

/// Checks one file; `place` is its path from the root of the project.
pub(super) fn check(place: &str, text: &str) -> Vec<Finding> {
    if ALLOWED.iter().any(|(allowed, _)| place.starts_with(allowed)) {
        return Vec::new();
    }
    let code = source::blank(text);
    let is_unsafe =
        |line: &str| line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == "unsafe");
    let lines = code.lines().enumerate().filter(|(_, line)| is_unsafe(line));
    lines
        .map(|(at, _)| {
            Finding::fault(
                format!("{place}:{}", at + 1),
                "unsafe code where xtask/src/tidy/unsafety.rs allows none",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_code_is_found_where_it_is_not_allowed() {
        let text = "//! unsafe\nfn a() {\n    let unsafe_code = \"unsafe\";\n    unsafe { b() }\n}\n";
        let places = |place: &str| -> Vec<String> {
            check(place, text).into_iter().map(|found| found.place).collect()
        };
        assert_eq!(places("crates/hub/src/lib.rs"), ["crates/hub/src/lib.rs:4"]);
        assert_eq!(places("crates/process/src/sys/raw.rs"), [""; 0]);
    }
}
