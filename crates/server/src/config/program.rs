//! Checks of what a hook calls: that a program can be started, that a URL is one, that a file can be read.

use super::kinds::Variable;
use super::problem::{Severity, nearest};
use super::source::At;
use super::tables::HookTable;
use super::value::Reading;
use jackfield_hook_transports::{self as hook_transports, PlainHttp, UrlError};
use rustix::fs::Access;
use std::path::{Path, PathBuf};

/// Where a program is looked for when neither the server nor the hook says so.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Finds the program: a path from where the setting stands, a bare name in its `PATH`.
pub(super) fn find(program: &str, at: &At, keys: &HookTable, cx: &mut Reading) -> Option<()> {
    let path = cx.sources.resolve(at, program.as_ref());
    if program.contains('/') {
        return check_executable(&path, at, cx);
    }
    let search = search_path(keys, cx);
    let folders: Vec<PathBuf> = std::env::split_paths(&search).collect();
    if folders.iter().map(|folder| folder.join(program)).any(|path| can_execute(&path)) {
        return Some(());
    }
    let help = if path.is_file() {
        Some(format!("did you mean `./{program}`? A name without a slash is looked up in PATH"))
    } else {
        let names: Vec<String> = folders.iter().flat_map(|folder| names_in(folder)).collect();
        nearest(program, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"))
    };
    cx.note(Severity::Error, at, format!("`{program}` is not in PATH"), "no such program", help);
    None
}

/// The `PATH` that the hook's programs will have.
fn search_path(keys: &HookTable, cx: &Reading) -> String {
    let set = keys.env.iter().rev().find_map(|entry| match entry {
        Variable::Set(name, value) if name == "PATH" => Some(value.reveal().to_owned()),
        Variable::Pass(name) if name == "PATH" => cx.environment.get("PATH").cloned(),
        _ => None,
    });
    let own = || if keys.env_clear { None } else { cx.environment.get("PATH").cloned() };
    set.or_else(own).unwrap_or_else(|| DEFAULT_PATH.to_owned())
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
    // A pipe would wait at its opening.
    if path.exists() && !path.is_file() {
        return cx.refuse(at, format!("{} is not a file", path.display()), "must be a file");
    }
    match std::fs::File::open(path) {
        Ok(_) => Some(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing(path, at, cx),
        Err(error) => cx.refuse(at, format!("cannot read {}", path.display()), error.to_string()),
    }
}

/// Checks the URL of a webhook.
pub(super) fn check_url(text: String, at: &At, plain_http: PlainHttp, cx: &mut Reading) -> Option<String> {
    match hook_transports::check_url(&text, plain_http) {
        Ok(_) => Some(text),
        Err(UrlError::Invalid(_)) => {
            let scheme = text.split_once(':').map_or(text.as_str(), |(scheme, _)| scheme);
            let label = "must begin with `https://` or `http://` and name a host";
            cx.refuse_word(at, "this is no URL of a webhook", label, scheme, ["https", "http"])
        }
        Err(UrlError::PlainHttp(_)) => {
            let label = "anybody on the way could read and answer";
            let help = "use https://, or allow it with `plain_http = true` (`--hook-plain-http`)".to_owned();
            cx.note(Severity::Error, at, "`http://` beyond this machine", label, Some(help));
            None
        }
    }
}
