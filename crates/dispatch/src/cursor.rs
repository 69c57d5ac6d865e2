//! Cursors on disk: how far each hook is in the log of events, and whether it is disabled, as
//! `<data_dir>/events/cursors/<id>.json`.
//!
//! A file is replaced as a whole, so that the end of the process leaves the old one or the new one; where the log is synced,
//! so is the file before it takes the name, and so the end of the machine leaves no other either. It may be older
//! than what the hook has done with, and then the hook is told some events a second time; it is never newer, because
//! dead letters are written before it. A cursor whose hook is not configured is kept for as long as its events are.

use crate::syncs::Syncs;
use jackfield_hooks::{Cursor, DisabledBy};
use jackfield_media::{Text, UnixTime};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File as OpenFile};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Bytes of a file; ranges of a hook's queue and of what waits beside it take less.
const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// The form of the files.
const VERSION: u32 = 1;

/// What is kept of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) name: Text,
    pub(crate) cursor: Cursor,
    pub(crate) disabled: Option<(DisabledBy, u64)>,
    /// When it was saved last, or the hook was seen last.
    pub(crate) at: UnixTime,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    v: u32,
    id: String,
    name: String,
    /// Everything up to here.
    done_to: u64,
    /// And these ranges, both ends included.
    done: Vec<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled: Option<Disabled>,
    /// Microseconds since 1970.
    at: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disabled {
    by: By,
    /// The revision of the hook's configuration at that time, as hexadecimal digits.
    revision: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Handler,
    Operator,
}

/// All cursors, those of hooks that are not configured included, by id.
#[derive(Debug)]
pub(crate) struct Cursors {
    folder: PathBuf,
    saved: BTreeMap<Text, Saved>,
    /// Names of files that cannot be read.
    unreadable: BTreeSet<String>,
}

impl Cursors {
    /// Reads what is there. Nothing is taken to be done after `last`, the last position of the log: what was delivered
    /// and did not reach the disk before the machine ended has given its positions to other events. Blocks.
    pub(crate) fn open(folder: PathBuf, last: u64) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        let (mut saved, mut unreadable) = (BTreeMap::new(), BTreeSet::new());
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => {}
                // A file that was being written.
                Some("new") => {
                    if let Err(error) = fs::remove_file(&path) {
                        tracing::error!(%error, file = %path.display(), "What is left of a hook's place cannot be removed");
                    }
                    continue;
                }
                _ => continue,
            }
            match read(&path) {
                Ok((id, mut cursor)) => {
                    cursor.cursor.cut(last);
                    saved.insert(id, cursor);
                }
                Err(error) => {
                    tracing::error!(
                        %error,
                        file = %path.display(),
                        "A hook's place in the log cannot be read: it is told all that the log has"
                    );
                    unreadable.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
                }
            }
        }
        Ok(Self { folder, saved, unreadable })
    }

    /// Forgets hooks that are not among these and were not since that time. Blocks.
    pub(crate) fn forget(&mut self, configured: &[Text], oldest: UnixTime) {
        let folder = &self.folder;
        self.saved.retain(|id, saved| {
            let stays = configured.contains(id) || saved.at >= oldest;
            if !stays && let Err(error) = fs::remove_file(folder.join(file_name(id))) {
                tracing::warn!(%error, hook = %id, "The place in the log of a hook that is gone cannot be removed");
            }
            stays
        });
    }

    /// Whether there is a file of this hook that cannot be read.
    pub(crate) fn is_unreadable(&self, id: &str) -> bool {
        self.unreadable.contains(&file_name(id))
    }

    pub(crate) fn saved(&self, id: &str) -> Option<&Saved> {
        self.saved.get(&Text::from(id))
    }

    pub(crate) fn set(&mut self, id: Text, saved: Saved) {
        self.saved.insert(id, saved);
    }

    /// What to write for this hook.
    pub(crate) fn file(&self, id: &str) -> Option<CursorFile> {
        let saved = self.saved.get(&Text::from(id))?;
        Some(CursorFile { id: id.into(), path: self.folder.join(file_name(id)), text: text(id, saved) })
    }
}

/// A file to be written.
#[derive(Debug)]
pub(crate) struct CursorFile {
    id: Text,
    path: PathBuf,
    text: Vec<u8>,
}

impl CursorFile {
    pub(crate) fn into_id(self) -> Text {
        self.id
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.text.len() as u64
    }

    /// Puts it in the place of the former one. That the name is safe too takes [`Syncs::names`] of its folder. Blocks.
    pub(crate) fn write(&self, syncs: &Syncs) -> io::Result<()> {
        let new = self.path.with_extension("json.new");
        let mut file = OpenFile::create(&new).or_else(|_gone| {
            // Somebody may have removed the folder under the server.
            fs::create_dir_all(self.folder())?;
            OpenFile::create(&new)
        })?;
        file.write_all(&self.text)?;
        // Before it has the name: else the machine could end with a name of nothing.
        syncs.cursor(&file)?;
        fs::rename(&new, &self.path)
    }

    /// Where it lies.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }
}

/// Ids are checked by the configuration; whatever else comes here stays in the folder all the same.
fn file_name(id: &str) -> String {
    let mut name = String::new();
    for byte in id.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name + ".json"
}

