//! The spare of the outbox: what was told is in memory that outlives the process before anybody sees its effect, so
//! that `kill -9` loses nothing even while the writer waits for the disk or for a processor.
//!
//! Its file lies in a file system in memory under a name made by chance; a note in the folder of the outbox, `spare`,
//! says where. The file is locked as long as its server runs, so that a copy of the folder does not take it away. It
//! goes when the outbox has ended with everything written, and with the machine.

use super::{OutboxError, SpareFolder};
use jackfield_journal::{Record, Spare, Spared, Writer, read_spare};
use jackfield_media::UnixTime;
use jackfield_runtime::random;
use rustix::fs::{FlockOperation, FsWord, OFlags, flock};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What says in the folder of the outbox where the spare is.
const NOTE: &str = "spare";
/// The longest path that a note holds.
const MAX_NOTE: u64 = 4096;
/// Bytes of each of its two halves. At 50,000 notices of 600 bytes a second one is filled in 130 ms.
const HALF: u64 = 4 << 20;

/// Types of file systems that lie in memory, as `statfs(2)` names them: tmpfs, ramfs.
const IN_MEMORY: [FsWord; 2] = [0x0102_1994, 0x8584_58F6];

/// The spare that is written, with its file.
#[derive(Debug)]
pub(super) struct Kept {
    spare: Spare,
    path: PathBuf,
    note: PathBuf,
}

/// Stores what the spare of the last server has and the log has not; gives how many that were.
pub(super) fn recover(folder: &Path, writer: &mut Writer, stored: u64) -> io::Result<usize> {
    let Some((path, file)) = left(&folder.join(NOTE))? else { return Ok(0) };
    let mut count = 0;
    for Record { position, time, body } in read_spare(&file)? {
        if position > stored {
            match writer.append(position, time, &body) {
                Ok(()) => count += 1,
                Err(error) => {
                    tracing::error!(%error, seq = position, "An event of the spare cannot be stored")
                }
            }
        }
    }
    writer.sync()?;
    remove(&path);
    Ok(count)
}

/// The spare that the note tells of, if it is nobody else's.
fn left(note: &Path) -> io::Result<Option<(PathBuf, File)>> {
    let is_there = |result: io::Result<File>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    };
    let Some(mut file) = is_there(File::open(note))? else { return Ok(None) };
    let mut path = Vec::new();
    io::copy(&mut io::Read::take(&mut file, MAX_NOTE), &mut path)?;
    let path = PathBuf::from(OsStr::from_bytes(&path));
    // Others may write in such folders: a link, a pipe or a file of somebody else is no spare of ours.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
    let Ok(Some(file)) = is_there(opened) else { return Ok(None) };
    let kind = file.metadata()?;
    let is_ours = kind.is_file() && kind.uid() == rustix::process::geteuid().as_raw();
    let is_free = is_ours && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if !is_free {
        tracing::warn!(path = %path.display(), "The spare of the log of events is another's, it is not read");
    }
    Ok(is_free.then_some((path, file)))
}

impl Kept {
    /// Begins a spare.
    pub(super) fn begin(outbox: &Path, folder: &SpareFolder) -> Result<Option<Self>, OutboxError> {
        match folder {
            SpareFolder::Off => Ok(None),
            SpareFolder::At(folder) => Self::begin_in(outbox, folder)
                .map(Some)
                .map_err(|source| OutboxError::Spare { folder: folder.clone(), source }),
            SpareFolder::FirstOf(folders) => Ok(Self::begin_in_first(outbox, folders)),
        }
    }

    fn begin_in_first(outbox: &Path, folders: &[PathBuf]) -> Option<Self> {
        for folder in folders {
            match Self::begin_in(outbox, folder) {
                Ok(kept) => return Some(kept),
                Err(error) => {
                    tracing::debug!(%error, folder = %folder.display(), "No spare can be kept there")
                }
            }
        }
        tracing::info!(
            ?folders,
            "No folder in memory: if this server is killed, events of the last moment are lost"
        );
        None
    }

    fn begin_in(outbox: &Path, folder: &Path) -> io::Result<Self> {
        if !is_in_memory(folder)? {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it is not on a file system in memory (tmpfs)",
            ));
        }
        let path = folder.join(format!("jackfield-{:016x}{:016x}.spare", random::number(), random::number()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        let begun = || {
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            let spare = Spare::begin(file, HALF)?;
            let kept = Self { spare, path: path.clone(), note: outbox.join(NOTE) };
            kept.take_note()?;
            Ok(kept)
        };
        begun().inspect_err(|_: &io::Error| remove(&path))
    }

    /// Writes the note, also again when somebody removed it.
    pub(super) fn take_note(&self) -> io::Result<()> {
        if let Some(folder) = self.note.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = self.note.with_extension("new");
        fs::write(&new, self.path.as_os_str().as_bytes())?;
        fs::rename(new, &self.note)
    }

    /// See [`Spare::put`].
    pub(super) fn put(&mut self, seq: u64, time: UnixTime, body: &[u8]) -> io::Result<Spared> {
        self.spare.put(seq, time, body)
    }

    /// See [`Spare::settle`].
    pub(super) fn settle(&mut self, seq: u64) {
        self.spare.settle(seq);
    }

    /// Ends it; if something was not written, the next server finds it.
    pub(super) fn end(self) {
        if self.spare.is_settled() {
            remove(&self.path);
            remove(&self.note);
        }
    }
}

/// Whether writing there never waits for a disk.
fn is_in_memory(folder: &Path) -> io::Result<bool> {
    Ok(IN_MEMORY.contains(&rustix::fs::statfs(folder)?.f_type))
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "A file of the log of events cannot be removed");
        }
        _ => {}
    }
}
