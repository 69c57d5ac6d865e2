//! The same worker as auth-worker.py, in Rust.
//!
//!     cargo build --release --package jackfield-cli --example auth-worker
//!
//!     [[hook]]
//!     name = "auth"
//!     on = ["authorize_publish", "authorize_play"]
//!     worker = ["target/release/examples/auth-worker"]
//!
//! A crate of your own needs `serde_json` and nothing else; `jackfield hooks init --lang rust DIR` writes one.

use serde_json::{Value, json};
use std::io::{self, BufRead, Write};

fn decide(event: &Value, token: &str) -> Value {
    let query = event["data"]["query"].as_str().unwrap_or_default();
    if query.split('&').any(|pair| pair.strip_prefix("token=") == Some(token)) {
        return json!({"decision": "allow"});
    }
    json!({"decision": "deny", "reason": {"code": "bad_token", "public": "Wrong or missing token."}})
}

fn main() -> io::Result<()> {
    let token = std::env::var("STREAM_TOKEN").unwrap_or_else(|_| "letmein".to_owned());
    // Writes each line as soon as it is whole.
    let mut out = io::stdout();
    writeln!(out, "{}", json!({"t": "hello", "proto": [1], "concurrency": 16}))?;
    for line in io::stdin().lock().lines() {
        let Ok(frame) = serde_json::from_str::<Value>(&line?) else { continue };
        match frame["t"].as_str() {
            Some("event") => {
                let mut said = decide(&frame["event"], &token);
                said["d"] = frame["d"].clone();
                writeln!(out, "{said}")?;
            }
            Some("drain") => break,
            // Sent before the server had read the hello: a bare event, answered by a bare answer.
            None if frame.get("type").is_some() => writeln!(out, "{}", decide(&frame, &token))?,
            _ => {}
        }
    }
    Ok(())
}
