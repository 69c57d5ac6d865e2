//! Checks of what a hook calls: that a program can be started, that a URL is one, that a file can be read.

use super::problem::{Severity, nearest};
use super::source::At;
use super::value::Reading;
use rustix::fs::Access;
use std::path::{Path, PathBuf};
use url::{Host, Url};

/// Finds the program: a path from where the setting stands, a bare name in `PATH`.
pub(super) fn find(program: &mut String, at: &At, cx: &mut Reading) -> Option<()> {
    if !program.contains('/') {
        return find_in_path(program, at, cx);
    }
    let path = cx.sources.resolve(at, program.as_ref());
    check_executable(&path, at, cx)?;
    *program = path.to_str().map(str::to_owned).unwrap_or_default();
    Some(())
}

fn find_in_path(program: &str, at: &At, cx: &mut Reading) -> Option<()> {
    let path = cx.environment.get("PATH").cloned().unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if folders.iter().map(|folder| folder.join(program)).any(|path| can_execute(&path)) {
        return Some(());
    }
    let beside = cx.sources.resolve(at, program.as_ref());
    let help = if beside.is_file() {
        Some(format!("did you mean `./{program}`? A name without a slash is looked up in PATH"))
    } else {
        let names: Vec<String> = folders.iter().flat_map(|folder| names_in(folder)).collect();
        nearest(program, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
    };
    cx.note(Severity::Error, at, format!("`{program}` is not in PATH"), "no such program", help);
    None
}

fn check_executable(path: &Path, at: &At, cx: &mut Reading) -> Option<()> {
    let shown = path.display();
    let Ok(metadata) = std::fs::metadata(path) else {
        return missing(path, at, cx);
    };
    if metadata.is_dir() {
        return cx.refuse(at, format!("{shown} is a folder"), "must be a program");
    }
    if !can_execute(path) {
        let help = Some(format!("chmod +x {shown}"));
        cx.note(Severity::Error, at, format!("{shown} cannot be executed"), "has no execute bit", help);
        return None;
    }
    if !has_magic(path) {
        let label = "begins neither with `#!` nor as a binary";
        cx.note(Severity::Warning, at, format!("{shown} may not start"), label, None);
    }
    Some(())
}

fn missing(path: &Path, at: &At, cx: &mut Reading) -> Option<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = names_in(folder);
    let wanted = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let title = format!("{} does not exist", path.display());
    cx.refuse_word(at, title, "no such file", &wanted, names.iter().map(String::as_str))
}

/// Names in a folder; none if it cannot be read.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn can_execute(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

/// Whether the kernel would know what to do with it. What cannot be read is left to the kernel.
fn has_magic(path: &Path) -> bool {
    use std::io::Read;
    let mut head = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(4).read_to_end(&mut head));
    read.is_err() || head.starts_with(b"#!") || head.starts_with(b"\x7fELF")
}

/// Checks that a file can be read.
pub(super) fn check_readable(path: &Path, at: &At, cx: &mut Reading) -> Option<()> {
    if path.is_dir() {
        return cx.refuse(at, format!("{} is a folder", path.display()), "must be a file");
    }
    match std::fs::File::open(path) {
        Ok(_) => Some(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing(path, at, cx),
        Err(error) => cx.refuse(at, format!("cannot read {}", path.display()), error.to_string()),
    }
}

/// Checks the URL of a webhook. `plain` says whether `http://` may leave this machine.
pub(super) fn check_url(text: String, at: &At, plain: bool, cx: &mut Reading) -> Option<String> {
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => return cx.refuse(at, "this is no URL", error.to_string()),
    };
    if !matches!(url.scheme(), "http" | "https") {
        let title = format!("unknown scheme `{}`", url.scheme());
        return cx.refuse_word(at, title, "must be `https` or `http`", url.scheme(), ["https", "http"]);
    }
    if url.scheme() == "http" && !plain && !is_loopback(&url) {
        let label = "anybody on the way could read and answer";
        let help =
            Some("use https://, or allow it with `plain_http = true` (`--hook-plain-http`)".to_owned());
        cx.note(Severity::Error, at, "`http://` beyond this machine", label, help);
        return None;
    }
    Some(text)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
