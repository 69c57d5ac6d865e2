//! A disk that takes no cursors, as it is told in the log of the server: that it began, now and then that it lasts, and that
//! it is over. Tries are more frequent.

use jackfield_media::Mono;
use std::io;
use std::time::Duration;

/// How often it is told that it lasts.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Whether cursors can be written.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<Since>);

/// They cannot.
#[derive(Debug, Clone, Copy)]
struct Since {
    began: Mono,
    told: Mono,
}

/// What is worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Nothing,
    /// They cannot be written, for so many milliseconds.
    Failing(u64),
    /// They can be again, after so many.
    Over(u64),
}

impl Trouble {
    /// They were written now, or not because of this.
    pub(super) fn tell(&mut self, now: Mono, error: Option<&io::Error>) {
        match (self.note(now, error), error) {
            (News::Failing(elapsed_ms), Some(error)) => {
                tracing::error!(%error, elapsed_ms, "The hooks' places in the log cannot be written");
            }
            (News::Over(elapsed_ms), _) => {
                tracing::info!(elapsed_ms, "The hooks' places in the log are written again");
            }
            _ => {}
        }
    }

    fn note(&mut self, now: Mono, error: Option<&io::Error>) -> News {
        match &mut self.0 {
            None if error.is_some() => {
                self.0 = Some(Since { began: now, told: now });
                News::Failing(0)
            }
            None => News::Nothing,
            Some(since) if error.is_none() => {
                let lasted = millis(now - since.began);
                self.0 = None;
                News::Over(lasted)
            }
            Some(since) if now >= since.told.after(TELL_EVERY) => {
                since.told = now;
                News::Failing(millis(now - since.began))
            }
            Some(_) => News::Nothing,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_begins_each_minute_and_when_it_is_over() {
        let mut trouble = Trouble::default();
        let at = |seconds| Mono::from_origin(Duration::from_secs(seconds));
        let error = io::Error::from(io::ErrorKind::StorageFull);
        let mut told = Vec::new();
        for seconds in 0..300 {
            let fails = (10..=135).contains(&seconds) || seconds == 200;
            match trouble.note(at(seconds), fails.then_some(&error)) {
                News::Nothing => {}
                news => told.push((seconds, news)),
            }
        }
        let expect = [
            (10, News::Failing(0)),
            (70, News::Failing(60_000)),
            (130, News::Failing(120_000)),
            (136, News::Over(126_000)),
            (200, News::Failing(0)),
            (201, News::Over(1000)),
        ];
        assert_eq!(told, expect);
    }
}
