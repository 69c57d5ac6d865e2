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
use std::sync::Arc;

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
    place: Arc<Place>,
    /// Whether it was told that something could not be put.
    told: bool,
}

/// Where a spare lies, and what says so.
#[derive(Debug)]
pub(super) struct Place {
    file: PathBuf,
    /// Its device and number: another file may come to have its name.
    identity: (u64, u64),
    note: PathBuf,
}

/// Stores what the spare of the last server has and the log has not; gives how many that were.
pub(super) fn recover(folder: &Path, writer: &mut Writer, stored: u64) -> io::Result<usize> {
    let Some((path, file)) = left(&folder.join(NOTE))? else { return Ok(0) };
    let Some(records) = read_spare(&file)? else {
        tracing::warn!(path = %path.display(), "The file is no spare that this version reads, it stays as it is");
        return Ok(0);
    };
    let mut count = 0;
    for Record { position, time, body } in records {
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
    let file = match open(note, OFlags::NONBLOCK) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        tracing::warn!(path = %note.display(), "What should say where the spare is is no file");
        return Ok(None);
    }
    let mut path = Vec::new();
    io::copy(&mut io::Read::take(file, MAX_NOTE), &mut path)?;
    let path = PathBuf::from(OsStr::from_bytes(&path));
    // Others may write in such folders: a link, a pipe or a file of somebody else is no spare of ours.
    let file = match open(&path, OFlags::NOFOLLOW | OFlags::NONBLOCK) {
        // The machine was started anew, and its memory is empty.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "The spare of the log of events cannot be read");
            return Ok(None);
        }
        Ok(file) => file,
    };
    let kind = file.metadata()?;
    let is_ours = kind.is_file() && kind.uid() == rustix::process::geteuid().as_raw();
    let is_free = is_ours && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    if !is_free {
        tracing::warn!(path = %path.display(), "The spare of the log of events is another's, it is not read");
    }
    Ok(is_free.then_some((path, file)))
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
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
            let identity = identity(&file.metadata()?);
            let spare = Spare::begin(file, HALF)?;
            let place = Place { file: path.clone(), identity, note: outbox.join(NOTE) };
            place.take_note()?;
            Ok(Self { spare, place: Arc::new(place), told: false })
        };
        begun().inspect_err(|_: &io::Error| remove(&path))
    }

    pub(super) fn place(&self) -> Arc<Place> {
        Arc::clone(&self.place)
    }

    /// See [`Spare::put`]. A file system that is full may have room again.
    pub(super) fn put(&mut self, seq: u64, time: UnixTime, body: &[u8]) -> Spared {
        self.spare.put(seq, time, body).unwrap_or_else(|error| {
            if !std::mem::replace(&mut self.told, true) {
                tracing::error!(%error, seq, "Some events do not outlive this server until they are written");
            }
            Spared::Full
        })
    }

    /// See [`Spare::settle`].
    pub(super) fn settle(&mut self, seq: u64) {
        self.spare.settle(seq);
    }

    /// Ends it; if something was not written, the next server finds it.
    pub(super) fn end(self) {
        if self.spare.is_settled() {
            remove(&self.place.file);
            remove(&self.place.note);
        }
    }
}

impl Place {
    /// Writes the note, also again when somebody removed it. Blocks on the disk.
    pub(super) fn take_note(&self) -> io::Result<()> {
        if let Some(folder) = self.note.parent() {
            fs::create_dir_all(folder)?;
        }
        let new = self.note.with_extension("new");
        fs::write(&new, self.file.as_os_str().as_bytes())?;
        fs::rename(new, &self.note)
    }

    /// Whether the next server finds the file.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.file).is_ok_and(|file| identity(&file) == self.identity)
    }
}

fn identity(file: &fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
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
