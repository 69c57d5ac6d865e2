//! A worker for Jackfield that decides who may publish: one line of JSON in, one line out.
//!
//! Standard output belongs to the protocol; what goes to standard error is in the server's log. `decide.rs` is the part
//! to change.

mod decide;

use decide::decide;
use serde_json::{json, Value};
use std::io::{self, BufRead, Write};

/// The answer to a line, or none if it wants none.
fn answer(line: &[u8]) -> Option<Value> {
    let frame: Value = serde_json::from_slice(line).ok()?;
    if frame["t"] == "event" {
        let mut said = decide(&frame["event"]);
        said["d"] = frame["d"].clone();
        return Some(said);
    }
    // Sent before the server had read the hello: a bare event, answered by a bare answer. All else is cancel, drain, or
    // what later versions say.
    (frame.get("t").is_none() && frame.get("type").is_some()).then(|| decide(&frame))
}

fn talk(input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    // With the hello the server sends up to 16 events at once; they may be answered in any order.
    writeln!(output, "{}", json!({"t": "hello", "proto": [1], "concurrency": 16}))?;
    output.flush()?;
    for line in input.split(b'\n') {
        if let Some(said) = answer(&line?) {
            writeln!(output, "{said}")?;
            output.flush()?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    talk(io::stdin().lock(), io::stdout().lock())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_answered_with_its_own_id() {
        let lines = concat!(
            "no JSON\n\n",
            r#"{"t":"event","d":"dlv_1","event":{"type":"authorize_publish","data":{"query":"token=letmein"}}}"#,
            "\n",
            r#"{"t":"cancel","d":"dlv_1"}"#,
            "\n",
            r#"{"type":"authorize_publish","data":{"query":"token=guess"}}"#,
            "\n",
            r#"{"t":"drain"}"#,
            "\n",
        );
        let mut output = Vec::new();
        talk(lines.as_bytes(), &mut output).unwrap();
        let said: Vec<Value> =
            output.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        assert_eq!(said.len(), 3);
        assert_eq!((&said[1]["d"], &said[1]["decision"]), (&json!("dlv_1"), &json!("allow")));
        assert_eq!((said[2].get("d"), &said[2]["decision"]), (None, &json!("deny")));
    }
}
