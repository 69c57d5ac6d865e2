//! The files of the starters, as they lie in `starters/`: each folder there works and is tested as it is.

use super::Language;
use crate::hooks::Kind;

/// One starter.
pub(super) struct Starter {
    pub(super) files: &'static [File],
    /// The program, from the folder.
    pub(super) handler: &'static str,
    /// The file with the part to change.
    pub(super) part: &'static str,
    /// What builds it, if it has to be built.
    pub(super) build: Option<&'static str>,
    /// What runs its test.
    pub(super) test: &'static str,
}

/// One file of it.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) mode: Mode,
}

/// Whether a file can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Text,
    Program,
}

/// The files of a folder.
macro_rules! files {
    ($folder:literal: $($mode:ident $name:literal),* $(,)?) => {
        &[$(File {
            name: $name,
            text: include_str!(concat!("../../../starters/", $folder, "/", $name)),
            mode: Mode::$mode,
        }),*]
    };
}

/// The starter in this language.
pub(super) fn starter(lang: Language, kind: Kind) -> Starter {
    match lang {
        Language::Bash => Starter {
            files: match kind {
                Kind::Worker => files!("bash/worker": Program "hook.sh", Program "test.sh"),
                Kind::Run => files!("bash/run": Program "hook.sh", Program "test.sh"),
            },
            handler: "./hook.sh",
            part: "hook.sh",
            build: None,
            test: "./test.sh",
        },
        Language::Python => Starter {
            files: match kind {
                Kind::Worker => files!("python/worker": Program "hook.py", Text "test_hook.py"),
                Kind::Run => files!("python/run": Program "hook.py", Text "test_hook.py"),
            },
            handler: "./hook.py",
            part: "hook.py",
            build: None,
            test: "python3 -m unittest",
        },
        Language::Node => Starter {
            files: match kind {
                Kind::Worker => files!("node/worker": Program "hook.js", Text "hook.test.js"),
                Kind::Run => files!("node/run": Program "hook.js", Text "hook.test.js"),
            },
            handler: "./hook.js",
            part: "hook.js",
            build: None,
            test: "node --test",
        },
        Language::Go => Starter {
            files: match kind {
                Kind::Worker => files!("go/worker": Text "go.mod", Text "main.go", Text "decide.go",
                    Text "decide_test.go", Text "main_test.go"),
                Kind::Run => {
                    files!("go/run": Text "go.mod", Text "main.go", Text "decide.go", Text "decide_test.go")
                }
            },
            handler: "./hook",
            part: "decide.go",
            build: Some("go build"),
            test: "go test",
        },
        Language::Rust => Starter {
            files: match kind {
                Kind::Worker => {
                    files!("rust/worker": Text "Cargo.toml", Text "src/main.rs", Text "src/decide.rs")
                }
                Kind::Run => files!("rust/run": Text "Cargo.toml", Text "src/main.rs", Text "src/decide.rs"),
            },
            handler: "./target/release/hook",
            part: "src/decide.rs",
            build: Some("cargo build --release"),
            test: "cargo test",
        },
    }
}
