//! `docs/first-hook.md`, walked as it stands: its files are written, its commands typed, its outputs looked for.

use anyhow::{Context, Result, bail, ensure};
use jackfield_e2e::{Finished, Program, Scratch, Server};
use std::path::Path;
use std::time::Duration;

/// The encoder sends in real time, and a machine may be busy.
const LONG: Duration = Duration::from_secs(60);
const SERVER: &str = "jackfield --config jackfield.toml";

/// One fenced block, and the text before it.
struct Block<'a> {
    before: &'a str,
    language: &'a str,
    text: &'a str,
}

impl Block<'_> {
    /// The file that the paragraph before it names last.
    fn file(&self) -> Result<&str> {
        let paragraph = self.before.trim_end().rsplit("\n\n").next().unwrap_or_default();
        paragraph.rsplit('`').nth(1).with_context(|| format!("no file is named in {paragraph:?}"))
    }

    /// Whether the text says that it goes wrong.
    fn is_to_fail(&self) -> bool {
        self.before.trim_end().rsplit("\n\n").next().is_some_and(|paragraph| paragraph.contains("It fails"))
    }
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("```") {
        let (language, after) = after.split_once('\n').unwrap_or((after, ""));
        let (text, after) = after.split_once("```").unwrap_or((after, ""));
        blocks.push(Block { before, language, text });
        rest = after;
    }
    blocks
}

/// Types a line in the folder. The port of the page is that of the test's server.
fn type_in(folder: &Path, server: Option<&Server>, line: &str) -> Result<Finished> {
    let own = jackfield_e2e::server()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::iter::once(own.parent().context("a folder")?.to_path_buf()).chain(std::env::split_paths(&path));
    let mut program = Program::new("bash").cwd(folder).env("PATH", std::env::join_paths(path)?);
    let mut line = line.to_owned();
    if let Some(server) = server {
        line = line.replace("localhost:1935", &server.rtmp().to_string());
        program = program.env("JACKFIELD_API", format!("http://{}", server.http()));
        program = program.env("JACKFIELD_DATA_DIR", server.folder().join("data"));
    }
    program.args(["-c", &line]).run(LONG)
}

#[test]
fn the_first_hook_is_written_tried_and_explained_as_the_page_says() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/first-hook.md");
    let page = std::fs::read_to_string(page)?;
    let (scratch, mut server, mut said) = (Scratch::new()?, None, String::new());
    let folder = scratch.path();
    for block in blocks(&page) {
        match block.language {
            "python" | "toml" => drop(scratch.file(block.file()?, block.text)?),
            "sh" if block.text.trim() == SERVER => {
                let line = format!("cd '{}' && exec {SERVER}", folder.display());
                server = Some(Server::builder().line(line).start()?);
            }
            "sh" => {
                said.clear();
                for line in block.text.lines() {
                    let ran = type_in(folder, server.as_ref(), line)?;
                    let as_told = (ran.code == Some(0)) != block.is_to_fail();
                    ensure!(as_told, "{line} ended with {:?}: {}\n{}", ran.code, ran.stdout, ran.stderr);
                    said += &format!("{}\n{}\n", ran.stdout, ran.stderr);
                }
            }
            "text" => {
                for line in block.text.lines().map(str::trim) {
                    ensure!(said.contains(line), "the page shows {line:?}, but it said:\n{said}");
                }
            }
            other => bail!("a block of {other:?}"),
        }
    }
    server.context("the page starts no server")?.stop()?;
    Ok(())
}
