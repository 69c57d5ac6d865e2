//! Where the kit finds the server and keeps its files: all of it in the target directory.

use anyhow::{Context, Result, ensure};
use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The folder of this build (`target/debug`): the test itself lies in its `deps`.
fn build() -> Result<PathBuf> {
    let test = std::env::current_exe().context("finding the running test")?;
    let deps = test.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "deps"));
    let build = deps.and_then(Path::parent);
    Ok(build.with_context(|| format!("{} is not in a target directory", test.display()))?.to_path_buf())
}

/// The server's binary: `JACKFIELD_BIN`, else the one of this build.
///
/// # Errors
/// When it is not built.
pub fn server() -> Result<PathBuf> {
    let path = match std::env::var_os("JACKFIELD_BIN") {
        Some(path) => PathBuf::from(path),
        None => build()?.join("jackfield"),
    };
    ensure!(path.is_file(), "{} is not there; `cargo build -p jackfield-cli` makes it", path.display());
    Ok(path)
}

/// An example of this build, by its name.
///
/// # Errors
/// When it is not built.
pub fn example(name: &str) -> Result<PathBuf> {
    let path = build()?.join("examples").join(name);
    ensure!(path.is_file(), "{} is not there; `cargo build --examples` makes it", path.display());
    Ok(path)
}

/// A newer ffmpeg than Debian's: one that speaks enhanced RTMP. `scripts/setup test` brings it.
///
/// # Errors
/// When it is not there.
pub fn newer_ffmpeg() -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin/ffmpeg9");
    path.canonicalize()
        .with_context(|| format!("{} is not there; `scripts/setup test` brings it", path.display()))
}

/// A folder for files that are made once and kept, made if need be.
pub(crate) fn kept(name: &str) -> Result<PathBuf> {
    let folder = build()?.join("e2e").join(name);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// A file of `e2e/fixtures`.
///
/// # Errors
/// When it is not there.
pub fn fixture(name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(path)
}

/// The hook that is written in Rust: script and worker in one.
///
/// # Errors
/// When it is not built.
pub fn hook_fixture() -> Result<PathBuf> {
    let path = build()?.join("hook-fixture");
    ensure!(path.is_file(), "{} is not there; `cargo build -p jackfield-e2e` makes it", path.display());
    Ok(path)
}

/// A port that nobody listens on, for what must be told its port before it starts.
///
/// It lies below those that the kernel gives out by itself, and tests begin to look at different places, so that nobody
/// takes it meanwhile.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1000 {
        let next = std::process::id().wrapping_mul(7).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(10_000 + next % 20_000)?;
        if TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port")
}

/// A folder for one test; it goes when the value goes, unless the test is failing.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes an empty folder with a name of its own.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = kept("scratch")?.join(name);
        // A former test of the same process id that failed left its files for a look; they are old now.
        if path.exists() {
            std::fs::remove_dir_all(&path).with_context(|| path.display().to_string())?;
        }
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into it and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        std::fs::write(&path, content).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Writes a program into it (mode 0755) and returns its path. `content` starts with `#!`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn script(&self, name: &str, content: &str) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let path = self.file(name, content)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }
}

/// Removes what killed servers with their data below a folder left in memory for the next start.
fn remove_spares(folder: &Path, depth: u32) {
    let below = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let path = entry.path();
        let spare = std::fs::read_to_string(path.join("spare")).unwrap_or_default();
        if entry.file_name() == "events" && spare.ends_with(".spare") {
            std::fs::remove_file(spare).unwrap_or_default();
        } else if depth > 0 {
            remove_spares(&path, depth - 1);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        remove_spares(&self.path, 4);
        // What remains is in the target directory, where nobody minds it.
        std::fs::remove_dir_all(&self.path).unwrap_or_default();
    }
}
