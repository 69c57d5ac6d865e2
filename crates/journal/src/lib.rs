//! A log of opaque records that survives crashes: segments that are only appended to, read from any position.
//!
//! A record is a position, a time and a body. Positions ascend strictly and may leave gaps. [`Writer::open`] gives the
//! one [`Writer`], a [`Reader`] that may be cloned, and what was found wrong.
//!
//! ```
//! use jackfield_journal::{JournalConfig, Limit, Writer};
//! use jackfield_media::UnixTime;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let mut opened = Writer::open(JournalConfig::new(folder.path())).unwrap();
//! opened.writer.append(7, UnixTime(0), b"seven").unwrap();
//! opened.writer.append(9, UnixTime(0), b"nine").unwrap();
//! opened.writer.flush().unwrap();
//! let batch = opened.reader.read_after(7, Limit::default()).unwrap();
//! assert_eq!((&*batch.records[0].body, batch.up_to), (&b"nine"[..], 9));
//! ```
//!
//! Contract:
//! - What [`Writer::flush`] has written survives the end of the process; what [`Writer::sync`] has, that of the machine.
//! - A torn tail (the last record was being written) is cut at the next open and reported. A corrupt stretch is skipped
//!   up to the next valid record, reported, and the rest is read. So is a place that the disk cannot read, after [`TRIES`].
//! - A failed flush leaves nothing of what it should have written; the same positions may be appended again.
//! - Readers see what was flushed, whole records only, and never wait for a sync.
//! - Retention removes whole segments, the oldest first.
//! - A [`Spare`] keeps what no flush has written yet over the end of the process.
//! - There are no threads and no clock in here: calls block on the disk, and times are parameters.
//!
//! The form on disk: `<folder>/<first position, 20 digits>.seg`; a head of 16 bytes (`JFJOURNL`, version as u32, zero as
//! u32), then frames: marker `F5 FF C0 FE` (in no UTF-8 text), length u32, CRC32C u32 of all that follows, position
//! u64, time i64 in microseconds since 1970, body. Numbers are little-endian.
//!
//! | specification | version |
//! |---|---|
//! | CRC32C (Castagnoli) | RFC 3720, appendix B.4 |
//!
//! What it does not do: know what a record means, compress, or share a folder between two writers (its owner locks it).

mod frame;
mod reader;
mod scan;
mod segment;
mod spare;
mod writer;

#[cfg(test)]
mod faults;

pub use frame::MAX_BODY;
pub use reader::{Batch, Limit, Reader, Record};
pub use segment::{Corrupt, JournalConfig, JournalError, MAX_POSITION, TRIES};
pub use spare::{Spare, Spared, read_spare};
pub use writer::{Opened, Recovery, Removed, Retired, Syncer, Writer};
