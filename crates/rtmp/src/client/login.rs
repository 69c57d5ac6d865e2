//! Logins by challenge, as media servers of Flash's time want them from encoders.
//!
//! Neither form is in a specification; both are what encoders and servers agree on. A server refuses `connect`
//! with a description such as `[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ]`; the next
//! connection tells the user in the app's query; that is refused with a challenge
//! (`?reason=needauth&user=…&salt=…&challenge=…&opaque=…`, or `…&nonce=…`); the third one answers it.

use super::url::Credentials;
use crate::url::{parameter, split_query};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

/// Why there is no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The server wants a login, and the URL has none.
    #[error("the server wants a login: write rtmp://user:password@host/app/name")]
    Missing,
    /// The server does not know the user.
    #[error("the server does not know this user")]
    NoSuchUser,
    /// The password is wrong.
    #[error("the server refused the login")]
    Failed,
    /// The server wants a form of login that is not spoken here, or told a challenge that is none.
    #[error("the server wants a form of login that is not known here")]
    Unknown,
}

/// The two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Salted MD5 in base64.
    Adobe,
    /// Like HTTP's digest.
    Llnw,
}

impl Form {
    fn of(text: &str) -> Option<Self> {
        if text.contains("authmod=adobe") {
            Some(Self::Adobe)
        } else if text.contains("authmod=llnw") {
            Some(Self::Llnw)
        } else {
            None
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Adobe => "adobe",
            Self::Llnw => "llnw",
        }
    }
}

/// How far the login is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Login {
    #[default]
    NotAsked,
    /// The user was told; a challenge should come.
    Asked,
    /// The challenge was answered.
    Answered,
}

/// What a refusal means for the login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// It is about something else.
    Unrelated,
    /// Connect again with this in the app's query.
    Query(String),
}

impl Login {
    /// Reads the description of a refused `connect`. `app` is without query; `chance` makes our half of the
    /// challenge.
    pub(super) fn on_rejection(
        &mut self,
        description: &str,
        app: &str,
        credentials: Option<&Credentials>,
        chance: u64,
    ) -> Result<Reply, LoginError> {
        let Some(form) = Form::of(description) else {
            let wanted = description.contains("need auth") || description.contains("authmod=");
            return if wanted { Err(LoginError::Unknown) } else { Ok(Reply::Unrelated) };
        };
        // The challenge stands behind a question mark, as in a URL.
        let told = split_query(description).1.trim_end_matches([' ', ']', ':']);
        match parameter(told, "reason") {
            Some("nosuchuser") => return Err(LoginError::NoSuchUser),
            Some("authfailed") => return Err(LoginError::Failed),
            _ => {}
        }
        let credentials = credentials.ok_or(LoginError::Missing)?;
        let user = escaped(&credentials.user);
        let head = format!("authmod={}&user={user}", form.as_str());
        let is_challenge = parameter(told, "reason") == Some("needauth");
        match (*self, is_challenge) {
            (Self::Answered, _) => Err(LoginError::Failed),
            (Self::Asked, false) => Err(LoginError::Unknown),
            (Self::NotAsked, false) => {
                *self = Self::Asked;
                Ok(Reply::Query(head))
            }
            (_, true) => {
                *self = Self::Answered;
                let answer = match form {
                    Form::Adobe => adobe(told, credentials, chance),
                    Form::Llnw => llnw(told, app, credentials, chance),
                };
                Ok(Reply::Query(format!("{head}&{}", answer.ok_or(LoginError::Unknown)?)))
            }
        }
    }
}

/// Eight hexadecimal digits.
#[expect(clippy::cast_possible_truncation, reason = "half of the chance is enough")]
fn digits(chance: u64) -> String {
    format!("{:08x}", chance as u32)
}

/// base64(MD5(base64(MD5(user salt password)) (opaque or challenge) ours)).
fn adobe(told: &str, credentials: &Credentials, chance: u64) -> Option<String> {
    let salt = parameter(told, "salt")?;
    let opaque = parameter(told, "opaque").filter(|text| !text.is_empty());
    let challenge = parameter(told, "challenge").filter(|text| !text.is_empty());
    let ours = digits(chance);
    let secret = STANDARD.encode(md5(&[&credentials.user, salt, &credentials.password]));
    let theirs = opaque.or(challenge).unwrap_or_default();
    let response = STANDARD.encode(md5(&[&secret, theirs, &ours]));
    let opaque = opaque.map_or(String::new(), |opaque| format!("&opaque={opaque}"));
    Some(format!("challenge={ours}&response={response}{opaque}"))
}

