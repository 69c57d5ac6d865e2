//! The formats that a stream's viewers want.

use crate::outlet::Packager;
use std::fmt;
use std::sync::Arc;

/// Formats that are remembered although nobody uses them just now, so that a viewer that leaves and
/// comes again does not cost another packaging of the cached group.
const UNUSED_FORMATS: usize = 8;

/// A format within one stream; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormatId(u64);

/// A format and who makes it.
#[derive(Clone)]
pub(super) struct Format {
    pub(super) id: FormatId,
    pub(super) packager: Arc<dyn Packager>,
    /// One for each clone: every viewer has one.
    users: Arc<()>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Format").field("id", &self.id).field("packager", &self.packager.name()).finish()
    }
}

#[derive(Debug, Default)]
pub(super) struct Formats {
    next: u64,
    list: Vec<Format>,
}

impl Formats {
    /// The format of this packager: the same object is the same format.
    pub(super) fn of(&mut self, packager: &Arc<dyn Packager>) -> Format {
        let same = |format: &&Format| std::ptr::addr_eq(Arc::as_ptr(&format.packager), Arc::as_ptr(packager));
        if let Some(format) = self.list.iter().find(same) {
            return format.clone();
        }
        // One that is in use is not forgotten: its next viewer would have all that is cached packaged once more.
        let is_unused = |format: &Format| Arc::strong_count(&format.users) == 1;
        if self.list.iter().filter(|format| is_unused(format)).count() >= UNUSED_FORMATS
            && let Some(oldest) = self.list.iter().position(is_unused)
        {
            self.list.remove(oldest);
        }
        let format = Format { id: FormatId(self.next), packager: Arc::clone(packager), users: Arc::new(()) };
        self.next += 1;
        self.list.push(format.clone());
        format
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outlet::Packaged;
    use jackfield_media::{Frame, Track};

    /// Not of size 0: each is an object of its own.
    struct Nothing(#[expect(dead_code, reason = "makes objects differ")] u8);

    impl Packager for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }

        fn package(&self, _frame: &Frame, _track: Option<&Track>) -> Option<Packaged> {
            None
        }
    }

    #[test]
    fn formats_in_use_are_never_forgotten_and_some_others_are_not() {
        let mut formats = Formats::default();
        let packagers: Vec<Arc<dyn Packager>> = (0..30).map(|n| Arc::new(Nothing(n)) as _).collect();
        let (used, unused) = packagers.split_at(10);
        let in_use: Vec<Format> = used.iter().map(|packager| formats.of(packager)).collect();
        let left: Vec<FormatId> = unused.iter().map(|packager| formats.of(packager).id).collect();
        assert_eq!(formats.list.len(), 10 + UNUSED_FORMATS);
        for (packager, format) in used.iter().zip(&in_use) {
            assert_eq!(formats.of(packager).id, format.id);
        }
        assert_eq!(formats.of(&packagers[29]).id, *left.last().unwrap(), "the last are remembered");
        assert_ne!(formats.of(&packagers[10]).id, left[0], "and the first are not");
        drop(in_use);
        formats.of(&unused[0]);
        assert!(formats.list.len() <= 10 + UNUSED_FORMATS);
    }
}
