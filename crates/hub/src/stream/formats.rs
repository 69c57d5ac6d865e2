//! The formats that a stream's viewers want.

use crate::outlet::Packager;
use std::fmt;
use std::sync::{Arc, Weak};

/// Formats that are remembered although nobody uses them just now, so that a viewer that leaves and
/// comes again does not cost another packaging of the cached group. Those whose packager is gone are not.
const UNUSED_FORMATS: usize = 8;

/// A format within one stream; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FormatId(u64);

/// A format and who makes it.
#[derive(Clone)]
pub(super) struct Format {
    pub(super) id: FormatId,
    pub(super) packager: Arc<dyn Packager>,
    mark: Arc<()>,
}

/// Tells whether a format is still remembered or used.
pub(super) type FormatMark = Weak<()>;

impl Format {
    pub(super) fn mark(&self) -> FormatMark {
        Arc::downgrade(&self.mark)
    }
}

/// A format of which the stream knows whether viewers have it.
#[derive(Debug)]
struct Remembered {
    id: FormatId,
    packager: Weak<dyn Packager>,
    /// One more for each viewer.
    mark: Arc<()>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Format").field("id", &self.id).field("packager", &self.packager.name()).finish()
    }
}

#[derive(Debug, Default)]
pub(super) struct Formats {
    next: u64,
    list: Vec<Remembered>,
}

impl Formats {
    /// The format of this packager: the same object is the same format.
    pub(super) fn of(&mut self, packager: &Arc<dyn Packager>) -> Format {
        self.list.retain(|known| known.packager.strong_count() > 0);
        let same = |known: &&Remembered| std::ptr::addr_eq(known.packager.as_ptr(), Arc::as_ptr(packager));
        if let Some(known) = self.list.iter().find(same) {
            return Format { id: known.id, packager: Arc::clone(packager), mark: Arc::clone(&known.mark) };
        }
        // One that is in use is not forgotten: its next viewer would have all that is cached packaged once more.
        let is_unused = |known: &Remembered| Arc::strong_count(&known.mark) == 1;
        if self.list.iter().filter(|known| is_unused(known)).count() >= UNUSED_FORMATS
            && let Some(oldest) = self.list.iter().position(is_unused)
        {
            self.list.remove(oldest);
        }
        let (id, mark) = (FormatId(self.next), Arc::new(()));
        self.next += 1;
        self.list.push(Remembered { id, packager: Arc::downgrade(packager), mark: Arc::clone(&mark) });
        Format { id, packager: Arc::clone(packager), mark }
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

    #[test]
    fn a_format_keeps_no_packager_that_nobody_else_has() {
        let mut formats = Formats::default();
        let packager: Arc<dyn Packager> = Arc::new(Nothing(0));
        let (format, gone) = (formats.of(&packager), Arc::downgrade(&packager));
        let mark = format.mark();
        drop((format, packager));
        assert_eq!((gone.strong_count(), mark.strong_count()), (0, 1));
        formats.of(&(Arc::new(Nothing(1)) as _));
        assert_eq!((mark.strong_count(), formats.list.len()), (0, 1));
    }
}
