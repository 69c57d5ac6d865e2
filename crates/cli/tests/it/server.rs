//! The running server: what it says, and how it stops.

use super::{Folder, jackfield};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A running server with ports of its own; killed when dropped.
pub(crate) struct Running {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    pub(crate) rtmp: SocketAddr,
    http: SocketAddr,
    _data: Folder,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let data = Folder::new(&format!("data-{}", STARTED.fetch_add(1, Ordering::Relaxed)));
        let mut child = jackfield()
            .args(["-listen", "127.0.0.1:0", "-http-listen", "127.0.0.1:0", "-log-format", "json"])
            .env("JACKFIELD_DATA_DIR", data.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let nowhere: SocketAddr = ([0, 0, 0, 0], 0).into();
        let mut running = Self { child, log, rtmp: nowhere, http: nowhere, _data: data };
        for _listener in 0..2 {
            let line = running.logged("Listening");
            let addr = line["addr"].as_str().unwrap().parse().unwrap();
            match line["proto"].as_str().unwrap() {
                "rtmp" => running.rtmp = addr,
                "http" => running.http = addr,
                other => panic!("{other}"),
            }
        }
        running.logged("Jackfield is up");
        running
    }

    /// Reads the log up to the line with this message.
    fn logged(&mut self, message: &str) -> serde_json::Value {
        let mut seen = Vec::new();
        for line in self.log.by_ref() {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            if line["message"].as_str().is_some_and(|text| text.starts_with(message)) {
                return line;
            }
            seen.push(line.to_string());
        }
        panic!("the log ended without {message:?}:\n{}", seen.join("\n"));
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.rtmp).unwrap()
    }

    fn get(&self, path: &str) -> String {
        let mut client = TcpStream::connect(self.http).unwrap();
        write!(client, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Waits for the end; the exit code and all of standard output.
    fn end(mut self) -> (Option<i32>, String) {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let code = self.child.wait().unwrap().code();
        (code, stdout)
    }

    fn stop(self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn it_listens_answers_health_and_stops_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = Running::start(&[]);
        assert!(server.get("/api/v1/health").ends_with(r#"{"status":"ok"}"#));
        assert!(server.get("/api/v1/streams").starts_with("HTTP/1.1 401"));
        server.signal(signal);
        assert_eq!(server.end(), (Some(0), String::new()));
    }
}

#[test]
fn a_port_that_is_taken_is_a_start_up_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let folder = Folder::new("taken");
    let data = folder.path().to_str().unwrap();
    for flag in ["--listen", "--http-listen"] {
        let other = if flag == "--listen" { "--http-listen" } else { "--listen" };
        let ran = super::run(&[flag, &addr, other, "127.0.0.1:0", "--data-dir", data]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.contains(&format!("cannot listen on {addr}: ")), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("in use").count(), 1, "{}", ran.stderr);
    }
}

#[test]
fn an_authority_that_is_none_is_an_error_with_its_place() {
    let folder = Folder::new("authority");
    folder.write("ca.pem", "no certificate");
    let hook = "[[hook]]\nname = \"x\"\non = \"publish_start\"\nurl = \"https://h\"\nca = \"ca.pem\"\n";
    let file = folder.write("jackfield.toml", hook);
    let listen = ["--config", &file, "--listen", "127.0.0.1:0", "--http-listen", "off"];
    let ran = super::run(&[&listen[..], &["--data-dir", folder.path().to_str().unwrap()]].concat());
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("ca.pem has no certificate that can be read"), "{}", ran.stderr);
    assert!(ran.stderr.contains("jackfield.toml:5:6"), "{}", ran.stderr);
}

#[test]
fn standard_output_has_events_and_nothing_else() {
    let server = Running::start(&["--hook-stdio-format", "json"]);
    let client = server.connect();
    let mut server = server;
    server.logged("Connection accepted");
    drop(client);
    let (code, stdout) = server.stop();
    assert_eq!(code, Some(0));
    let types: Vec<String> = stdout
        .lines()
        .map(|line| {
            let event = line.strip_prefix("RTMP_EVENT: ").expect(line);
            let event: serde_json::Value = serde_json::from_str(event).unwrap();
            event["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(types, ["connection_accept", "connection_close"]);
}

#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    // Each connection logs some 500 bytes; a pipe holds 64 KiB.
    const CONNECTIONS: usize = 1000;
    let mut server = Running::start(&["--hook-stdio-format", "ndjson"]);
    let mut events = BufReader::new(server.child.stdout.take().unwrap()).lines();
    for _connection in 0..CONNECTIONS {
        drop(server.connect());
    }
    let closed = |line: &String| line.contains("connection_close");
    assert_eq!(events.by_ref().map(Result::unwrap).filter(closed).take(CONNECTIONS).count(), CONNECTIONS);
    server.signal(Signal::TERM);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn standard_output_that_nobody_reads_or_that_is_closed_holds_up_nothing() {
    let folder = Folder::new("stdout");
    let file = folder.write("jackfield.toml", "[server]\ndrain_timeout = \"100ms\"\n");
    for close in [true, false] {
        let mut server = Running::start(&["--hook-stdio-format", "json", "--config", &file]);
        let unread = server.child.stdout.take().unwrap();
        let unread = if close { None } else { Some(unread) };
        for _connection in 0..500 {
            drop(server.connect());
            server.logged("Connection closed");
        }
        assert!(server.get("/api/v1/health").ends_with(r#"{"status":"ok"}"#));
        drop(unread);
        server.signal(Signal::TERM);
        server.logged("Jackfield has stopped");
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn the_hooks_of_the_stop_run_before_the_end_and_what_programs_left_ends_then() {
    let folder = Folder::new("stop");
    let left = folder.path().join("left");
    let accept = folder.script(
        "accept.sh",
        "mkfifo \"$1\"; (trap '' HUP; exec 3<>\"$1\"; exec sleep 1000) >/dev/null 2>&1 & echo $! >\"$1.pid\"",
    );
    let close = folder.script("close.sh", "echo \"$RTMP_REASON\" >\"$1\"");
    let closed = folder.path().join("closed");
    let server = Running::start(&[
        "--hook-script",
        &format!("connection_accept={accept} {}", left.display()),
        "--hook-script",
        &format!("connection_close={close} {}", closed.display()),
    ]);
    let _client = server.connect();
    let mut server = server;
    server.logged("Connection accepted");
    let (code, _) = server.stop();
    assert_eq!(code, Some(0));
    assert_eq!(std::fs::read_to_string(&closed).unwrap(), "server_shutdown\n");
    let pid = std::fs::read_to_string(left.with_extension("pid")).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_err(), "the program in the background lives on");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = Folder::new("second");
    let hang = folder.script("hang.sh", "sleep 1000");
    let mut server = Running::start(&["--hook-script", &format!("connection_close={hang}")]);
    drop(server.connect());
    server.logged("Connection closed");
    server.signal(Signal::TERM);
    server.logged("Jackfield stops");
    let health = server.get("/api/v1/health");
    assert!(health.starts_with("HTTP/1.1 503") && health.ends_with(r#"{"status":"draining"}"#), "{health}");
    server.signal(Signal::TERM);
    server.logged("Ended at once by a second signal");
    assert_eq!(server.end().0, Some(0));
}

#[test]
fn a_reload_replaces_the_hooks_and_a_bad_file_keeps_them() {
    let folder = Folder::new("reload");
    let told = |name: &str| {
        let seen = folder.path().join(name);
        let script = folder.script(&format!("{name}.sh"), &format!("echo told >>'{}'", seen.display()));
        (format!("[[hook]]\non = \"connection_accept\"\nrun = \"{script}\"\n"), seen)
    };
    let (first, first_seen) = told("first");
    let (second, second_seen) = told("second");
    let file = folder.write("jackfield.toml", &first);
    let mut server = Running::start(&["--config", &file]);

    folder.write("jackfield.toml", "[[hook]]\nnonsense = 1\n");
    server.signal(Signal::HUP);
    let line = server.logged("The configuration is not valid, the former hooks stay");
    assert!(line["message"].as_str().unwrap().contains("unknown key `nonsense`"), "{line}");
    drop(server.connect());
    server.logged("Connection closed");

    folder.write("jackfield.toml", &format!("{second}[hub]\nwait_ms = 5\n"));
    server.signal(Signal::HUP);
    assert_eq!(server.logged("Changes of this table need a restart")["table"], "[hub]");
    server.logged("The hooks have been replaced");
    drop(server.connect());
    server.logged("Connection closed");

    assert_eq!(server.stop().0, Some(0));
    assert_eq!(std::fs::read_to_string(first_seen).unwrap(), "told\n");
    assert_eq!(std::fs::read_to_string(second_seen).unwrap(), "told\n");
}
