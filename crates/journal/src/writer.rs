//! Appending: records are gathered in memory, written by a flush, and safe from the end of the machine after a sync.

use crate::frame;
use crate::reader::Reader;
use crate::scan::{Scan, is_unreadable};
use crate::segment::{
    self, Corrupt, HEAD, JournalConfig, JournalError, MAX_POSITION, Mark, NO_POSITION, Segment, Segments,
    Shared,
};
use jackfield_media::UnixTime;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What [`Writer::open`] gives.
#[derive(Debug)]
pub struct Opened {
    /// The one that appends.
    pub writer: Writer,
    /// One that reads.
    pub reader: Reader,
    /// What was there.
    pub recovery: Recovery,
}

/// What was found when a journal was opened. Older segments than the last are looked into when they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The position that the oldest segment begins with.
    pub first: Option<u64>,
    /// The last position.
    pub last: Option<u64>,
    /// Time of the last record.
    pub last_time: Option<UnixTime>,
    /// Bytes of a torn record that were cut from the end.
    pub torn_bytes: u64,
    /// Stretches of the last segment that are no records.
    pub corrupt: Vec<Corrupt>,
}

/// What retention removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retired {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Segments that somebody else removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    /// The position that the first of them began with.
    pub first: u64,
    /// The last position that was in them.
    pub last: u64,
}

/// Appends. There is one for a journal.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    syncer: Syncer,
    current: Option<Current>,
    pending: Pending,
    /// The last position that was appended.
    last: u64,
    last_time: UnixTime,
}

/// The segment that is written.
#[derive(Debug)]
struct Current {
    file: Arc<File>,
    path: PathBuf,
    identity: (u64, u64),
    bytes: u64,
    first_time: UnixTime,
    marks: Vec<Mark>,
}

/// What was appended and not flushed.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Each record, its offset that in `bytes`.
    records: Vec<Mark>,
}

/// Makes what was flushed safe from the end of the machine, also from another thread than the writer's.
#[derive(Debug, Clone, Default)]
pub struct Syncer(Arc<Mutex<Vec<Arc<File>>>>);

