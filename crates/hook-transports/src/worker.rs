//! `worker`: long-lived programs that answer one event after the other, over lines of JSON.
//!
//! [`mod@line`] says what is spoken. A request is written by who asks and its answer handed back by the one
//! task that reads the worker, so a call costs one turn of a task beyond the pipe.
//!
//! A worker is replaced, alone, as soon as it cannot be known any more whose answer its next line is: it
//! printed what nobody asked for, its answer could not be read, or a plain one did not answer in time.
//! (What a plain worker prints *after* the next request was sent cannot be told from that request's answer:
//! who wants proof says hello.)

mod child;
mod frame;
mod keeper;
pub mod line;
mod pool;

use crate::answer;
use crate::flights::Flights;
use crate::output::OutputLog;
use crate::program::{Prepared, ProgramConfig};
use crate::reply::{Said, Watch, delivered, failure, timeout};
use crate::{ConfigError, Host};
use child::{Asked, Greeted};
use jackfield_dispatch::{BoxFuture, Call, DeliveryId, Reply, Transport, TransportCounters};
use jackfield_hooks::{Failure, Mode, Outcome, Retry};
use jackfield_media::Mono;
use jackfield_runtime::clock;
use line::Form;
use pool::{Lease, Limits, Pool};
use std::num::NonZeroU64;
use std::sync::Arc;

/// A hook with `worker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerConfig {
    /// What is started.
    pub program: ProgramConfig,
    /// Workers that always run; the first call starts one if it is 0.
    pub min: usize,
    /// Workers that may run, at least 1 and not less than `min`. Those beyond `min` end after 60 s without
    /// a request.
    pub max: usize,
    /// Requests that may wait for a worker; over it they end as `overload`.
    pub queue: usize,
    /// Requests after which a worker is followed by a fresh one.
    pub max_requests: Option<NonZeroU64>,
}

impl WorkerConfig {
    /// A hook with the defaults of the configuration.
    #[must_use]
    pub fn new(program: ProgramConfig) -> Self {
        Self { program, min: 1, max: 4, queue: 1000, max_requests: None }
    }
}

/// Makes the transport and starts its workers. Call it within the runtime.
///
/// # Errors
/// [`ConfigError`] if the program cannot be started as things are.
pub fn worker(config: WorkerConfig, host: &Host) -> Result<Arc<dyn Transport>, ConfigError> {
    let program = Prepared::new(&config.program)?;
    let hook = config.program.hook;
    let limits = Limits {
        min: config.min,
        max: config.max.max(config.min).max(1),
        queue: config.queue,
        max_requests: config.max_requests.map_or(u64::MAX, NonZeroU64::get),
    };
    let pool = Pool::start(program, OutputLog::new(hook.clone()), hook, limits, host.clone());
    Ok(Arc::new(Workers { pool, calls: Arc::default() }))
}

struct Workers {
    pool: Arc<Pool>,
    calls: Arc<Flights>,
}

impl Transport for Workers {
    fn call(&self, call: Call) -> BoxFuture<'_, Reply> {
        Box::pin(async move {
            let _flight = self.calls.take_off();
            let mut watch = Watch::start();
            let mut pid = None;
            let result = tokio::select! {
                biased;
                result = self.attempt(&call, &mut watch, &mut pid) => result,
                () = self.calls.must_end().cancelled() => {
                    Err(failure(Outcome::Cancelled, Retry::No, "the server stops or the hook is gone"))
                }
            };
            watch.reply(result, pid)
        })
    }

    fn drain(&self, deadline: Mono) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            self.calls.drain(deadline).await;
            self.pool.close_all(deadline);
            self.pool.lives.all_landed().await;
        })
    }

    fn counters(&self) -> TransportCounters {
        TransportCounters { restarts: self.pool.restarts() }
    }
}

impl Workers {
    async fn attempt(&self, call: &Call, watch: &mut Watch, pid: &mut Option<u32>) -> Said {
        loop {
            let lease = self.pool.lease(call.deadline).await?;
            match lease.worker.ask(call) {
                Asked::NotSent => self.pool.close(&lease.worker),
                Asked::Sent(answer, greeted) => {
                    watch.reached();
                    *pid = Some(lease.worker.pid);
                    if let Greeted::Now(concurrency) = greeted {
                        self.pool.welcome(&lease.worker, concurrency);
                    }
                    let asking = Asking { lease, delivery: call.delivery, open: Some(cancelled()) };
                    return asking.wait(call, answer).await;
                }
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.pool.close_all(clock::now());
    }
}

/// A request under way. Dropping it tells the worker, or has it replaced.
struct Asking {
    lease: Lease,
    delivery: DeliveryId,
    /// Why the request is given up, should it be.
    open: Option<Failure>,
}

impl Asking {
    async fn wait(mut self, call: &Call, answer: tokio::sync::oneshot::Receiver<child::Said>) -> Said {
        let Some(answer) = clock::until(call.deadline, answer).await else {
            self.open = Some(timeout(Retry::Scheduled));
            return Err(timeout(Retry::Scheduled));
        };
        self.open = None;
        let line = answer.unwrap_or_else(|_gone| Err(cancelled()))?;
        let said = match call.mode {
            Mode::Notify => Ok(delivered()),
            Mode::Decide => answer::parse(call, &line),
        };
        if let Err(why) = &said
            && self.lease.worker.form() == Form::Plain
        {
            // The rest of such an answer may still be on its way.
            self.lease.worker.replace(why.clone());
        }
        said
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(why) = self.open.take() {
            self.lease.worker.abandon(self.delivery, why);
        }
    }
}

fn cancelled() -> Failure {
    failure(Outcome::Cancelled, Retry::No, "nobody waits for the answer any more")
}
