//! Secrets are planted wherever a user has one, and then looked for wherever one must not be: the log at its most
//! talkative, events, what `check` prints, what the clients print, and what programs are started with.

mod clients;
mod planted;

use anyhow::{Context, Result, ensure};
use jackfield_e2e::receiver::refusing_url;
use jackfield_e2e::rtmp::{Client, configurations, picture};
use jackfield_e2e::tls::Authority;
use jackfield_e2e::{
    Api, Program, Receiver, Reply, Running, SOON, Scratch, Server, clip, eventually, free_port, server,
};
use planted::{HEADER, HOOK_ENV, HOOK_SECRET, KEY, PASSWORD, PIN, Planted, TOKEN};
use rustix::process::Signal;
use serde_json::json;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

/// A server with a secret in each place that can hold one, and hooks of every kind, of which some fail.
struct Guarded {
    program: Running,
    rtmp: SocketAddr,
    rtmps: SocketAddr,
    http: SocketAddr,
    receiver: Receiver,
    planted: Planted,
    folder: Scratch,
}

impl Guarded {
    fn start(log_format: &str) -> Result<Self> {
        let (folder, authority) = (Scratch::new()?, Authority::new()?);
        let identity = authority.identity(&["localhost"])?;
        folder.file("cert.pem", &identity.certificate_pem())?;
        folder.file("key.pem", &identity.key_pem())?;
        let planted = Planted::new(&identity.key_pem());
        let receiver = Receiver::start(|request| {
            let body = request.json();
            let deny = body["stream_key"] == "live/denied";
            // A careless handler repeats what it was asked.
            let reason = json!({ "code": "no", "text": format!("asked: {}", body["data"]["query"]) });
            Reply::json(200, &json!({ "decision": if deny { "deny" } else { "allow" }, "reason": reason }))
        })?;
        folder.script("rename.sh", RENAME)?;
        folder.script("show.sh", SHOW)?;
        folder.script("crash.sh", CRASH)?;
        folder.script("listen.sh", LISTEN)?;
        let config = config(&receiver, &refusing_url()?);
        folder.file("jackfield.toml", &config)?;
        let (rtmp, rtmps, http) = (local(free_port()?), local(free_port()?), local(free_port()?));
        let program = Program::new(server()?)
            .args([
                "--config",
                "jackfield.toml",
                "--listen",
                &rtmp.to_string(),
                "--http-listen",
                &http.to_string(),
            ])
            .args(["--rtmps-listen", &rtmps.to_string(), "--data-dir", "data"])
            .args(["--log-level", "trace", "--log-format", log_format, "--hook-stdio-format", "json"])
            .env("HOOK_SECRET", format!("whsec_{HOOK_SECRET}"))
            .env("HOOK_TOKEN", HEADER)
            .env("RUST_BACKTRACE", "1")
            .cwd(folder.path())
            .start()?;
        program.stderr().wait("three listeners", SOON, |lines| {
            (lines.iter().filter(|line| line.contains("Listening")).count() == 3).then_some(())
        })?;
        Ok(Self { program, rtmp, rtmps, http, receiver, planted, folder })
    }

    /// Waits for a line of the log.
    fn logged(&self, what: &str) -> Result<()> {
        self.program
            .stderr()
            .wait(what, SOON, |lines| lines.iter().any(|line| line.contains(what)).then_some(()))
    }

    /// Everything that a user does, well and badly.
    fn use_it(&self) -> Result<()> {
        // Denied, and refused for its name.
        let denied = Client::connect(self.rtmp, "live")?.publish(&format!("denied?token={TOKEN}&pin={PIN}"));
        ensure!(denied.is_err(), "it was not denied");
        let bad = Client::connect(self.rtmp, "live")?.publish(&format!("../{KEY}?token={TOKEN}"));
        ensure!(bad.is_err(), "a bad name was let in");
        // Published under a secret name, which is replaced; taken over from the same; played.
        let app = format!("live?auth={TOKEN}");
        let name = format!("{KEY}?token={TOKEN}&pin={PIN}");
        let mut first = Client::connect(self.rtmp, &app)?;
        first.publish(&name)?;
        let mut second = Client::connect(self.rtmp, &app)?;
        let stream = second.publish(&name)?;
        let mut player = Client::connect(self.rtmp, &app)?;
        player.play(&format!("show?jwt={TOKEN}"))?;
        let clip = clip::standard()?;
        for media in configurations(&clip).iter().chain(&[picture(0, 1000), picture(1, 1000)]) {
            second.send(stream, media)?;
        }
        player.media(SOON)?;
        // What is no RTMP, and what breaks it.
        TcpStream::connect(self.rtmp)?.write_all(format!("GET /?token={TOKEN} HTTP/1.1\r\n").as_bytes())?;
        TcpStream::connect(self.rtmps)?.write_all(format!("GET /?token={TOKEN} HTTP/1.1\r\n").as_bytes())?;
        self.logged("Worker has to be replaced")?;
        eventually("what the hooks' programs saw", SOON, || {
            let told = std::fs::read_to_string(self.folder.path().join("worker.txt")).unwrap_or_default();
            let seen = self.folder.path().join("seen.done").exists();
            Ok((seen && told.contains("publish_start")).then_some(()))
        })?;
        self.look_through_the_api()?;
        drop((first, second, player));
        self.receiver.wait("questions with their secrets", SOON, |request| {
            request.json()["data"]["query"].as_str().is_some_and(|query| query.contains(TOKEN))
        })?;
        Ok(())
    }

