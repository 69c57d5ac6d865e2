//! Publishers whose hooks misbehave: each gets the verdict that the hook's policy says, in time.

use crate::board::Board;
use crate::clip::{self, Mark, VIDEO_CONFIG};
use crate::findings::Check;
use crate::hooks::{Bad, Verdict, asked};
use crate::plan::Plan;
use crate::publishers::{Refusal, open};
use bytes::Bytes;
use jackfield_media::TrackKind;
use jackfield_rtmp_client::{ClientError, Publication};
use jackfield_runtime::{CancellationToken, clock};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The budget of one of its questions, after which it has its verdict whatever happens; the rest is for a busy machine.
const IN_TIME: Duration = Duration::from_secs(15);

/// One after the other asks about the stream of one hook.
pub(crate) struct Visitors {
    pub(crate) board: Arc<Board>,
    pub(crate) plan: Plan,
    pub(crate) hook: &'static Bad,
    pub(crate) ending: CancellationToken,
}

impl Visitors {
    pub(crate) async fn run(self) {
        while !self.ending.is_cancelled() {
            self.visit().await;
            let pause = clock::now().after(self.plan.pause.draw());
            // Whether it was cancelled is asked above.
            let _cancelled = clock::until(pause, self.ending.cancelled()).await;
        }
    }

    async fn visit(&self) {
        let findings = &self.board.findings;
        let name = self.hook.name;
        let began = clock::now();
        let opened = open(&self.board.url(&asked(name))).await;
        let took = clock::now() - began;
        let verdict = match &opened {
            Ok(_) => Ok(Verdict::Allowed),
            Err(Refusal::Said(ClientError::End(_))) => Ok(Verdict::Denied),
            Err(error) => Err(error),
        };
        findings.examined(Check::Verdicts, 1);
        self.board.counts.visits.fetch_add(1, Ordering::Relaxed);
        match verdict {
            Ok(verdict) if verdict != self.hook.verdict => {
                let why = opened.as_ref().err().map(ToString::to_string).unwrap_or_default();
                findings.fault(Check::Verdicts, format!("{name}: {verdict:?} {why}"));
            }
            Ok(_) if took > IN_TIME => findings.fault(Check::Verdicts, format!("{name}: after {took:?}")),
            Ok(_) => {}
            Err(error) => findings.fault(Check::Verdicts, format!("{name}: {error}")),
        }
        if let Ok(publication) = opened
            && let Err(error) = self.publish(publication).await
        {
            findings.fault(Check::Stays, format!("publisher of {name}: {error}"));
        }
    }

    /// A moment of the stream, so that it has events.
    async fn publish(&self, mut publication: Publication) -> Result<(), ClientError> {
        publication.send(TrackKind::Video, 0, &Bytes::from_static(VIDEO_CONFIG)).await?;
        let mark = Mark { stream: u16::MAX, term: 0, number: 0 };
        publication.send(TrackKind::Video, 0, &clip::picture(mark)).await?;
        publication.flush().await?;
        publication.close().await;
        Ok(())
    }
}
