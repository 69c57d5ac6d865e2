//! The secrets, and where they are looked for.

use anyhow::{Result, ensure};

/// The name of a stream that only its publisher knows.
pub(super) const KEY: &str = "pl4nted-stream-key";
/// The value of a secret parameter.
pub(super) const TOKEN: &str = "pl4nted-token";
/// The value of a parameter that the configuration says is secret.
pub(super) const PIN: &str = "pl4nted-pin";
/// Of URLs, and of the login of a publisher.
pub(super) const PASSWORD: &str = "pl4nted-password";
/// `user` and that password as HTTP sends them (RFC 7617): base64.
const LOGIN: &str = "dXNlcjpwbDRudGVkLXBhc3N3b3Jk";
/// Of a webhook's header.
pub(super) const HEADER: &str = "pl4nted-header";
/// Of a webhook's signature; base64.
pub(super) const HOOK_SECRET: &str = "cGw0bnRlZC1ob29rLXNlY3JldA==";
/// A variable that one hook's programs get.
pub(super) const HOOK_ENV: &str = "pl4nted-variable";

/// What must not be found.
#[derive(Debug)]
pub(super) struct Planted(Vec<String>);

impl Planted {
    /// All of them, with this key of a certificate.
    pub(super) fn new(key_pem: &str) -> Self {
        let known = [KEY, TOKEN, PIN, PASSWORD, LOGIN, HEADER, HOOK_SECRET, HOOK_ENV].map(str::to_owned);
        let lines = key_pem.lines().filter(|line| !line.starts_with('-') && line.len() > 20);
        Self(known.into_iter().chain(lines.map(str::to_owned)).collect())
    }

    /// Fails if one of them is in the text, plain or in a form that anybody can read.
    pub(super) fn look_in(&self, what: &str, text: &str) -> Result<()> {
        for secret in &self.0 {
            let found: Vec<&str> = text.lines().filter(|line| tells(line, secret)).take(10).collect();
            ensure!(found.is_empty(), "{secret} stands in {what}:\n  {}", found.join("\n  "));
        }
        Ok(())
    }
}

/// As it is, or with its bytes as numbers, as a `Debug` of bytes would show them.
fn tells(line: &str, secret: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let decimal: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    lower.contains(&secret.to_ascii_lowercase())
        || lower.contains(&decimal.join(", "))
        || lower.contains(&hex)
}

#[test]
fn a_secret_is_found_in_every_form() {
    for line in ["x pl4nted-pin y", "PL4NTED-PIN", "[112, 108, 52, 110, 116, 101, 100, 45, 112, 105, 110]"] {
        assert!(Planted::new("").look_in("a line", line).is_err(), "{line}");
    }
    assert!(Planted::new("").look_in("a line", "pin=***").is_ok());
}
