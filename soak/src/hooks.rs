//! The configuration of the server under test: hooks of every kind on everything, and one that misbehaves in each way.

use crate::plan::Plan;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

/// What a hook's failures must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    Denied,
}

/// A hook that misbehaves.
#[derive(Debug, Clone)]
pub(crate) struct Bad {
    pub(crate) name: &'static str,
    handler: Handler,
    timeout: Timeout,
    /// What its failure means.
    policy: &'static str,
    /// What its policy, or what it says before it misbehaves, makes of a question.
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, Copy)]
enum Handler {
    /// A script of the shell.
    Run(&'static str),
    /// A manner of [`crate::workers`].
    Worker(&'static str),
    /// A path of [`crate::receiver`].
    Url(&'static str),
}

#[derive(Debug, Clone, Copy)]
enum Timeout {
    /// For those that never answer in time.
    Short,
    /// That of questions, for those whose end or answer is to be seen, on a busy machine too.
    Long,
}

use Handler::{Run, Url, Worker};
use Timeout::{Long, Short};
use Verdict::{Allowed, Denied};

const fn bad(
    name: &'static str,
    handler: Handler,
    timeout: Timeout,
    policy: &'static str,
    verdict: Verdict,
) -> Bad {
    Bad { name, handler, timeout, policy, verdict }
}

/// One of each kind.
pub(crate) const BAD: [Bad; 13] = [
    // Ends only by SIGKILL.
    bad("run-hangs", Run("trap '' TERM; sleep 60"), Short, "allow", Allowed),
    bad("run-fails", Run("exit 1"), Long, "deny", Denied),
    bad("run-floods", Run("exec yes"), Short, "allow", Allowed),
    // What is left in the background has the program's pipes. The program itself has no opinion.
    bad("run-forks", Run("for i in 1 2 3 4 5; do sleep 1 & done"), Long, "deny", Allowed),
    bad("worker-strays", Worker("wrong-ids"), Long, "deny", Denied),
    bad("worker-babbles", Worker("garbage"), Long, "allow", Allowed),
    bad("worker-dies", Worker("dies"), Long, "deny", Denied),
    bad("worker-slow", Worker("slow"), Short, "allow", Allowed),
    bad("url-fails", Url("fails"), Long, "deny", Denied),
    bad("url-stalls", Url("stalls"), Short, "allow", Allowed),
    bad("url-closes", Url("closes"), Long, "deny", Denied),
    bad("url-drips", Url("drips"), Short, "allow", Allowed),
    // It behaves, and its word counts for more than the policy.
    bad("url-denies", Url("denies"), Long, "allow", Denied),
];

/// Hooks that must answer each call.
pub(crate) const GOOD: [&str; 3] = ["worker", "url", "run-asked"];

/// How a hook of the list is called in the configuration where it decides.
pub(crate) fn asked(name: &str) -> String {
    format!("{name}-asked")
}

/// Which hooks there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// The recorder alone, before the load and after it.
    Recorder,
    All,
}

/// Writes the configuration.
pub(crate) fn write(path: &Path, which: Which, receiver: SocketAddr, plan: &Plan) -> Result<()> {
    let mut text = BASE.to_owned();
    let (timeout, budget) = (plan.timeout.as_millis(), (plan.timeout * 3 / 2).as_millis());
    write!(text, "question_timeout = \"{timeout}ms\"\nquestion_budget = \"{budget}ms\"\n{RECORDER}")?;
    if which == Which::All {
        let own = std::env::current_exe().context("our own path")?;
        let own = own.to_str().context("our own path is no text")?;
        good(&mut text, own, receiver)?;
        for hook in &BAD {
            misbehaving(&mut text, hook, own, receiver, plan)?;
        }
    }
    // The server may be reading it: it sees the old one or the new one.
    let next = path.with_extension("next");
    std::fs::write(&next, text).context("the configuration")?;
    std::fs::rename(&next, path).context("the configuration")
}

/// Takeover at any time; a player waits less than its own deadline; the log has what matters.
const BASE: &str = r#"
[server]
node = "soak"
data_dir = "data"
log_level = "warn"
drain_timeout = "5s"
[rtmp]
listen = ["127.0.0.1:0"]
[http]
listen = "off"
[hub]
takeover = "replace"
wait_ms = 5000
[hooks]
concurrency = 64
"#;

const RECORDER: &str = r#"
[[hook]]
name = "recorder"
stdio = "stdout"
format = "ndjson"
"#;

/// They must miss nothing, so their queues hold what a crowd makes.
fn good(text: &mut String, own: &str, receiver: SocketAddr) -> Result<()> {
    write!(
        text,
        r#"
[[hook]]
name = "worker"
on = ["*"]
worker = [{own:?}, "worker", "good"]
concurrency = 64
queue = 20000
[[hook]]
name = "url"
on = ["*"]
url = "http://{receiver}/good"
concurrency = 64
queue = 20000
[[hook]]
name = "run-asked"
on = ["authorize_publish"]
streams = ["live/s*"]
run = ["true"]
[[hook]]
name = "run"
on = ["*"]
mode = "notify"
run = ["true"]
rate = 10
queue = 50
# Its reader stops now and then.
[[hook]]
name = "stderr"
stdio = "stderr"
format = "ndjson"
"#
    )?;
    Ok(())
}

/// Told of everything, at a pace that leaves the machine to the others; asked about streams of its own.
fn misbehaving(text: &mut String, hook: &Bad, own: &str, receiver: SocketAddr, plan: &Plan) -> Result<()> {
    let Bad { name, policy, .. } = hook;
    let timeout = match hook.timeout {
        Short => "300ms".to_owned(),
        Long => format!("{}s", plan.timeout.as_secs()),
    };
    let handler = match hook.handler {
        Run(script) => format!("run = [\"sh\", \"-c\", {script:?}]"),
        Worker(manner) => format!("worker = [{own:?}, \"worker\", {manner:?}]"),
        Url(path) => format!("url = \"http://{receiver}/{path}\""),
    };
    let asked = asked(name);
    write!(
        text,
        r#"
[[hook]]
name = "{name}-told"
on = ["*"]
mode = "notify"
{handler}
timeout = "{timeout}"
rate = 1
queue = 20
retries = 1
[[hook]]
name = "{asked}"
on = ["authorize_publish"]
streams = ["live/{asked}"]
{handler}
timeout = "{timeout}"
on_error = "{policy}"
"#
    )?;
    Ok(())
}