    /// Asks the API for all that it shows, while it is going on.
    fn look_through_the_api(&self) -> Result<()> {
        let token = std::fs::read_to_string(self.folder.path().join("data/admin.token"))?;
        let api = Api::new(self.http, token.trim_end());
        let mut paths: Vec<String> = [
            "health",
            "version",
            "config",
            "streams",
            "streams/show",
            "connections",
            "connections/c000004",
            "hooks",
            "hooks/auth",
            "hooks/gone",
            "events/log?limit=1000",
            "deliveries?limit=1000",
            "dead-letters?limit=1000",
            "openapi.json",
            "docs",
        ]
        .map(str::to_owned)
        .to_vec();
        for list in ["deliveries", "dead-letters"] {
            let items = api.get(&format!("{list}?limit=1000"))?.body["items"].clone();
            let ids = items.as_array().into_iter().flatten().filter_map(|item| item["id"].as_str());
            paths.extend(ids.map(|id| format!("{list}/{id}")));
        }
        paths.extend((1..=5).map(|number| format!("explain/c{number:06}")));
        for path in paths {
            let answer = api.get(&path)?;
            ensure!(
                answer.status == 200 || answer.status == 404,
                "{path}: {} {}",
                answer.status,
                answer.text
            );
            self.planted.look_in(&format!("GET {path}"), &answer.text)?;
        }
        let config = api.get("config")?.text;
        ensure!(config.contains("env:HOOK_SECRET") && config.contains("token=***"), "{config}");
        Ok(())
    }

    /// Reloads a configuration that is wrong at the places of its secrets.
    fn reload_badly(&self) -> Result<()> {
        let path = self.folder.path().join("jackfield.toml");
        let good = std::fs::read_to_string(&path)?;
        let bad = good.replace("timeout = \"3s\"", "timeout = 3").replace("on = [\"play_start\"]", "on = 1");
        std::fs::write(&path, bad)?;
        self.program.signal(Signal::HUP)?;
        self.logged("The configuration is not valid")?;
        std::fs::write(&path, good)?;
        Ok(())
    }
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn config(receiver: &Receiver, refusing: &str) -> String {
    let with_password = |url: &str| {
        let gap = if url.contains("?") { "&" } else { "?" };
        format!("{}{gap}token={TOKEN}", url.replacen("http://", &format!("http://user:{PASSWORD}@"), 1))
    };
    let (auth, refusing) = (with_password(&receiver.url("/auth")), with_password(refusing));
    format!(
        r#"
[server]
drain_timeout = "100ms"
[security]
secret_params = ["pin"]
[hub]
takeover = "replace"
[rtmps]
cert = ["cert.pem"]
key = ["key.pem"]
[[hook]]
name = "rename"
on = ["resolve_*"]
run = "./rename.sh"
[[hook]]
name = "auth"
on = ["authorize_*"]
url = "{auth}"
secret = ["env:HOOK_SECRET", "whsec_{HOOK_SECRET}"]
headers = {{ Authorization = "env:HOOK_TOKEN", X-Own = "{HEADER}" }}
timeout = "3s"
[[hook]]
name = "gone"
on = ["publish_start"]
url = "{refusing}"
retries = 0
[[hook]]
name = "crash"
on = ["publish_start", "connection_accept"]
worker = "./crash.sh"
env = ["API_PASSWORD={HOOK_ENV}"]
[[hook]]
name = "listen"
on = ["publish_start"]
worker = "./listen.sh"
[[hook]]
name = "show"
on = ["play_start"]
run = "./show.sh"
"#
    )
}

/// Replaces the secret name, and prints more than it should.
const RENAME: &str = r#"#!/bin/sh
echo "asked for $RTMP_QUERY at $RTMP_TC_URL" >&2
case $RTMP_STREAM_NAME in
    denied) echo '{"decision":"keep"}' ;;
    *) echo '{"decision":"replace","value":"live/show"}' ;;
esac
"#;

/// Writes down what a program of a notice was started with, and what it could ask of the processes above it.
const SHOW: &str = r#"#!/bin/sh
{ env; tr '\0' '\n' </proc/self/cmdline; cat; } >seen.part
tr '\0' '\n' <"/proc/$PPID/cmdline" >>seen.part
mv seen.part seen.txt
: >seen.done
"#;

