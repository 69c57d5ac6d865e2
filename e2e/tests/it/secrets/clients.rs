//! The clients of the command line: URLs have stream keys and passwords.

use super::plain;
use super::planted::{KEY, PASSWORD, Planted, TOKEN};
use anyhow::{Result, ensure};
use jackfield_e2e::{Program, SOON, clip, free_port, server};

/// What the client says of a URL, whatever comes of it.
fn said(arguments: &[&str]) -> Result<String> {
    let ended = Program::new(server()?).args(arguments).env("RUST_LOG", "trace").run(SOON)?;
    Ok(format!("{}\n{}", ended.stdout, ended.stderr))
}

#[test]
fn what_the_clients_print_has_no_secret_of_their_url() -> Result<()> {
    let (running, planted) = (plain()?, Planted::new(""));
    let clip = clip::standard()?;
    let file = clip.path().to_string_lossy().into_owned();
    let with = |host: String| format!("rtmp://user:{PASSWORD}@{host}/live/{KEY}?token={TOKEN}");
    // What is played has a name that is no secret.
    let here = with(running.rtmp().to_string()).replace(KEY, "show");
    let nobody = with(format!("127.0.0.1:{}", free_port()?));
    let no_url = with("host:99999".to_owned());
    let commands: [&[&str]; 8] = [
        &["probe", "--seconds", "1", &here],
        &["probe", "--json", "--seconds", "1", &here],
        &["play", "--seconds", "1", "-o", "/dev/null", &here],
        &["probe", &nobody.replace(KEY, "show")],
        &["probe", &no_url],
        &["publish", &file, &nobody],
        &["publish", &file, &no_url],
        &["publish", "/nowhere.flv", &here],
    ];
    for command in commands {
        let said = said(command)?;
        ensure!(!said.trim().is_empty(), "{command:?} says nothing");
        planted.look_in(&format!("what {:?} prints", command.first()), &said)?;
    }
    running.stop().map(drop)
}
