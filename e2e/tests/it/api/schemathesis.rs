//! Requests that a program makes up from the OpenAPI document: what it allows must be understood, what it does not must be
//! refused, and every answer must be one that it describes. Part of `make test-all`; `scripts/setup test-all` brings schemathesis.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Api, Front, Program, Server, all_cases};
use std::path::Path;
use std::time::Duration;

/// Far more than it takes: it ends by its own bounds.
const LONG: Duration = Duration::from_secs(900);

/// Made-up requests of each kind for each operation.
const EXAMPLES: &str = "25";

/// An answer without an end, which is ended after a moment.
const ENDLESS: &str = "/api/v1/events/stream";
/// After it the server says of itself that it is not available, so it has a server of its own.
const DRAIN: &str = "/api/v1/drain";
/// No schema knows which cursor is of this list, and which name is free.
const UNCHECKED: &str = "positive_data_acceptance";

#[test]
fn made_up_requests_are_answered_as_the_document_says() -> Result<()> {
    eprintln!("{}", judge(&["--exclude-path", DRAIN], Tokens::Heeded)?);
    Ok(())
}

#[test]
fn made_up_requests_to_drain_are_answered_as_the_document_says() -> Result<()> {
    eprintln!("{}", judge(&["--include-path", DRAIN], Tokens::Heeded)?);
    Ok(())
}

#[test]
fn made_up_requests_find_out_a_server_that_heeds_no_tokens() -> Result<()> {
    if !all_cases() {
        eprintln!("left out: part of `make test-all`");
        return Ok(());
    }
    let judged = judge(&["--include-path", "/api/v1/version"], Tokens::Ignored);
    let found = judged.err().context("it was not found out")?.to_string();
    ensure!(found.contains("API accepts requests without authentication"), "{found}");
    Ok(())
}

/// Whether the server heeds tokens, or something before it shows a good one for everybody.
#[derive(Debug, Clone, Copy)]
enum Tokens {
    Heeded,
    Ignored,
}

/// What the program says of these operations, all of which it found to be right.
fn judge(which: &[&str], tokens: Tokens) -> Result<String> {
    if !all_cases() {
        return Ok("left out: part of `make test-all`".to_owned());
    }
    let tools =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project's folder")?.join(".tools");
    let program = tools.join("schemathesis/bin/schemathesis");
    ensure!(program.exists(), "there is no schemathesis: `scripts/setup test-all` brings it");
    let server = Server::builder().log_level("info").start()?;
    let api = Api::admin(&server)?;
    // Each request is of another client: after ten wrong tokens of one, 429 is all that an operation says of a token.
    let front = match tokens {
        Tokens::Heeded => Front::of(server.http(), ENDLESS),
        Tokens::Ignored => Front::heedless(server.http(), ENDLESS, api.authorization()),
    }?;
    let url = format!("http://{}/api/v1/openapi.json", front.address());
    let done = Program::new(program)
        .args(["run", &url, "--header", &format!("Authorization: Bearer {}", api.token())])
        .args(["--max-examples", EXAMPLES, "--seed", "1", "--no-color", "--generation-database", "none"])
        .args(["--request-timeout", "30", "--phases", "examples,coverage,fuzzing", "--continue-on-failure"])
        .args(["--exclude-checks", UNCHECKED])
        .args(which)
        .cwd(server.folder())
        .run(LONG)?;
    ensure!(done.code == Some(0), "{:?}\n{}\n{}", done.code, done.stdout, done.stderr);
    // What broke and was answered in time is in the log.
    let broken = server.log().read(|lines| lines.iter().find(|line| line.contains("panicked")).cloned());
    ensure!(broken.is_none(), "{broken:?}");
    // Whether an operation heeds tokens at all is judged with wrong ones.
    let metrics =
        format!("GET /metrics HTTP/1.1\r\nhost: h\r\n{}connection: close\r\n\r\n", api.authorization());
    let metrics = api.raw(&metrics)?.expect(200)?.text;
    let wrong = metrics.lines().find_map(|line| line.strip_prefix("jackfield_http_failed_tokens_total "));
    ensure!(wrong.is_some_and(|count| count != "0"), "no wrong token was tried: {wrong:?}");
    Ok(done.stdout)
}
