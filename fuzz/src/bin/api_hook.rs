//! Hooks as the API gets them: whatever the body is, it is a hook or every problem is told, nothing of the machine is named in
//! it, and what is shown of it has no secret.
#![no_main]

use jackfield_server::config::{Config, Flags, Handler};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::OnceLock;

static CONFIG: OnceLock<Config> = OnceLock::new();

fn config() -> &'static Config {
    CONFIG.get_or_init(|| Config::load(&Flags::default(), []).expect("no configuration is a good one"))
}

fuzz_target!(|data: &[u8]| {
    let Ok(Value::Object(body)) = serde_json::from_slice(data) else { return };
    let (first, again) = (config().read_api_hook(&body), config().read_api_hook(&body));
    assert_eq!(format!("{first:?}"), format!("{again:?}"));
    match first {
        Ok(hook) => {
            let Handler::Url(webhook) = &hook.handler else {
                panic!("it calls something else than a webhook")
            };
            assert!(webhook.ca.is_none() && webhook.identity.is_none());
            let shown = Value::Object(hook.settings()).to_string();
            let secrets = webhook.secrets.iter().chain(webhook.headers.iter().map(|(_, value)| value));
            for secret in secrets.map(|secret| secret.reveal()).filter(|secret| secret.len() > 12) {
                assert!(!secret.starts_with("env:") && !secret.starts_with("file:"));
                // It may stand elsewhere in the body too, such as in a name.
                let elsewhere = body.iter().any(|(key, value)| {
                    !matches!(key.as_str(), "secret" | "headers") && value.to_string().contains(secret)
                });
                assert!(elsewhere || !shown.contains(secret), "{shown}");
            }
        }
        Err(problems) => assert!(!problems.is_empty()),
    }
});
