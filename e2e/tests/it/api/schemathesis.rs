//! Requests that a program makes up from the OpenAPI document: what it allows must be understood, what it does not must be
//! refused, and every answer must be one that it describes. Part of `make test-all`; `scripts/setup test-all` brings schemathesis.

use anyhow::{Context, Result, ensure};
use jackfield_e2e::{Api, Program, Server, all_cases};
use std::path::Path;
use std::time::Duration;

/// Far more than it takes: it ends by its own bounds.
const LONG: Duration = Duration::from_secs(900);

/// Made-up requests of each kind for each operation.
const EXAMPLES: &str = "25";

/// Operations that are left out.
const LEFT_OUT: [&str; 2] = [
    // Its answer does not end.
    "/api/v1/events/stream",
    // After it the server says of itself that it is not available.
    "/api/v1/drain",
];

/// Checks that are left out.
const UNCHECKED: [&str; 2] = [
    // No schema knows which cursor is of this list, and which name is free.
    "positive_data_acceptance",
    // Its wrong tokens are too many: they are 429. That each operation wants a token is tested elsewhere.
    "ignored_auth",
];

#[test]
fn made_up_requests_are_answered_as_the_document_says() -> Result<()> {
    if !all_cases() {
        eprintln!("left out: part of `make test-all`");
        return Ok(());
    }
    let tools =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the project's folder")?.join(".tools");
    let program = tools.join("schemathesis/bin/schemathesis");
    ensure!(program.exists(), "there is no schemathesis: `scripts/setup test-all` brings it");
    let server = Server::builder().log_level("info").start()?;
    let api = Api::admin(&server)?;
    let url = format!("http://{}/api/v1/openapi.json", server.http());
    let mut run = Program::new(program)
        .args(["run", &url, "--header", &format!("Authorization: Bearer {}", api.token())])
        .args(["--max-examples", EXAMPLES, "--seed", "1", "--no-color", "--generation-database", "none"])
        .args(["--request-timeout", "30", "--phases", "examples,coverage,fuzzing", "--continue-on-failure"])
        .args(["--exclude-checks", &UNCHECKED.join(",")])
        .cwd(server.folder());
    for path in LEFT_OUT {
        run = run.args(["--exclude-path", path]);
    }
    let done = run.run(LONG)?;
    ensure!(done.code == Some(0), "{:?}\n{}\n{}", done.code, done.stdout, done.stderr);
    // What broke and was answered in time is in the log.
    let broken = server.log().read(|lines| lines.iter().find(|line| line.contains("panicked")).cloned());
    ensure!(broken.is_none(), "{broken:?}");
    api.get("version")?.expect(200)?;
    Ok(())
}
