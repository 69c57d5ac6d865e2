//! The signature of Standard Webhooks 1.0.0: `v1,` and HMAC-SHA256 of `id.timestamp.body`.

use crate::ConfigError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jackfield_media::UnixTime;
use jackfield_net::outbound::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::Sha256;
use std::fmt;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// What a key in base64 begins with.
const BASE64_PREFIX: &str = "whsec_";

/// A secret that signs: `whsec_` and base64, or any other text as it is. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether it can sign.
    ///
    /// # Errors
    /// [`ConfigError::Secret`]: it is empty, or not the base64 that it says it is.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.key().map(drop).ok_or(ConfigError::Secret)
    }

    fn key(&self) -> Option<Hmac<Sha256>> {
        let key = match self.0.strip_prefix(BASE64_PREFIX) {
            Some(encoded) => STANDARD.decode(encoded).ok()?,
            None => self.0.clone().into_bytes(),
        };
        if key.is_empty() { None } else { Hmac::new_from_slice(&key).ok() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Signs each attempt anew, since receivers refuse an old time stamp.
pub struct Signer(Vec<Hmac<Sha256>>);

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(…)")
    }
}

impl Signer {
    /// Signs with each of these; without any it only names and dates.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] if one of them cannot sign.
    pub fn new(secrets: &[Secret]) -> Result<Self, ConfigError> {
        let keys = secrets.iter().map(|secret| secret.key().ok_or(ConfigError::Secret));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }

    /// Sets `webhook-id` and `webhook-timestamp`, and with secrets a `webhook-signature` by each of them.
    pub fn sign(&self, headers: &mut HeaderMap, id: &str, now: UnixTime, body: &[u8]) {
        let timestamp = now.seconds().to_string();
        let signatures: Vec<String> = self
            .0
            .iter()
            .map(|key| {
                let mut mac = key.clone();
                for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                    mac.update(part);
                }
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            })
            .collect();
        let mut set = |name: HeaderName, value: &str| {
            headers
                .insert(name, HeaderValue::from_str(value).expect("invariant: letters, digits and base64"));
        };
        set(ID, id);
        set(TIMESTAMP, &timestamp);
        if !signatures.is_empty() {
            set(SIGNATURE, &signatures.join(" "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(secrets: &[&str], id: &str, seconds: i64, body: &str) -> Option<String> {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        let mut headers = HeaderMap::new();
        let now = UnixTime(seconds * 1_000_000 + 999_999);
        Signer::new(&secrets).unwrap().sign(&mut headers, id, now, body.as_bytes());
        assert_eq!(headers.get("webhook-timestamp").unwrap(), &seconds.to_string());
        headers.get("webhook-signature").map(|value| value.to_str().unwrap().to_owned())
    }

    /// The example of the specification.
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let expect = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        let sign = |secrets: &[&str]| {
            signature(secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#)
        };
        assert_eq!(sign(&[secret]).as_deref(), Some(expect));
        let both = sign(&[secret, "raw"]).unwrap();
        assert!(both.starts_with(&format!("{expect} v1,")) && both != format!("{expect} {expect}"));
        assert_eq!(sign(&[]), None);
    }

    #[test]
    fn a_secret_that_cannot_be_a_key_is_refused() {
        for secret in ["", "whsec_", "whsec_not base64"] {
            assert!(matches!(Signer::new(&[Secret::new(secret)]), Err(ConfigError::Secret)), "{secret}");
        }
        assert_eq!(format!("{:?}", Secret::new("x")), "…");
    }
}
