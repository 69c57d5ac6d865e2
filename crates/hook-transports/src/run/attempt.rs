//! The life of one program, from its start until nobody holds its outputs any more.

use super::judge::Ended;
use super::{Shared, StdinOf};
use crate::answer::MAX_ANSWER_BYTES;
use crate::flights::Flight;
use crate::folder::PrivateFolder;
use crate::output::{Secrets, Source};
use crate::pipes::{Input, Kept, Output, Pipe};
use crate::program::Start;
use crate::reply::{Said, Watch, failure, timeout};
use jackfield_dispatch::{Call, Reply};
use jackfield_events::DeliveryFields;
use jackfield_hooks::{Failure, Mode, Outcome, Retry};
use jackfield_media::Mono;
use jackfield_process::{Begun, Child, ExitStatus, Finished, SpawnError, Stdin};
use jackfield_runtime::clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// When even SIGKILL has not ended a program by then, the call ends without it.
const GIVE_UP: Duration = Duration::from_millis(2400);
/// How long after its deadline a notice's call may last; see `HookSpec::ending`.
pub const ENDING_OF_A_PROGRAM: Duration = Duration::from_millis(2500);
/// Bytes of the first line of standard error that are kept as a reason.
const MAX_REASON_BYTES: usize = 1024;
const NOBODY_WAITS: &str = "nobody waits any more";
const MUST_END: &str = "the server stops or the hook is gone";

/// One attempt, owned by its task.
pub(super) struct Attempt {
    shared: Arc<Shared>,
    call: Call,
    watch: Watch,
    /// Taken when it is sent.
    reply: Option<oneshot::Sender<Reply>>,
    pid: Option<u32>,
    flight: Flight,
}

/// A program and its pipes.
struct Live {
    _place: OwnedSemaphorePermit,
    process: Process,
    input: Option<Input>,
    stdout: Output,
    stderr: Output,
}

/// The program's own part of it.
enum Process {
    Running(Child),
    Ended(ExitStatus),
}

impl Process {
    async fn wait(&mut self) -> ExitStatus {
        match self {
            Self::Running(child) => child.wait().await,
            Self::Ended(status) => *status,
        }
    }

    fn terminate(&self) {
        if let Self::Running(child) = self {
            child.terminate(GRACE);
        }
    }
}

enum Happened {
    Exited(ExitStatus),
    Moved,
    Overrun,
    Deadline,
    NobodyWaits,
    MustEnd,
    GivenUp,
}

/// Why we end a program, and since when.
struct Ending {
    failure: Failure,
    since: Mono,
}

impl Attempt {
    pub(super) fn new(shared: Arc<Shared>, call: Call, watch: Watch, reply: oneshot::Sender<Reply>) -> Self {
        let flight = shared.flights.take_off();
        Self { shared, call, watch, reply: Some(reply), pid: None, flight }
    }

    pub(super) async fn attend(mut self) {
        let (mut live, folder) = match self.start().await {
            Ok(started) => started,
            Err(failure) => return self.answer(Err(failure)),
        };
        let ended = self.live(&mut live).await;
        let said = match ended {
            Ok(status) => self.judge(status, &mut live),
            Err(failure) => Err(failure),
        };
        self.answer(said);
        let Self { shared, flight, .. } = self;
        drop(flight);
        let Live { _place: place, process, input, stdout, stderr } = live;
        // What it left in the background has no place of its own: that is for who writes the program to bound. Nor does it
        // wait for an input that nobody writes any more.
        drop((process, input, place));
        tokio::join!(stdout.follow(), stderr.follow());
        if let Some(folder) = folder {
            shared.host.tasks.blocking("hook.folder", move || drop(folder));
        }
    }

    fn answer(&mut self, said: Said) {
        if let Some(reply) = self.reply.take() {
            // Nobody may be waiting any more.
            reply.send(self.watch.reply(said, self.pid)).ok();
        }
    }

    /// A place among the programs of the hook.
    async fn place(&mut self) -> Result<OwnedSemaphorePermit, Failure> {
        let places = Arc::clone(&self.shared.places);
        let nobody_waits = async {
            match &mut self.reply {
                Some(reply) => reply.closed().await,
                None => std::future::pending().await,
            }
        };
        let cancelled = |why: &str| failure(Outcome::Cancelled, Retry::No, why);
        tokio::select! {
            biased;
            place = clock::until(self.call.deadline, places.acquire_owned()) => match place {
                Some(place) => Ok(place.expect("invariant: this semaphore is never closed")),
                None => Err(failure(Outcome::Overload, Retry::Scheduled, "programs of former calls have not ended")),
            },
            () = nobody_waits => Err(cancelled(NOBODY_WAITS)),
            () = self.shared.flights.must_end().cancelled() => Err(cancelled(MUST_END)),
        }
    }

