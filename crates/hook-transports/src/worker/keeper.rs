//! The task that keeps one place of a pool filled: starts a worker, attends it, and starts the next after a
//! pause.

use super::child::{Greeted, Worker};
use super::pool::{Death, Pool};
use crate::flights::Flight;
use crate::folder::PrivateFolder;
use crate::output::{Secrets, Source};
use crate::pipes::{Kept, Output, Pipe};
use crate::program::Start;
use crate::reply::failure;
use jackfield_hooks::{Failure, Outcome, Retry};
use jackfield_media::Mono;
use jackfield_process::{Child, ExitStatus};
use jackfield_runtime::clock;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// When even SIGKILL has not ended a worker by then, it is not waited for.
const GIVE_UP: Duration = Duration::from_millis(2400);
/// How long after its pipes a dead worker's status may come.
const STATUS_FOLLOWS: Duration = Duration::from_millis(50);
/// How long a worker that is not needed any more may take to end by itself.
const LEAVE: Duration = Duration::from_secs(5);

/// A worker's process, beside what requests go through.
struct Process {
    _place: OwnedSemaphorePermit,
    child: Child,
    stderr: Output,
    folder: Option<PrivateFolder>,
    flight: Flight,
}

/// Keeps the slot filled, beginning at this time, until nobody needs it.
pub(super) async fn keep(pool: Arc<Pool>, slot: usize, at: Mono) {
    let mut next = Some(at);
    while let Some(at) = next {
        let death = tokio::select! {
            biased;
            () = pool.closing.cancelled() => Death::Planned,
            () = clock::sleep_until(at) => live(&pool, slot).await,
        };
        if let Death::Failed(why) = &death
            && why.outcome != Outcome::Cancelled
        {
            tracing::warn!(hook = pool.hook.as_str(), error = why.detail, "Worker has to be replaced");
        }
        next = pool.down(slot, &death);
    }
}

/// One worker from its start until no request goes to it any more.
async fn live(pool: &Arc<Pool>, slot: usize) -> Death {
    let started = tokio::select! {
        biased;
        () = pool.closing.cancelled() => return Death::Planned,
        started = start(pool) => started,
    };
    let (worker, mut process) = match started {
        Ok(started) => started,
        Err(why) => return Death::Failed(why),
    };
    tracing::info!(hook = pool.hook.as_str(), pid = worker.pid, "Worker started");
    pool.up(slot, &worker);
    let death = attend(pool, slot, &worker, &mut process).await;
    let leave_by = match &death {
        Death::Planned => {
            worker.dismiss();
            Some(pool.end_by().unwrap_or_else(|| clock::now().after(LEAVE)))
        }
        Death::Failed(_) => {
            process.child.terminate(GRACE);
            None
        }
    };
    pool.host.tasks.spawn("hook.worker.end", end(Arc::clone(pool), worker, process, leave_by));
    death
}

async fn start(pool: &Pool) -> Result<(Arc<Worker>, Process), Failure> {
    let not_started = |detail: String| failure(Outcome::ConnectError, Retry::Scheduled, detail);
    let place = Arc::clone(&pool.places).acquire_owned().await;
    let place = place.expect("invariant: this semaphore is never closed");
    let start = pool.program.for_all_calls();
    let Start { program, folder } =
        start.map_err(|error| not_started(format!("cannot make its folder: {error}")))?;
    let mut child =
        pool.host.launcher.spawn(program).await.map_err(|error| not_started(error.to_string()))?;
    let worker = Worker::new(&mut child).ok_or_else(|| not_started("it has no pipes".to_owned()))?;
    let lines = pool.log.lines(child.pid(), Source::Stderr, Secrets::Told(pool.host.masker.clone()));
    let stderr = Output::new(child.stderr.take().map(Pipe::Watched), lines, Kept::Nothing);
    Ok((Arc::new(worker), Process { _place: place, child, stderr, folder, flight: pool.lives.take_off() }))
}

async fn attend(pool: &Arc<Pool>, slot: usize, worker: &Arc<Worker>, process: &mut Process) -> Death {
    loop {
        let idle_at = pool.idle_at(slot, worker);
        if pool.is_spent(worker) {
            return Death::Planned;
        }
        tokio::select! {
            greeted = worker.attend() => if let Greeted::Now(concurrency) = greeted {
                pool.welcome(worker, concurrency);
            },
            status = process.child.wait() => worker.ended(ended(status)),
            () = process.stderr.read() => {}
            () = clock::sleep_until(idle_at) => {}
            () = pool.closing.cancelled() => pool.close(worker),
        }
        if let Some(why) = worker.doom() {
            pool.close(worker);
            return Death::Failed(explained(why, &mut process.child).await);
        }
    }
}

/// A worker that dies closes its pipes a moment before its status is known, which says more.
async fn explained(why: Failure, child: &mut Child) -> Failure {
    if why.outcome != Outcome::Crashed {
        return why;
    }
    let status = clock::until(clock::now().after(STATUS_FOLLOWS), child.wait()).await;
    status.map_or(why, ended)
}

fn ended(status: ExitStatus) -> Failure {
    let detail = match status {
        ExitStatus::Code(code) => format!("the worker ended with exit code {code}"),
        ExitStatus::Signal(signal) => format!("the worker was killed by signal {signal}"),
        ExitStatus::Lost => "the worker ended with the process helper".to_owned(),
    };
    failure(Outcome::Crashed, Retry::Scheduled, detail)
}

/// Waits for a worker that gets no more requests, and makes it end: one that may leave by itself by then, the others
/// were told to already.
async fn end(pool: Arc<Pool>, worker: Arc<Worker>, process: Process, mut leave_by: Option<Mono>) {
    let Process { _place: place, mut child, mut stderr, folder, flight } = process;
    let mut hurried = pool.end_by().is_some();
    let mut give_up = clock::now().after(GIVE_UP);
    loop {
        tokio::select! {
            _ = child.wait() => break,
            () = stderr.read() => {}
            () = pool.closing.cancelled(), if !hurried => {
                hurried = true;
                leave_by = leave_by.map(|leave_by| leave_by.min(pool.end_by().unwrap_or(leave_by)));
            }
            () = clock::sleep_until(leave_by.unwrap_or_default()), if leave_by.is_some() => {
                leave_by = None;
                child.terminate(GRACE);
                give_up = clock::now().after(GIVE_UP);
            }
            () = clock::sleep_until(give_up), if leave_by.is_none() => break,
        }
    }
    drop((child, worker, flight, place));
    stderr.follow().await;
    if let Some(folder) = folder {
        pool.host.tasks.blocking("hook.folder", move || drop(folder));
    }
}
