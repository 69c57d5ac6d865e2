//! Knowing that all processes of a group are gone, without looking for them again and again.

use anyhow::{Context, Result};
use jackfield_e2e::{Journal, SOON};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A named pipe that a script opens for writing and its children inherit (`exec 9>"$1"`): it ends when the last of
/// them has ended, however.
pub(super) struct Lifeline(Journal<&'static str>);

impl Lifeline {
    pub(super) fn new(path: &Path) -> Result<Self> {
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).context("making a named pipe")?;
        let journal = Journal::default();
        let (into, path) = (journal.clone(), path.to_owned());
        #[expect(clippy::disallowed_methods, reason = "opening waits for a writer, who may never come")]
        std::thread::spawn(move || {
            let Ok(mut pipe) = File::open(path) else { return };
            into.push("opened");
            // Nothing is ever written: this returns at the end.
            drop(pipe.read_to_end(&mut Vec::new()));
            into.push("ended");
            into.close();
        });
        Ok(Self(journal))
    }

    pub(super) fn wait_opened(&self) -> Result<()> {
        self.0.wait("holder of the pipe", SOON, |seen| seen.first().map(drop))
    }

    /// Whether somebody holds the pipe now.
    pub(super) fn is_held(&self) -> bool {
        self.0.read(|seen| seen == ["opened"])
    }

    pub(super) fn wait_gone(&self) -> Result<()> {
        self.0.wait_closed("the group of the program", SOON)
    }
}