fn text(id: &str, saved: &Saved) -> Vec<u8> {
    let by = |by| match by {
        DisabledBy::Handler => By::Handler,
        DisabledBy::Operator => By::Operator,
    };
    let disabled =
        saved.disabled.map(|(who, revision)| Disabled { by: by(who), revision: format!("{revision:x}") });
    let file = File {
        v: VERSION,
        id: id.to_owned(),
        name: saved.name.to_string(),
        done_to: saved.cursor.done_to(),
        done: saved.cursor.beyond().collect(),
        disabled,
        at: saved.at.0,
    };
    serde_json::to_vec(&file).expect("invariant: a struct of numbers and texts always serialises into memory")
}

fn read(path: &Path) -> io::Result<(Text, Saved)> {
    let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    let file = fs::metadata(path)?;
    // To open a pipe would be to wait for a writer, and devices have no end.
    if !file.is_file() {
        return Err(invalid("it is no file"));
    }
    if file.len() > MOST_BYTES {
        return Err(invalid("it is too large"));
    }
    parse(&fs::read(path)?).map_err(|what| invalid(&what))
}

/// What a file says.
fn parse(bytes: &[u8]) -> Result<(Text, Saved), String> {
    // The parser's place, not its words: they may be a file's that is not ours.
    let file: File =
        serde_json::from_slice(bytes).map_err(|error| format!("line {} is wrong", error.line()))?;
    if file.v != VERSION {
        return Err(format!("it is of version {}", file.v));
    }
    let mut cursor = Cursor::at(file.done_to);
    for (from, to) in file.done {
        cursor.done(from, to);
    }
    let disabled = match file.disabled {
        None => None,
        Some(Disabled { by, revision }) => {
            let by = match by {
                By::Handler => DisabledBy::Handler,
                By::Operator => DisabledBy::Operator,
            };
            let revision =
                u64::from_str_radix(&revision, 16).map_err(|_digits| "its revision is wrong".to_owned())?;
            Some((by, revision))
        }
    };
    Ok((file.id.into(), Saved { name: file.name.into(), cursor, disabled, at: UnixTime(file.at) }))
}

/// Reads a file and writes it again, for the fuzzer.
#[must_use]
pub fn cursor_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let (id, saved) = parse(bytes).ok()?;
    Some(text(&id, &saved))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn off() -> Syncs {
        Syncs::new(jackfield_bus::Fsync::Off)
    }

    fn saved(cursor: Cursor, at: UnixTime) -> Saved {
        Saved { name: "a".into(), cursor, disabled: None, at }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut cursor = Cursor::at(10);
        cursor.done(12, 14);
        cursor.done(20, 20);
        let disabled = Some((DisabledBy::Handler, u64::MAX));
        let written = Saved { name: "new name".into(), cursor, disabled, at: UnixTime(5) };
        let mut cursors = Cursors::open(folder.path().to_owned(), 0).unwrap();
        cursors.set("../a".into(), written.clone());
        cursors.file("../a").unwrap().write(&off()).unwrap();
        assert!(folder.path().join("..%2fa.json").is_file());
        let again = Cursors::open(folder.path().to_owned(), 100).unwrap();
        assert_eq!(again.saved("../a"), Some(&written));
    }

    #[test]
    fn nothing_is_done_after_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::open(folder.path().to_owned(), 0).unwrap();
        cursors.set("a".into(), saved(Cursor::at(50), UnixTime(0)));
        cursors.file("a").unwrap().write(&off()).unwrap();
        let again = Cursors::open(folder.path().to_owned(), 40).unwrap();
        assert_eq!(again.saved("a").unwrap().cursor, Cursor::at(40));
    }

    #[test]
    fn cursors_that_nobody_used_for_long_go_and_files_of_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut cursors = Cursors::open(folder.path().to_owned(), 0).unwrap();
        for (id, at) in [("old", 0), ("new", 9), ("configured", 0)] {
            cursors.set(id.into(), saved(Cursor::at(1), UnixTime(at)));
            cursors.file(id).unwrap().write(&off()).unwrap();
        }
        for (name, text) in [("half.json.new", "{"), ("bad.json", "{"), ("note.txt", "")] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let mut again = Cursors::open(folder.path().to_owned(), 9).unwrap();
        again.forget(&["configured".into()], UnixTime(9));
        assert!(again.saved("new").is_some() && again.saved("old").is_none());
        assert!(again.is_unreadable("bad") && !again.is_unreadable("new"));
        let mut left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left, ["bad.json", "configured.json", "new.json", "note.txt"]);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let good = r#"{"v":1,"id":"a","name":"a","done_to":3,"done":[[9,5],[7,8]],"at":0}"#;
        let (_, read) = parse(good.as_bytes()).unwrap();
        assert_eq!((read.cursor.done_to(), read.cursor.beyond().collect::<Vec<_>>()), (3, vec![(7, 8)]));
        assert_eq!(parse(&cursor_again(good.as_bytes()).unwrap()).unwrap().1, read);
        for bad in [
            "",
            "[]",
            r#"{"v":2,"id":"a","name":"a","done_to":3,"done":[],"at":0}"#,
            r#"{"v":1,"id":"a","name":"a","done_to":-3,"done":[],"at":0}"#,
            r#"{"v":1,"id":"a","name":"a","done_to":3,"done":[[1]],"at":0}"#,
            r#"{"v":1,"id":"a","name":"a","done_to":3,"done":[],"at":0,"more":1}"#,
            r#"{"v":1,"id":"a","name":"a","done_to":3,"done":[],"at":0,"disabled":{"by":"me","revision":"0"}}"#,
            r#"{"v":1,"id":"a","name":"a","done_to":3,"done":[],"at":0,"disabled":{"by":"handler","revision":"x"}}"#,
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
