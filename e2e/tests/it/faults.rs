//! Faults of the machine and of what the server works with. `docs/reliability.md` says which test stands for which fault.

mod descriptors;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::rtmp::{Client, Refused};
use jackfield_e2e::{LogLine, Server};

/// Publishes and leaves again; the description of the refusal, if there is one.
fn ask(server: &Server, name: &str) -> Result<Option<String>> {
    answer(Client::connect(server.rtmp(), "live")?.publish(name))
}

fn answer(published: Result<u32>) -> Result<Option<String>> {
    let Err(error) = published else { return Ok(None) };
    Ok(Some(error.downcast::<Refused>().context("neither allowed nor refused")?.description))
}

/// Publishes, which must be allowed.
fn allowed(server: &Server, name: &str) -> Result<()> {
    let refused = ask(server, name).with_context(|| name.to_owned())?;
    ensure!(refused.is_none(), "{name} was refused: {refused:?}");
    Ok(())
}

/// How the calls of a hook about this stream ended, in the order of their ends.
fn outcomes(server: &Server, hook: &str, stream: &str) -> Vec<String> {
    let lines = server.log().all();
    let lines = lines.iter().filter_map(|line| LogLine::parse(line));
    let calls = lines.filter(|line| {
        line.message() == "Hook called"
            && line.field("hook") == Some(hook)
            && line.field("stream") == Some(stream)
    });
    calls.filter_map(|line| line.field("outcome").map(str::to_owned)).collect()
}

/// How many lines of the log are this sentence.
fn told(log: &[String], sentence: &str) -> usize {
    log.iter().filter_map(|line| LogLine::parse(line)).filter(|line| line.message() == sentence).count()
}
