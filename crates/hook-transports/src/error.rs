//! Why a handler cannot be made.

use crate::{ProgramError, UrlError};
use jackfield_net::outbound::{ClientError, OutOfReach};
use std::io;
use std::path::PathBuf;

/// What is wrong with a handler's configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Its program cannot be started.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Its URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// Its URL leads where it may not.
    #[error(transparent)]
    Reach(#[from] OutOfReach),
    /// `http-request` without a URL, or with more than that.
    #[error("`http-request` takes one URL")]
    HttpRequest,
    /// A header's name or value has a character that HTTP forbids.
    #[error("the header `{0}` cannot be sent")]
    Header(String),
    /// A secret that is empty, or that begins with `whsec_` and does not go on in base64.
    #[error("the secret is empty or no base64 follows its `whsec_`")]
    Secret,
    /// A client certificate without its key, or a key without its certificate.
    #[error("`cert` and `key` go together")]
    HalfIdentity,
    /// A certificate or key file cannot be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is in the certificate files cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
}