/// Writes down what a worker was started with, and what it is told.
const LISTEN: &str = r#"#!/bin/sh
{ env; tr '\0' '\n' </proc/self/cmdline; } >worker.txt
while read -r line; do
    printf '%s\n' "$line" >>worker.txt
    echo '{}'
done
"#;

/// Reads one event and dies.
const CRASH: &str = "#!/bin/sh\nread -r line\nkill -SEGV $$\n";

fn full_run(log_format: &str) -> Result<()> {
    let mut guarded = Guarded::start(log_format)?;
    guarded.use_it()?;
    guarded.reload_badly()?;
    guarded.program.signal(Signal::TERM)?;
    let status = guarded.program.wait(SOON)?;
    ensure!(status.success(), "the server ended with {status}");
    let Guarded { program, planted, folder, .. } = guarded;
    program.stdout().wait_closed("standard output", SOON)?;
    program.stderr().wait_closed("the log", SOON)?;
    let (events, log) = (program.stdout().all().join("\n"), program.stderr().all().join("\n"));
    ensure!(events.contains("publish_start") && events.contains("auth_failed"), "{events}");
    ensure!(log.contains("superseded") && log.contains("TLS handshake failed"), "{log}");
    // What was looked through is the talkative log, with the places where secrets were.
    ensure!(log.contains("DEBUG") && log.contains("token=***") && log.contains("pin=***"), "{log}");
    planted.look_in("the events", &events)?;
    planted.look_in("the log", &log)?;
    let seen = std::fs::read_to_string(folder.path().join("seen.txt"))?;
    ensure!(seen.contains("RTMP_STREAM_KEY=live/show") && seen.contains("jackfield"), "{seen}");
    planted.look_in("what a program is started with", &seen)?;
    let told = std::fs::read_to_string(folder.path().join("worker.txt"))?;
    ensure!(told.contains("PATH=") && told.contains("listen.sh"), "{told}");
    planted.look_in("what a worker is started with and told", &told)?;
    files_below(&folder.path().join("data"), &planted)
}

/// What the server keeps.
fn files_below(folder: &Path, planted: &Planted) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, planted)?;
        } else {
            let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            planted.look_in(&path.display().to_string(), &text)?;
        }
    }
    Ok(())
}

#[test]
fn a_full_run_tells_no_secret_in_text() -> Result<()> {
    full_run("text")
}

#[test]
fn a_full_run_tells_no_secret_in_json() -> Result<()> {
    full_run("json")
}

#[test]
fn what_check_prints_has_no_secret_whether_it_is_content_or_not() -> Result<()> {
    let folder = Scratch::new()?;
    let (authority, receiver) = (Authority::new()?, Receiver::start(|_| Reply::status(204))?);
    let identity = authority.identity(&["localhost"])?;
    folder.file("cert.pem", &identity.certificate_pem())?;
    folder.file("key.pem", &identity.key_pem())?;
    for script in ["rename.sh", "show.sh", "crash.sh", "listen.sh"] {
        folder.script(script, "#!/bin/sh\n")?;
    }
    let planted = Planted::new(&identity.key_pem());
    let good = config(&receiver, &receiver.url("/"));
    // An error or a warning shows the line that it is about.
    let texts = [
        (good.clone(), true),
        (good.replace("whsec_", "wsec_"), false),
        (good.replace("env:HOOK_TOKEN", "a\\u0000b"), false),
        (good.replace("API_PASSWORD=", "API PASSWORD="), false),
        (good.replace("http://user", "ftp://user"), false),
        (good.replace("http://user", "http//user"), false),
        (good.replace("secret = [", "secrets = ["), false),
        (good.replace("url = \"", "run = \"x\"\nurl = \""), false),
        (good.replace("retries = 0", "retries = 0, ="), false),
        (good.replace("X-Own", "X Own"), false),
    ];
    for (text, valid) in texts {
        folder.file("jackfield.toml", &text)?;
        for more in
            [&[][..], &["--print"], &["--hook-webhook", &format!("publish_start=http://u:{PASSWORD}@[")]]
        {
            let checked = Program::new(server()?)
                .args(["check", "--config", "jackfield.toml"])
                .args(more)
                .env("HOOK_SECRET", format!("whsec_{HOOK_SECRET}"))
                .env("HOOK_TOKEN", HEADER)
                .env("JACKFIELD_HOKS_TOKEN", TOKEN)
                .cwd(folder.path())
                .run(SOON)?;
            let said = format!("{}\n{}", checked.stdout, checked.stderr);
            ensure!(!valid || said.contains("JACKFIELD_HOKS_TOKEN"), "{said}");
            planted.look_in(&format!("check {more:?} of\n{text}"), &said)?;
        }
    }
    Ok(())
}

/// A server whose address a client of the command line needs.
fn plain() -> Result<Server> {
    Server::builder().config("[hub]\nwait_ms = 0\n").start().context("a server")
}