    async fn start(&mut self) -> Result<(Live, Option<PrivateFolder>), Failure> {
        let place = self.place().await?;
        let stdin = match self.shared.stdin {
            StdinOf::Event => Stdin::Bytes(self.line()),
            StdinOf::None => Stdin::Null,
        };
        let Start { program, folder } = self.shared.program.for_call(&self.call, stdin).map_err(|error| {
            failure(Outcome::ConnectError, Retry::No, format!("cannot make its folder: {error}"))
        })?;
        let begun = clock::until(self.call.deadline, self.shared.host.launcher.begin(program)).await;
        let begun = begun.ok_or_else(|| timeout(Retry::No))?.map_err(|error| not_started(&error))?;
        self.watch.reached();
        let (pid, process, input, stdout, stderr) = match begun {
            Begun::Running(mut child) => {
                let input =
                    child.stdin.take().map(|pipe| Input::new(pipe, std::mem::take(&mut child.unwritten)));
                let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
                let [stdout, stderr] = [stdout, stderr].map(|pipe| pipe.map(Pipe::Watched));
                (child.pid(), Process::Running(child), input, stdout, stderr)
            }
            Begun::Finished(Finished { pid, status, stdout, stderr }) => {
                let [stdout, stderr] = [stdout, stderr].map(|pipe| pipe.map(Pipe::Unwatched));
                (pid, Process::Ended(status), None, stdout, stderr)
            }
        };
        self.pid = Some(pid);
        let lines = |source| self.shared.log.lines(pid, source, self.secrets());
        let kept = match self.call.mode {
            Mode::Notify => Kept::Nothing,
            Mode::Decide => Kept::Answer { limit: MAX_ANSWER_BYTES },
        };
        let reason = Kept::FirstLine { limit: MAX_REASON_BYTES };
        let live = Live {
            _place: place,
            process,
            input,
            stdout: Output::new(stdout, lines(Source::Stdout), kept),
            stderr: Output::new(stderr, lines(Source::Stderr), reason),
        };
        Ok((live, folder))
    }

    /// What the program may print.
    fn secrets(&self) -> Secrets {
        match self.call.mode {
            Mode::Notify => Secrets::Untold,
            Mode::Decide => Secrets::Told(self.shared.host.masker.clone()),
        }
    }

    /// The event as the program reads it.
    fn line(&self) -> Vec<u8> {
        let call = &self.call;
        let delivery = DeliveryFields {
            hook: &call.hook,
            attempt: call.attempt,
            deadline_ms: u64::try_from((call.deadline - clock::now()).as_millis()).unwrap_or(u64::MAX),
        };
        let delivery = (call.mode == Mode::Decide).then_some(&delivery);
        let mut line = call.event.json_for(call.num_dropped, delivery).to_vec();
        line.push(b'\n');
        line
    }

    /// Until the program has ended: its status, or why we ended it.
    async fn live(&mut self, live: &mut Live) -> Result<ExitStatus, Failure> {
        if let Process::Ended(status) = live.process {
            return Ok(status);
        }
        let mut ending: Option<Ending> = None;
        loop {
            let happened = self.happening(live, ending.as_ref().map(|ending| ending.since)).await;
            let failure = match (happened, ending.take()) {
                (Happened::Moved, still) => {
                    ending = still;
                    continue;
                }
                (Happened::Exited(status), None) => return Ok(status),
                (Happened::Exited(_) | Happened::GivenUp, Some(ending)) => return Err(ending.failure),
                (_, still @ Some(_)) => {
                    ending = still;
                    continue;
                }
                (Happened::Overrun, None) => failure(
                    Outcome::ProtocolError,
                    Retry::No,
                    format!("the program answered more than {MAX_ANSWER_BYTES} bytes"),
                ),
                (Happened::Deadline, None) => timeout(Retry::No),
                (Happened::NobodyWaits, None) => failure(Outcome::Cancelled, Retry::No, NOBODY_WAITS),
                (Happened::MustEnd | Happened::GivenUp, None) => {
                    failure(Outcome::Cancelled, Retry::No, MUST_END)
                }
            };
            live.process.terminate();
            // Somebody waits for the answer to a question. A notice has ended when its program has: the
            // next one in its lane must not start beside it.
            if self.call.mode == Mode::Decide {
                self.answer(Err(failure.clone()));
            }
            ending = Some(Ending { failure, since: clock::now() });
        }
    }

    async fn happening(&mut self, live: &mut Live, ending_since: Option<Mono>) -> Happened {
        let at_work = ending_since.is_none();
        let give_up = ending_since.unwrap_or_default().after(GIVE_UP);
        let nobody_waits = async {
            match &mut self.reply {
                Some(reply) => reply.closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = live.process.wait() => Happened::Exited(status),
            () = Input::write(&mut live.input) => Happened::Moved,
            () = live.stdout.read() => match live.stdout.is_over() && at_work {
                true => Happened::Overrun,
                false => Happened::Moved,
            },
            () = live.stderr.read() => Happened::Moved,
            () = clock::sleep_until(self.call.deadline), if at_work => Happened::Deadline,
            () = nobody_waits, if at_work => Happened::NobodyWaits,
            () = self.shared.flights.must_end().cancelled(), if at_work => Happened::MustEnd,
            () = clock::sleep_until(give_up), if !at_work => Happened::GivenUp,
        }
    }

    fn judge(&self, status: ExitStatus, live: &mut Live) -> Said {
        // Whoever still holds the pipes: what the program itself wrote is in them by now.
        live.stdout.read_what_is_there();
        live.stderr.read_what_is_there();
        if live.stdout.is_over() {
            let detail = format!("the program answered more than {MAX_ANSWER_BYTES} bytes");
            return Err(failure(Outcome::ProtocolError, Retry::No, detail));
        }
        let first_error_line = live.stderr.kept_line();
        let stdout = live.stdout.kept();
        let ended = Ended { status, stdout, first_error_line: &first_error_line, denial: self.shared.denial };
        // The detail of a failure is for the log; the reason of a denial is what the program chose to say.
        ended.judge(&self.call).map_err(|failure| Failure {
            detail: self.secrets().mask(&failure.detail).into_owned(),
            ..failure
        })
    }
}

fn not_started(error: &SpawnError) -> Failure {
    let outcome = match error {
        SpawnError::Stopped => Outcome::Cancelled,
        _ => Outcome::ConnectError,
    };
    // Nothing ran, so trying again repeats no effect.
    let retry = if error.is_retryable() { Retry::Scheduled } else { Retry::No };
    failure(outcome, retry, error.to_string())
}
