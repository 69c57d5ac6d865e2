//! Cursors on their way to disk, and dead letters before them.

use super::super::{Inner, State};
use crate::cursor::{CursorFile, Saved};
use crate::dead::Store;
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
    pub(super) fn take_unsaved(&mut self) -> Option<(Arc<Store>, Vec<CursorFile>)> {
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
        Some((Arc::clone(&keep.store), files))
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
    /// Returns how many bytes these were.
    pub(in crate::dispatch) async fn save(self: &Arc<Self>) -> u64 {
        if self.state().keep.is_none() {
            return 0;
        }
        let inner = Arc::clone(self);
        self.tasks.blocking("hooks-cursors", move || inner.save_now()).join().await.unwrap_or_default()
    }

    /// The same. Blocks.
    pub(super) fn save_now(&self) -> u64 {
        // One at a time, from the look at what moved to its file: no older place takes that of a newer one.
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((store, files)) = self.state().take_unsaved() else { return 0 };
        if files.is_empty() && store.is_written() {
            return 0;
        }
        let bytes = files.iter().map(CursorFile::bytes).sum();
        let unsaved = write(&store, files);
        if !unsaved.is_empty() {
            self.state().take_back(unsaved);
        }
        bytes
    }
}

/// Returns the hooks whose cursors are not on disk. One that cannot be written holds up no other; but without the letters
/// none is written.
fn write(store: &Store, files: Vec<CursorFile>) -> Vec<Text> {
    let letters = store.flush(clock::unix_now());
    let mut unsaved = Vec::new();
    let mut failed = letters.err();
    let has_letters = failed.is_none();
    for file in files {
        let written = if has_letters { file.write() } else { Err(io::ErrorKind::Other.into()) };
        if let Err(error) = written {
            failed.get_or_insert(error);
            unsaved.push(file.into_id());
        }
    }
    if let Some(error) = failed {
        tracing::error!(%error, "The hooks' places in the log cannot be written");
    }
    unsaved
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
        let bytes = strong.save().await;
        let failed = strong.state().keep.as_ref().is_some_and(|keep| !keep.unsaved.is_empty());
        drop(strong);
        if failed {
            clock::sleep(AFTER_AN_ERROR).await;
            changed.notify_one();
        } else {
            let times = u32::try_from(1 + bytes / BYTES_AT_ONCE).unwrap_or(u32::MAX);
            clock::sleep(SAVE_EVERY.saturating_mul(times)).await;
        }
    }
}
