//! Scripts and workers in several languages: each decides, and is told.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::{Matrix, Scratch, Server, fixture, hook_fixture};
use std::fmt::Write as _;

const LANGUAGES: [&str; 5] = ["bash", "dash", "python", "node", "rust"];

/// How a hook in this language is called: with its program, or by its own first line.
fn program(language: &str, role: &str) -> Result<Vec<String>> {
    let (end, through) = match language {
        "python" => ("py", Some("python3")),
        "node" => ("js", Some("node")),
        "rust" => return Ok(vec![hook_fixture()?.display().to_string(), role.to_owned()]),
        shell => (shell, None),
    };
    let path = fixture(&format!("hooks/{role}.{end}"))?.display().to_string();
    Ok(through.into_iter().map(str::to_owned).chain([path]).collect())
}

/// Publishes under a name that the hook lets through, and one that it does not.
fn try_hook(server: &Server, language: &str, role: &str) -> Result<String> {
    let name = format!("{language}-{role}");
    let mut yes = Client::connect(server.rtmp(), "live")?;
    let stream = yes.publish(&format!("{name}-yes")).context("allowed")?;
    yes.unpublish(stream, &format!("{name}-yes"))?;
    let mut no = Client::connect(server.rtmp(), "live")?;
    let refused = no.publish(&format!("{name}-no")).err().context("published what is denied")?;
    let refused: &Refused = refused.downcast_ref().with_context(|| format!("{refused:#}"))?;
    ensure!(refused.code == "NetStream.Publish.BadName", "{refused}");
    // The script in bash denies by its exit code; what it says then is for the log, as a hook of a file.
    let expect = if name == "bash-script" { "Refused." } else { "Not in " };
    ensure!(refused.description.starts_with(expect), "{refused}");
    Ok(refused.description.clone())
}

#[test]
fn matrix_of_languages_and_roles() -> Result<()> {
    const ROLES: [&str; 2] = ["script", "worker"];
    let folder = Scratch::new()?;
    let notes = folder.path().join("notes");
    let mut config = String::new();
    for language in LANGUAGES {
        for role in ROLES {
            let key = if role == "script" { "run" } else { role };
            let program = serde_json::to_string(&program(language, role)?)?;
            let streams = format!("{language}-{role}-*");
            writeln!(
                config,
                "[[hook]]\nname = \"{language}-{role}\"\non = [\"authorize_publish\", \"publish_start\"]\n\
                 streams = [\"{streams}\"]\n{key} = {program}\nenv = [\"NOTES={}\"]\ntimeout = \"20s\"",
                notes.display()
            )?;
        }
    }
    config.push_str("[hooks]\nquestion_budget = \"25s\"\n");
    let server = Server::builder().config(config).start()?;
    let mut matrix = Matrix::new("languages of hooks", LANGUAGES, ROLES);
    for (row, language) in LANGUAGES.into_iter().enumerate() {
        for (column, role) in ROLES.into_iter().enumerate() {
            matrix.set(row, column, try_hook(&server, language, role));
        }
    }
    println!("{}", matrix.markdown());
    let ended = server.stop()?;
    let told = std::fs::read_to_string(&notes)?;
    for language in LANGUAGES {
        for role in ROLES {
            let line = format!("{language}-{role} publish_start live/{language}-{role}-yes");
            ensure!(told.lines().filter(|told| *told == line).count() == 1, "no single `{line}` in {told}");
        }
    }
    ensure!(!told.contains("-no"), "{told}");
    jackfield_e2e::check_pairs(&ended.events.all()?)?;
    matrix.finish()
}
