//! Documents that the server writes about itself: the reference of events, configuration, flags.
//!
//! The binary is the source, the file in the tree its copy for readers, and CI compares the two. To add a document, add a
//! line to [`DOCUMENTS`].

use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file in the tree and the arguments with which `jackfield` prints it.
struct Document {
    file: &'static str,
    args: &'static [&'static str],
}

const DOCUMENTS: &[Document] = &[
    Document { file: "docs/configuration.md", args: &["check", "--reference"] },
    Document { file: "docs/events.md", args: &["events", "--markdown"] },
    Document { file: "examples/jackfield.toml", args: &["check", "--example"] },
];

/// Writes every document; with `--check` changes nothing and fails if one differs.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("the only argument is --check"),
    };
    if DOCUMENTS.is_empty() {
        return Ok(());
    }
    let root = super::tidy::root();
    let binary = binary(&root)?;
    let mut stale = Vec::new();
    for Document { file, args } in DOCUMENTS {
        let printed = print(&binary, args)?;
        let path = root.join(file);
        if std::fs::read(&path).unwrap_or_default() == printed {
            continue;
        }
        if check {
            stale.push(*file);
        } else {
            std::fs::write(&path, printed).with_context(|| format!("writing {file}"))?;
            println!("generate: wrote {file}");
        }
    }
    ensure!(stale.is_empty(), "out of date: {}; `cargo xtask generate` writes them", stale.join(", "));
    Ok(())
}

/// `JACKFIELD_BIN` where a build has already made it, else the dev profile's, built now.
fn binary(root: &Path) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("JACKFIELD_BIN").map(PathBuf::from).filter(|path| path.exists()) {
        return Ok(path);
    }
    let status = program("cargo")
        .args(["build", "--quiet", "--package", "jackfield-cli"])
        .current_dir(root)
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "jackfield does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("debug/jackfield"))
}

fn print(binary: &Path, args: &[&str]) -> Result<Vec<u8>> {
    let out =
        program(binary).args(args).output().with_context(|| format!("starting {}", binary.display()))?;
    let shown = args.join(" ");
    ensure!(
        out.status.success(),
        "jackfield {shown}: {}: {}",
        out.status,
        String::from_utf8_lossy(&out.stderr)
    );
    ensure!(!out.stdout.is_empty(), "jackfield {shown} printed nothing");
    Ok(out.stdout)
}

/// A program of the developer's machine.
#[expect(
    clippy::disallowed_methods,
    reason = "a chore, not the server: there is no helper process to go through"
)]
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(name)
}
