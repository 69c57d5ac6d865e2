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
        if self.list.len() >= UNUSED_FORMATS {
            // A viewer that still uses a format that is forgotten here keeps its own copy of it.
            self.list.remove(0);
        }
        let format = Format { id: FormatId(self.next), packager: Arc::clone(packager) };
        self.next += 1;
        self.list.push(format.clone());
        format
    }
}
