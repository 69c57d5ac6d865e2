//! A worker that says hello: it answers several events at once, in any order.
//!
//! Publishers whose name begins with `no` are refused.

use serde_json::{Value, json};
use std::io::{self, BufRead, Write};

#[allow(clippy::print_stdout, reason = "that is where a worker speaks")]
fn main() -> io::Result<()> {
    println!("{}", json!({"t": "hello", "proto": [1], "concurrency": 16}));
    io::stdout().flush()?;
    for line in io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line?)?;
        // Before the hello is read, events come without a frame.
        let (delivery, event) = match message["t"].as_str() {
            Some("event") => (Some(&message["d"]), &message["event"]),
            Some(_cancel_or_drain) => continue,
            None => (None, &message),
        };
        let refused = event["data"]["stream_name"].as_str().is_some_and(|name| name.starts_with("no"));
        let mut answer = match refused {
            true => json!({"decision": "deny", "reason": {"public": "This name is taken."}}),
            false => json!({"decision": "allow"}),
        };
        if let Some(delivery) = delivery {
            answer["d"] = delivery.clone();
        }
        println!("{answer}");
        io::stdout().flush()?;
    }
    Ok(())
}
