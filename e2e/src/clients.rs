//! The programs that publish and play, while they run; [`kinds`] has what each is called with.
//!
//! Players write FLV to a pipe and never end by themselves: a test waits for as many pictures as it wants and ends them.
//! (Their own ways to end differ and mislead: `rtmpdump --stop` does nothing with `--live`, `gst-launch` with `rtmp2src`
//! ignores SIGINT, and its sinks do not count.)

mod kinds;

pub use kinds::{Address, PlayerKind, PublisherKind, TlsVersion};

use crate::flv::{Demuxer, Recording};
use crate::program::{BytesFn, Program, Running, Stdout};
use crate::{Journal, SOON};
use anyhow::{Context, Result, anyhow};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A running publisher; it is killed when this value goes.
#[derive(Debug)]
pub struct Publisher {
    program: Running,
}

impl Publisher {
    /// The program, with what it says on standard error.
    pub fn program(&self) -> &Running {
        &self.program
    }

    /// Waits until it ends by itself, as it does when it is refused.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub fn wait(&mut self, within: Duration) -> Result<ExitStatus> {
        self.program.wait(within)
    }

    /// Ends it as a user would: SIGTERM, on which it unpublishes.
    pub fn end(mut self) -> Option<ExitStatus> {
        self.program.end(SOON)
    }
}

/// A running player; it is killed when this value goes.
#[derive(Debug)]
pub struct Player {
    program: Running,
    got: Arc<Mutex<Recording>>,
    /// How many pictures so far, one entry whenever it changes; closed when the output ends.
    pictures: Journal<usize>,
    /// The first thing in the output that is not FLV.
    broken: Journal<String>,
}

impl Player {
    /// Starts a program that writes FLV on its standard output.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: Program) -> Result<Self> {
        let got = Arc::new(Mutex::new(Recording::default()));
        let (pictures, broken) = (Journal::default(), Journal::default());
        let (into, count, faults) = (Arc::clone(&got), pictures.clone(), broken.clone());
        let mut demuxer = Demuxer::default();
        let call = BytesFn::new(move |block: &[u8]| {
            if block.is_empty() {
                return count.close();
            }
            let mut recording = into.lock().unwrap_or_else(PoisonError::into_inner);
            if faults.is_empty()
                && let Err(error) = demuxer.push(block, &mut recording)
            {
                faults.push(format!("{error:#}"));
            }
            let pictures = recording.video.units.len();
            if count.read(|counts| counts.last() != Some(&pictures)) {
                count.push(pictures);
            }
        });
        Ok(Self { program: program.stdout(Stdout::Bytes(call)).start()?, got, pictures, broken })
    }

    /// The program, with what it says on standard error.
    pub fn program(&self) -> &Running {
        &self.program
    }

    /// Waits until it has got this many pictures in all.
    ///
    /// # Errors
    /// When they have not come `within` that time, or the player has ended before: the error has its last words.
    pub fn wait_video(&self, pictures: usize, within: Duration) -> Result<()> {
        let enough = |counts: &[usize]| counts.last().is_some_and(|count| *count >= pictures).then_some(());
        self.pictures.wait("pictures", within, enough).map(drop).with_context(|| {
            let count = self.so_far().video.units.len();
            format!("{count} of {pictures} pictures; the player said:{}", self.program.last_words())
        })
    }

    /// Waits until its output ends, as it does when the stream ends.
    ///
    /// # Errors
    /// When it still goes on after `within`.
    pub fn wait_end(&self, within: Duration) -> Result<()> {
        self.pictures.wait_closed("the player's output", within)
    }

    /// What it has got so far.
    pub fn so_far(&self) -> Recording {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it as a user would (SIGTERM), and returns what it got.
    ///
    /// # Errors
    /// When its output was not FLV.
    pub fn finish(mut self) -> Result<Recording> {
        self.program.end(Duration::from_secs(2));
        self.pictures.wait_closed("the player's output", SOON).context("after its end")?;
        match self.broken.read(|faults| faults.first().cloned()) {
            Some(fault) => Err(anyhow!("the player wrote no FLV: {fault}")),
            None => Ok(self.so_far()),
        }
    }
}
