//! A server that others wrote: npm's node-media-server, which relays enhanced RTMP.
//!
//! What our client publishes to it and plays from it goes through no line of ours. `scripts/setup test` fetches it into
//! `.tools/node`.

use crate::tls::Authority;
use crate::{Program, Running, SOON, Scratch, free_port};
use anyhow::{Result, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A running node-media-server on the loopback. It is killed when this value goes.
#[derive(Debug)]
pub struct NodeMediaServer {
    program: Running,
    rtmp: u16,
    rtmps: u16,
    authority: PathBuf,
    // Last, so that it goes after the program that uses it.
    _folder: Scratch,
}

impl NodeMediaServer {
    /// Starts it on free ports, and waits until it listens.
    ///
    /// # Errors
    /// When it is not installed, or does not listen in time.
    pub fn start() -> Result<Self> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = project.join("../.tools/node/node_modules");
        ensure!(
            modules.join("node-media-server").is_dir(),
            "node-media-server is missing: `scripts/setup test` fetches it into {}",
            modules.display()
        );
        let folder = Scratch::new()?;
        let authority = Authority::new()?;
        let identity = authority.identity(&["localhost", "127.0.0.1"])?;
        let ca = folder.file("ca.pem", &authority.pem())?;
        let key = folder.file("key.pem", &identity.key_pem())?;
        let certificate = folder.file("cert.pem", &identity.certificate_pem())?;
        let (rtmp, rtmps) = (free_port()?, free_port()?);
        let program = Program::new("node")
            .args([project.join("node/server.js")])
            .args([rtmp.to_string(), rtmps.to_string()])
            .args([OsString::from(folder.path().join("store")), key.into(), certificate.into()])
            .env("NODE_PATH", modules)
            .cwd(folder.path())
            .start()?;
        let server = Self { program, rtmp, rtmps, authority: ca, _folder: folder };
        for (listener, port) in [("Rtmp", rtmp), ("Rtmps", rtmps)] {
            server.wait(&format!("{listener} Server listening on port 127.0.0.1:{port}"))?;
        }
        Ok(server)
    }

    /// The URL of a stream: `live/a`.
    pub fn url(&self, key: &str) -> String {
        format!("rtmp://127.0.0.1:{}/{key}", self.rtmp)
    }

    /// The URL of a stream over TLS.
    pub fn tls_url(&self, key: &str) -> String {
        format!("rtmps://127.0.0.1:{}/{key}", self.rtmps)
    }

    /// The certificate of the authority that signed the server's.
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// Waits until somebody publishes this key.
    ///
    /// # Errors
    /// When nobody does.
    pub fn wait_publisher(&self, key: &str) -> Result<()> {
        self.wait(&format!("start push /{key}"))
    }

    fn wait(&self, text: &str) -> Result<()> {
        self.program.stdout().wait(&format!("line with `{text}`"), SOON, |lines| {
            lines.iter().any(|line| line.ends_with(text)).then_some(())
        })
    }
}