/// As HTTP's digest (RFC 2617 §3.2.2) with the realm `live` and the method `publish`.
fn llnw(told: &str, app: &str, credentials: &Credentials, chance: u64) -> Option<String> {
    const COUNT: &str = "00000001";
    let nonce = parameter(told, "nonce").filter(|text| !text.is_empty())?;
    let ours = digits(chance);
    let instance = if app.contains('/') { "" } else { "/_definst_" };
    let who = hex(md5(&[&credentials.user, ":live:", &credentials.password]));
    let what = hex(md5(&["publish:/", app, instance]));
    let response = hex(md5(&[&who, ":", nonce, ":", COUNT, ":", &ours, ":auth:", &what]));
    Some(format!("nonce={nonce}&cnonce={ours}&nc={COUNT}&response={response}"))
}

fn md5(parts: &[&str]) -> [u8; 16] {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What would end the parameter of a query, escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' | b'+' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials { user: "user".to_owned(), password: "pass".to_owned() }
    }

    fn ask(login: &mut Login, description: &str) -> Result<Reply, LoginError> {
        login.on_rejection(description, "live", Some(&credentials()), 0x1234_5678_9abc_def0)
    }

    #[test]
    fn adobe_takes_three_connections() {
        let mut login = Login::default();
        let first = ask(&mut login, "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ");
        assert_eq!(first, Ok(Reply::Query("authmod=adobe&user=user".to_owned())));
        let challenge = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
                         ?reason=needauth&user=user&salt=SALT&challenge=CHAL&opaque=OPAQ";
        let Ok(Reply::Query(answer)) = ask(&mut login, challenge) else { panic!() };
        // Computed with another program, as the answer of the next test.
        let response = "IY6vAS1Np+1Onj55F0MSpw==";
        assert_eq!(
            answer,
            format!("authmod=adobe&user=user&challenge=9abcdef0&response={response}&opaque=OPAQ")
        );
        assert_eq!(ask(&mut login, challenge), Err(LoginError::Failed));
        let failed = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=OPAQ";
        assert_eq!(ask(&mut login, failed), Err(LoginError::Failed));
    }

    #[test]
    fn without_opaque_adobe_answers_the_challenge() {
        let challenge = "[ authmod=adobe ] : ?reason=needauth&user=user&salt=SALT&challenge=CHAL";
        let Ok(Reply::Query(answer)) = ask(&mut Login::default(), challenge) else { panic!() };
        assert!(answer.ends_with("&challenge=9abcdef0&response=fdLONjZ6Ucc/o6/GZ1TgEA=="), "{answer}");
    }

    #[test]
    fn llnw_answers_like_a_digest() {
        let mut login = Login::default();
        let first = ask(&mut login, "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ");
        assert_eq!(first, Ok(Reply::Query("authmod=llnw&user=user".to_owned())));
        let challenge =
            "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=user&nonce=NONCE ";
        let Ok(Reply::Query(answer)) = ask(&mut login, challenge) else { panic!() };
        let response = "28218caf512d9959554d0c5dc6e74393";
        assert_eq!(
            answer,
            format!("authmod=llnw&user=user&nonce=NONCE&cnonce=9abcdef0&nc=00000001&response={response}")
        );
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        let need = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
        let without = Login::default().on_rejection(need, "live", None, 0);
        assert_eq!(without, Err(LoginError::Missing));
        for (description, expect) in [
            ("No.", Ok(Reply::Unrelated)),
            ("[ code=403 need auth; authmod=other ]", Err(LoginError::Unknown)),
            ("[ authmod=adobe ] : ?reason=nosuchuser", Err(LoginError::NoSuchUser)),
            ("[ authmod=adobe ] : ?reason=needauth", Err(LoginError::Unknown)),
            ("[ authmod=llnw ] : ?reason=needauth&nonce=", Err(LoginError::Unknown)),
        ] {
            assert_eq!(ask(&mut Login::default(), description), expect, "{description}");
        }
        let mut login = Login::default();
        assert!(ask(&mut login, need).is_ok());
        assert_eq!(ask(&mut login, need), Err(LoginError::Unknown), "no loop");
    }

    #[test]
    fn md5_is_md5() {
        // RFC 1321, A.5.
        assert_eq!(hex(md5(&["a", "bc"])), "900150983cd24fb0d6963f7d28e17f72");
    }

    #[test]
    fn users_cannot_end_their_parameter() {
        assert_eq!(escaped("a&b=c d@e"), "a%26b%3Dc%20d@e");
    }
}
