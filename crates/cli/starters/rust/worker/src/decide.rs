//! What this hook says to an event: the part to change. `jackfield events NAME` shows the fields of each.

use serde_json::{json, Value};

pub fn decide(event: &Value) -> Value {
    if event["type"] != "authorize_publish" {
        return json!({"decision": "pass"});
    }
    let token = std::env::var("STREAM_TOKEN").unwrap_or_else(|_| "letmein".to_owned());
    let query = event["data"]["query"].as_str().unwrap_or_default();
    if query.split('&').any(|pair| pair.strip_prefix("token=") == Some(token.as_str())) {
        return json!({"decision": "allow"});
    }
    // Only `public` reaches the client; `code` and `text` are for the log.
    json!({"decision": "deny", "reason": {"code": "bad_token", "public": "Wrong or missing token."}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_token_may_publish() {
        for (query, expect) in
            [("token=letmein", "allow"), ("a=1&token=letmein", "allow"), ("token=guess", "deny"), ("", "deny")]
        {
            let event = json!({"type": "authorize_publish", "data": {"query": query}});
            assert_eq!(decide(&event)["decision"], expect, "{query}");
        }
    }

    #[test]
    fn other_events_are_no_matter_of_this_hook() {
        assert_eq!(decide(&json!({"type": "publish_start", "data": {}})), json!({"decision": "pass"}));
    }
}
