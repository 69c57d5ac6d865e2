//! `jackfield hooks init`: a working starter with its own test.

mod starters;

use super::Kind;
use crate::failed::{Exit, Failed};
use crate::paint::print;
use clap::ValueEnum;
use serde_json::json;
use starters::{File, Mode, Starter};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// The folder; made if it is not there.
    dir: PathBuf,

    /// In which language.
    #[arg(long, value_name = "LANGUAGE")]
    lang: Language,

    /// A worker: a program that stays, and answers a line with a line (the default).
    #[arg(long, conflicts_with = "run")]
    worker: bool,

    /// A program that is started for each event.
    #[arg(long)]
    run: bool,

    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What starters are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// With jq.
    Bash,
    /// Python 3, without packages.
    Python,
    /// Node.js, without packages.
    Node,
    /// Go, without modules.
    Go,
    /// Rust, with serde_json.
    Rust,
}

/// Writes the starter. Nothing that is there is written over.
pub(super) fn run(options: &Init) -> anyhow::Result<()> {
    let kind = if options.run { Kind::Run } else { Kind::Worker };
    let starter = starters::starter(options.lang, kind);
    let mut files: Vec<(String, String, Mode)> = starter
        .files
        .iter()
        .map(|File { name, text, mode }| (name.to_string(), text.to_string(), *mode))
        .collect();
    files.push(("jackfield.toml".to_owned(), configuration(&starter, kind), Mode::Text));
    files.push(("README.md".to_owned(), readme(&starter, kind), Mode::Text));
    if let Some((name, ..)) =
        files.iter().find(|(name, ..)| options.dir.join(name).symlink_metadata().is_ok())
    {
        let wrong = format!("{} is there already", options.dir.join(name).display());
        return Err(Failed::new(Exit::Failed, wrong, "Nothing was written; name another folder.").into());
    }
    for (name, text, mode) in &files {
        let path = options.dir.join(name);
        write(&path, text, *mode).map_err(|error| {
            Failed::new(Exit::Failed, format!("cannot write {}: {error}", path.display()), "")
        })?;
    }
    let names: Vec<&str> = files.iter().map(|(name, ..)| name.as_str()).collect();
    let text = match options.json {
        true => {
            format!("{}\n", json!({"folder": options.dir, "files": names, "next": steps(&starter, kind)}))
        }
        false => told(&options.dir, &names, &steps(&starter, kind)),
    };
    print(&text).map(drop)
}

fn write(path: &Path, text: &str, mode: Mode) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let bits = match mode {
        Mode::Text => 0o644,
        Mode::Program => 0o755,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(bits).open(path)?;
    file.write_all(text.as_bytes())
}

fn told(folder: &Path, names: &[&str], steps: &[String]) -> String {
    let mut out =
        format!("Written to {}: {}.\n\nNext, in that folder:\n", folder.display(), names.join(", "));
    for step in steps {
        out.push_str(&format!("  {step}\n"));
    }
    out
}

/// What can be typed in the folder, in a sensible order.
fn steps(starter: &Starter, kind: Kind) -> Vec<String> {
    let worker = if kind == Kind::Worker { " --worker" } else { "" };
    let handler = starter.handler;
    let mut steps: Vec<String> = starter.build.iter().map(ToString::to_string).collect();
    steps.push(starter.test.to_owned());
    steps.push(format!(
        "jackfield hooks test {handler}{worker} --event authorize_publish --data query=token=letmein"
    ));
    steps.push(format!("jackfield hooks conform {handler}{worker} --event authorize_publish"));
    steps.push("jackfield --config jackfield.toml".to_owned());
    steps
}

fn configuration(starter: &Starter, kind: Kind) -> String {
    let key = match kind {
        Kind::Worker => "worker",
        Kind::Run => "run",
    };
    format!(
        "# jackfield --config jackfield.toml starts the server with this hook.\n\
         [[hook]]\nname = \"hook\"\non = [\"authorize_publish\"]\n{key} = [\"{}\"]\n",
        starter.handler
    )
}

fn readme(starter: &Starter, kind: Kind) -> String {
    let what = match kind {
        Kind::Worker => "worker: a program that stays, and answers one line of JSON with another",
        Kind::Run => "program that is started for each event, reads it, and answers",
    };
    let commands: String = steps(starter, kind).iter().map(|step| format!("{step}\n")).collect();
    format!(
        "# A hook for Jackfield\n\n\
         A {what}. It lets publishers in whose URL has `?token=` with the value of `STREAM_TOKEN` (`letmein` if that is not \
         set), and tells all others why not.\n\n\
         The part to change is `decide` in `{}`. `jackfield events` lists what a hook can be called with, `jackfield \
         events authorize_publish` shows one of them.\n\n\
         ```sh\n{commands}```\n\n\
         The first lines try it without a server: its own test, one call for real, and how it takes all that may come. \
         The last starts the server with it; then\n\n\
         ```sh\n\
         ffmpeg -re -f lavfi -i testsrc2 -c:v libx264 -g 50 -f flv 'rtmp://localhost/live/show?token=guess'\n\
         jackfield tail --since 1m    # what happened, and the id of the session\n\
         jackfield explain s000001    # who was asked, and what each said\n\
         ```\n",
        starter.part
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_starter_has_a_handler_a_part_to_change_and_a_test() {
        for lang in Language::value_variants() {
            for kind in [Kind::Worker, Kind::Run] {
                let starter = starters::starter(*lang, kind);
                let has = |name: &str| starter.files.iter().any(|file| file.name == name);
                assert!(has(starter.part), "{lang:?} {kind:?}");
                let handler = starter.handler.trim_start_matches("./");
                assert!(starter.build.is_some() || has(handler), "{lang:?} {kind:?}");
                let decides = |file: &File| file.name == starter.part && file.text.contains("ecide");
                assert!(starter.files.iter().any(decides), "{lang:?} {kind:?}");
                assert!(readme(&starter, kind).contains(starter.test));
            }
        }
    }
}
