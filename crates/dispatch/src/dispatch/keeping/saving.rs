//! Cursors on their way to disk, and dead letters before them.

use super::super::{Inner, State};
use crate::cursor::{CursorFile, Saved};
use crate::dead::Store;
use crate::syncs::Syncs;
use jackfield_media::Text;
use jackfield_runtime::{CancellationToken, clock};
use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long cursors may be older on disk than what was done.
const SAVE_EVERY: Duration = Duration::from_millis(100);
/// With more bytes of cursors they are written less often: so many in that time.
const BYTES_AT_ONCE: u64 = 64 * 1024;
/// How long a disk that takes no cursor is left alone.
const AFTER_AN_ERROR: Duration = Duration::from_secs(1);

/// What has to be written.
#[derive(Debug)]
pub(super) struct Unsaved {
    store: Arc<Store>,
    syncs: Arc<Syncs>,
    files: Vec<CursorFile>,
}

/// What became of it.
#[derive(Debug, Default)]
pub(in crate::dispatch) struct Saving {
    /// Bytes of cursors.
    bytes: u64,
    /// Hooks whose cursors are not on disk.
    pub(super) failed: Vec<Text>,
}

impl State {
    /// Where every hook stands whose cursor moved. To be called before a hook goes.
    pub(in crate::dispatch) fn remember(&mut self) {
        let at = clock::unix_now();
        let changed = self.core.changed_cursors();
        let Some(keep) = &mut self.keep else { return };
        for (id, cursor) in changed {
            let disabled = keep.cursors.saved(&id).and_then(|saved| saved.disabled);
            let name = self.core.spec_of(&id).map_or_else(|| id.clone(), |spec| spec.name.clone());
            keep.unsaved.insert(id.clone());
            keep.cursors.set(id, Saved { name, cursor, disabled, at });
        }
    }

    /// What has to be written: every cursor that moved.
    pub(super) fn take_unsaved(&mut self) -> Option<Unsaved> {
        self.remember();
        let at = clock::unix_now();
        let core = &self.core;
        let keep = self.keep.as_mut()?;
        for id in &keep.unsaved {
            let Some(saved) = keep.cursors.saved(id).cloned() else { continue };
            let Some(revision) = core.spec_of(id).map(|spec| spec.revision) else { continue };
            let disabled = core.disabled(id).map(|by| (by, revision));
            keep.cursors.set(id.clone(), Saved { disabled, at, ..saved });
        }
        let files: Vec<CursorFile> =
            std::mem::take(&mut keep.unsaved).iter().filter_map(|id| keep.cursors.file(id)).collect();
        Some(Unsaved { store: Arc::clone(&keep.store), syncs: Arc::clone(&keep.syncs), files })
    }

    /// Something of this hook that is kept has changed.
    pub(in crate::dispatch) fn must_save(&mut self, hook_id: Text) {
        if let Some(keep) = &mut self.keep {
            keep.unsaved.insert(hook_id);
        }
    }

    /// They could not be written.
    fn take_back(&mut self, ids: impl IntoIterator<Item = Text>) {
        if let Some(keep) = &mut self.keep {
            keep.unsaved.extend(ids);
        }
    }
}

impl Inner {
    /// Writes every cursor that moved, and the letters before them.
    /// `None` if that came to no end.
    pub(in crate::dispatch) async fn save(self: &Arc<Self>) -> Option<Saving> {
        if self.state().keep.is_none() {
            return Some(Saving::default());
        }
        let inner = Arc::clone(self);
        self.tasks.blocking("hooks-cursors", move || inner.save_now()).join().await
    }

    /// The same. Blocks.
    pub(super) fn save_now(&self) -> Saving {
        // One at a time, from the look at what moved to its file: no older place takes that of a newer one.
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unsaved) = self.state().take_unsaved() else { return Saving::default() };
        if unsaved.files.is_empty() && unsaved.store.is_written() {
            return Saving::default();
        }
        let bytes = unsaved.files.iter().map(CursorFile::bytes).sum();
        let (failed, error) = unsaved.write();
        let mut state = self.state();
        if let Some(keep) = &mut state.keep {
            keep.trouble.tell(clock::now(), error.as_ref());
        }
        state.take_back(failed.iter().cloned());
        Saving { bytes, failed }
    }
}

impl Unsaved {
    /// Returns the hooks whose cursors are not on disk, and the first error. One that cannot be written holds up no other;
    /// but without the letters none is written.
    fn write(self) -> (Vec<Text>, Option<io::Error>) {
        let Self { store, syncs, files } = self;
        let mut failed = store.flush(clock::unix_now()).err();
        let has_letters = failed.is_none();
        let folder = files.first().map(|file| file.folder().to_owned());
        let (mut unsaved, mut named) = (Vec::new(), Vec::new());
        for file in files {
            let written = if has_letters { file.write(&syncs) } else { Err(io::ErrorKind::Other.into()) };
            match written {
                Ok(()) => named.push(file.into_id()),
                Err(error) => {
                    failed.get_or_insert(error);
                    unsaved.push(file.into_id());
                }
            }
        }
        // Once for all of them.
        if let Some(folder) = folder.filter(|_| !named.is_empty())
            && let Err(error) = syncs.names(&folder)
        {
            failed.get_or_insert(error);
            unsaved.append(&mut named);
        }
        (unsaved, failed)
    }
}

/// Saves what has changed, not more often than [`SAVE_EVERY`].
pub(super) async fn save_again_and_again(
    inner: Weak<Inner>,
    changed: Arc<Notify>,
    stopping: CancellationToken,
) {
    loop {
        tokio::select! {
            () = changed.notified() => {}
            () = stopping.cancelled() => return,
        }
        let Some(strong) = inner.upgrade() else { return };
        let began = clock::now();
        let bytes = strong.save().await.unwrap_or_default().bytes;
        let took = clock::now() - began;
        let failed = strong.state().keep.as_ref().is_some_and(|keep| !keep.unsaved.is_empty());
        drop(strong);
        if failed {
            clock::sleep(AFTER_AN_ERROR).await;
            changed.notify_one();
        } else {
            let times = u32::try_from(1 + bytes / BYTES_AT_ONCE).unwrap_or(u32::MAX);
            // A disk that is slow to sync has half of its time for others.
            clock::sleep(SAVE_EVERY.saturating_mul(times).max(took)).await;
        }
    }
}

#[cfg(test)]
mod tests;