impl Syncer {
    /// Syncs the segments that were written since the last call.
    ///
    /// # Errors
    /// That of the disk; what was not synced is tried again by the next call.
    pub fn sync(&self) -> io::Result<()> {
        let files = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (done, file) in files.iter().enumerate() {
            let synced = file.sync_data();
            // A folder, on a file system that syncs none.
            let cannot = |kind| matches!(kind, io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported);
            if let Err(error) = synced
                && !cannot(error.kind())
            {
                for file in files.iter().skip(done) {
                    self.add(file);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn add(&self, file: &Arc<File>) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.iter().any(|held| Arc::ptr_eq(held, file)) {
            files.push(Arc::clone(file));
        }
    }
}

impl Writer {
    /// Opens the journal of a folder, which is made if it is not there; cuts a torn tail.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn open(config: JournalConfig) -> Result<Opened, JournalError> {
        fs::create_dir_all(&config.folder).map_err(JournalError::io(&config.folder))?;
        let mut list = list(&config.folder)?;
        let mut recovery = Recovery::default();
        let mut current = None;
        let mut last = 0;
        while let (None, Some(segment)) = (&current, list.last_mut()) {
            // Its name alone says that all before it was written.
            last = last.max(segment.first.saturating_sub(1));
            current = recover(segment, &mut recovery)?;
            if current.is_none() {
                fs::remove_file(&segment.path).map_err(JournalError::io(&segment.path))?;
                list.pop();
                if let Some(last) = list.last_mut() {
                    last.below = NO_POSITION;
                }
            }
        }
        last = last.max(recovery.last.unwrap_or(0));
        recovery.first = list.first().map(|segment| segment.first);
        recovery.last = Some(last).filter(|&last| last > 0);
        let last_time = recovery.last_time.unwrap_or_default();
        let shared = Arc::new(Shared::new(config, Segments { list, last }));
        let reader = Reader::new(Arc::clone(&shared));
        let (syncer, pending) = (Syncer::default(), Pending::default());
        let writer = Self { shared, syncer, current, pending, last, last_time };
        Ok(Opened { writer, reader, recovery })
    }

    /// Takes a record; [`Writer::flush`] writes it.
    ///
    /// # Errors
    /// `InvalidInput` if the position is not above the last one or is above [`MAX_POSITION`], or the body is longer than
    /// [`crate::MAX_BODY`]; it is not taken.
    pub fn append(&mut self, position: u64, time: UnixTime, body: &[u8]) -> io::Result<()> {
        let refused = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if position <= self.last {
            return refused("the position does not ascend");
        }
        if position > MAX_POSITION {
            return refused("the position is too high");
        }
        if body.len() > frame::MAX_BODY {
            return refused("the body is too long");
        }
        let offset = self.pending.bytes.len() as u64;
        frame::put(&mut self.pending.bytes, position, time, body);
        self.pending.records.push(Mark { position, time, offset });
        (self.last, self.last_time) = (position, time);
        Ok(())
    }

    /// Bytes that were appended and not flushed.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending.bytes.len()
    }

    /// Writes what was appended since the last flush; then readers see it. Segments that somebody removed meanwhile are
    /// given up, and a new one begins.
    ///
    /// # Errors
    /// That of the disk: then nothing of it is in the journal, and its positions may be appended again.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.pending.records.is_empty() {
            return Ok(());
        }
        let result = self.write();
        if result.is_err() {
            self.last = self.shared.segments().last;
        }
        self.pending.bytes.clear();
        self.pending.bytes.shrink_to(1 << 20);
        self.pending.records.clear();
        result
    }

    fn write(&mut self) -> io::Result<()> {
        if let Some(removed) = self.forget_removed() {
            let Removed { first, last } = removed;
            tracing::error!(first, last, folder = %self.shared.config.folder.display(), "Segments of a journal were removed");
        }
        let full = self.shared.config.segment_bytes;
        let current = match self.current.take() {
            Some(current) if current.bytes < full => self.current.insert(current),
            _ => {
                let Some(first) = self.pending.records.first() else { return Ok(()) };
                let (current, folder) = begin(&self.shared.config.folder, *first)?;
                // The name is synced too, or a segment could be gone that was.
                self.syncer.add(&folder);
                self.current.insert(current)
            }
        };
        self.syncer.add(&current.file);
        if let Err(error) = current.file.write_all_at(&self.pending.bytes, current.bytes) {
            // If this fails too, the next flush writes over it, and the next open cuts what is left.
            drop(current.file.set_len(current.bytes));
            return Err(error);
        }
        for record in &self.pending.records {
            segment::add_mark(&mut current.marks, Mark { offset: current.bytes + record.offset, ..*record });
        }
        current.bytes += self.pending.bytes.len() as u64;
        self.publish();
        Ok(())
    }

    /// Lets readers see what the current segment has now.
    fn publish(&self) {
        let Some(current) = &self.current else { return };
        let marks = || Some(current.marks.as_slice().into());
        let mut segments = self.shared.segments();
        segments.last = self.last;
        match segments.list.last_mut().filter(|segment| segment.path == current.path) {
            Some(segment) => {
                segment.bytes = current.bytes;
                if segment.marks.as_ref().is_none_or(|known| known.len() < current.marks.len()) {
                    segment.marks = marks();
                }
            }
            None => {
                let first = current.marks.first().map_or(self.last, |mark| mark.position);
                if let Some(former) = segments.list.last_mut() {
                    former.below = first;
                }
                segments.list.push(Segment {
                    first,
                    below: NO_POSITION,
                    path: current.path.clone(),
                    bytes: current.bytes,
                    first_time: Some(current.first_time),
                    marks: marks(),
                })
            }
        }
    }

    /// Flushes, and makes all that was flushed safe from the end of the machine.
    ///
    /// # Errors
    /// That of the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.syncer.sync()
    }

    /// What syncs without the writer.
    #[must_use]
    pub fn syncer(&self) -> Syncer {
        self.syncer.clone()
    }

    /// Looks whether somebody removed the segment that is written, or its folder. If so, what is gone is given up: the
    /// positions behind what is left may be appended again. What was appended and not flushed stays.
    pub fn forget_removed(&mut self) -> Option<Removed> {
        let current = self.current.as_ref()?;
        if identity(fs::metadata(&current.path).ok().as_ref()) == Some(current.identity) {
            return None;
        }
        let written = self.current.take()?.path;
        let mut segments = self.shared.segments();
        let last = segments.last;
        let is_there = |segment: &Segment| segment.path != written && segment.path.exists();
        let (kept, gone): (Vec<Segment>, Vec<Segment>) =
            std::mem::take(&mut segments.list).into_iter().partition(is_there);
        segments.list = kept;
        let first = gone.first()?.first;
        // The segments behind it are gone, so what is before it is all that there is.
        segments.last = first.saturating_sub(1);
        if self.pending.records.is_empty() {
            self.last = segments.last;
        }
        Some(Removed { first, last })
    }

    /// Removes the oldest segments while there are more bytes than are to be kept, and those with nothing younger than
    /// is to be kept. The segment that is written goes only by age.
    ///
    /// # Errors
    /// A file that cannot be removed; it is tried again by the next call.
    pub fn retain(&mut self, now: UnixTime) -> io::Result<Retired> {
        let keep = i64::try_from(self.shared.config.retain.as_micros()).unwrap_or(i64::MAX);
        let oldest = UnixTime(now.0.saturating_sub(keep));
        if self.current.as_ref().is_some_and(|current| current.first_time < oldest) {
            // It begins with what is too old: it is written no more, so that it can go when all in it is.
            self.flush()?;
            self.current = None;
        }
        let mut retired = Retired::default();
        while let Some((path, bytes)) = self.next_to_go(oldest) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.shared.segments().list.retain(|segment| segment.path != path);
            retired.segments += 1;
            retired.bytes += bytes;
        }
        Ok(retired)
    }

    fn next_to_go(&self, oldest: UnixTime) -> Option<(PathBuf, u64)> {
        let segments = self.shared.segments();
        let first = segments.list.first()?;
        let is_written = self.current.as_ref().is_some_and(|current| current.path == first.path);
        // Nothing in it is younger than the first record of the next one.
        let youngest = segments.list.get(1).map_or(Some(self.last_time), |next| next.first_time);
        let too_old = youngest.is_some_and(|youngest| youngest < oldest);
        let total: u64 = segments.list.iter().map(|segment| segment.bytes).sum();
        let goes = !is_written && (too_old || total > self.shared.config.retain_bytes);
        goes.then(|| (first.path.clone(), first.bytes))
    }
}

/// The segments of a folder, by position, none of them looked into.
fn list(folder: &Path) -> Result<Vec<Segment>, JournalError> {
    let mut list = Vec::new();
    for entry in fs::read_dir(folder).map_err(JournalError::io(folder))? {
        let entry = entry.map_err(JournalError::io(folder))?;
        let Some(first) = entry.file_name().to_str().and_then(segment::parse_name) else { continue };
        let path = entry.path();
        let file = fs::metadata(&path).map_err(JournalError::io(&path))?;
        // A folder is no segment, and to open a pipe would be to wait for a writer.
        if !file.is_file() {
            continue;
        }
        let bytes = file.len();
        segment::check_version(&path)?;
        list.push(Segment { first, below: NO_POSITION, path, bytes, first_time: None, marks: None });
    }
    list.sort_by_key(|segment| segment.first);
    for at in 1..list.len() {
        list[at - 1].below = list[at].first;
    }
    for segment in &mut list {
        let first = match Scan::whole(segment).and_then(|mut scan| scan.next()) {
            // It is old, most of what is kept lies elsewhere, and whoever reads it is told.
            Err(error) if is_unreadable(&error) => None,
            read => read.map_err(JournalError::io(&segment.path))?,
        };
        segment.first_time = first.map(|hit| hit.time);
    }
    Ok(list)
}

/// Reads the last segment whole and cuts what is torn from its end; `None` if it has no record.
fn recover(segment: &mut Segment, recovery: &mut Recovery) -> Result<Option<Current>, JournalError> {
    let failed = |source| JournalError::Io { path: segment.path.clone(), source };
    let mut scan = Scan::whole(segment).map_err(failed)?;
    let (mut marks, mut corrupt, mut first_time, mut last_time) = (Vec::new(), Vec::new(), None, None);
    loop {
        let after = scan.last();
        let Some(hit) = scan.next().map_err(failed)? else { break };
        if hit.skipped > 0 {
            corrupt.push(Corrupt { bytes: hit.skipped, after, before: hit.position });
        }
        segment::add_mark(&mut marks, Mark { position: hit.position, time: hit.time, offset: hit.offset });
        first_time.get_or_insert(hit.time);
        last_time = Some(hit.time);
    }
    let end = scan.valid_end();
    recovery.torn_bytes += segment.bytes.saturating_sub(end);
    let Some(first_time) = first_time else { return Ok(None) };
    recovery.corrupt.extend(corrupt);
    (recovery.last, recovery.last_time) = (Some(scan.last()), last_time);
    let file = OpenOptions::new().read(true).write(true).open(&segment.path).map_err(failed)?;
    if end < segment.bytes {
        file.set_len(end).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    let identity = identity(Some(&file.metadata().map_err(failed)?)).unwrap_or_default();
    (segment.bytes, segment.marks) = (end, Some(marks.as_slice().into()));
    let path = segment.path.clone();
    Ok(Some(Current { file: Arc::new(file), path, identity, bytes: end, first_time, marks }))
}

/// Begins a segment with this record.
fn begin(folder: &Path, first: Mark) -> io::Result<(Current, Arc<File>)> {
    fs::create_dir_all(folder)?;
    let path = folder.join(segment::file_name(first.position));
    // One of this name is left of a begin that failed: no record was ever read from it.
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    file.write_all_at(&segment::head(), 0)?;
    let folder = Arc::new(File::open(folder)?);
    let identity = identity(Some(&file.metadata()?)).unwrap_or_default();
    let marks = Vec::new();
    Ok((Current { file: Arc::new(file), path, identity, bytes: HEAD, first_time: first.time, marks }, folder))
}

fn identity(metadata: Option<&fs::Metadata>) -> Option<(u64, u64)> {
    metadata.map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests;
