//! The one task that talks to the helper: it owns the link, and knows who waits for what.

use super::LauncherConfig;
use super::Running;
use super::child::{ExitStatus, Handle, Wishes};
use super::link::{self, Event, Gone, Link, Taken};
use super::starts::{Answer, Place, Starts};
use crate::error::{SpawnError, Step};
use crate::program::{Program, User};
use crate::wire::{self, Ended, Reply, Scope};
use jackfield_media::Mono;
use jackfield_runtime::{clock, queue, random};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The most dead helpers whose sessions are remembered.
const MAX_DEAD: usize = 16;

/// The wait before a helper that did not live long is followed by a third: doubled each time, up to the last.
const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
const LAST_BACK_OFF: Duration = Duration::from_secs(30);

/// A helper that lived this long counts as sound, and is followed by another at once.
const LONG_LIFE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) enum Command {
    Start(Start),
    Sweep { grace: Duration, scope: Scope, answer: oneshot::Sender<u32> },
    Count { answer: oneshot::Sender<Running> },
}

#[derive(Debug)]
pub(super) struct Start {
    pub(super) id: u64,
    pub(super) message: Vec<u8>,
    pub(super) given: Vec<OwnedFd>,
    pub(super) place: Place,
    pub(super) answer: Answer,
}

/// Why a program did not start, in the helper's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Failed { step: Step, errno: i32 },
    Hangs,
    HelperGone,
    HelperDied,
    Stopped,
}

impl Refusal {
    /// In terms of what the caller wanted.
    pub(super) fn explain(self, program: Program) -> SpawnError {
        let (step, errno) = match self {
            Self::Failed { step, errno } => (step, errno),
            Self::Hangs => {
                return SpawnError::Hangs { file: PathBuf::from(program.path().unwrap_or_default()) };
            }
            Self::HelperGone => return SpawnError::HelperGone,
            Self::HelperDied => return SpawnError::HelperDied,
            Self::Stopped => return SpawnError::Stopped,
        };
        let file = PathBuf::from(program.path().unwrap_or_default());
        let source = io::Error::from_raw_os_error(errno);
        match (step, errno, program.cwd, program.user) {
            (Step::Exec, libc::ENOENT | libc::ENOTDIR, ..) => SpawnError::NotFound { file },
            (Step::Exec, libc::EACCES | libc::ENOEXEC | libc::EISDIR | libc::EPERM, ..) => {
                SpawnError::NotExecutable { file, source }
            }
            (Step::Interpreter, libc::ENOENT, ..) => SpawnError::InterpreterNotFound { file },
            (Step::Folder, _, Some(cwd), _) => SpawnError::Folder { cwd, source },
            (Step::User, _, _, Some(user)) => {
                let user = match user {
                    User::Name(name) => name,
                    User::Id(id) => id.to_string(),
                };
                SpawnError::User { user, source }
            }
            (step, ..) => SpawnError::Step { file, step, source },
        }
    }
}

/// See the module.
pub(super) struct Owner {
    config: LauncherConfig,
    helper: Helper,
    commands: queue::Receiver<Command>,
    launchers: Launchers,
    wishes: Arc<Wishes>,
    /// Messages that the socket did not take. No command is accepted while there are some, so that there
    /// is at most one for a command and one for each running program.
    outbox: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    starting: Starts,
    running: HashMap<u64, (i32, oneshot::Sender<ExitStatus>)>,
    sweeps: HashMap<u64, (Scope, oneshot::Sender<u32>)>,
    counts: HashMap<u64, oneshot::Sender<Running>>,
    next_request: u64,
    /// Helpers that died, at most [`MAX_DEAD`], with the groups of programs that were unfinished then. Each new
    /// helper takes over what they left.
    dead: VecDeque<(link::Ended, Vec<i32>)>,
    /// The wait before the next helper, if this one does not live long.
    back_off: Duration,
}

enum Helper {
    Up { link: Link, since: Mono },
    Down { until: Mono },
}

/// Who may still send commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Launchers {
    There,
    /// [`Launcher::stop`](super::Launcher::stop) is under way: nothing is started any more.
    Stopping,
    Dropped,
}

/// Why the work is over.
enum End {
    NobodyLeft,
    Stopped { left: u32, answer: oneshot::Sender<u32> },
}

enum Happened {
    Link(Result<Event, Gone>),
    Command(Option<Command>),
    Wishes,
    TimeToRestart,
}

impl Owner {
    pub(super) fn new(config: LauncherConfig, link: Link, commands: queue::Receiver<Command>) -> Self {
        Self {
            config,
            helper: Helper::Up { link, since: clock::now() },
            commands,
            launchers: Launchers::There,
            wishes: Arc::default(),
            outbox: VecDeque::new(),
            starting: Starts::default(),
            running: HashMap::new(),
            sweeps: HashMap::new(),
            counts: HashMap::new(),
            next_request: 0,
            dead: VecDeque::new(),
            back_off: Duration::ZERO,
        }
    }

    /// Works until it is stopped, or nobody holds a launcher or a child any more.
    pub(super) async fn run(mut self) {
        let end = loop {
            let happened = self.happening().await;
            if let Some(end) = self.act(happened).await {
                break end;
            }
        };
        drop(self.commands);
        if let Helper::Up { link, .. } = self.helper {
            link.end().await.reap();
        }
        self.dead.into_iter().for_each(|(dead, _)| dead.reap());
        if let End::Stopped { left, answer } = end {
            answer.send(left).ok();
        }
    }

    /// Waits for the next thing to do.
    async fn happening(&mut self) -> Happened {
        let accepts =
            self.launchers != Launchers::Dropped && self.outbox.is_empty() && self.starting.has_room();
        match &mut self.helper {
            Helper::Up { link, .. } => tokio::select! {
                event = link.next() => Happened::Link(event),
                () = self.wishes.changed() => Happened::Wishes,
                command = self.commands.recv(), if accepts => Happened::Command(command),
            },
            Helper::Down { until } => tokio::select! {
                biased;
                () = clock::sleep_until(*until) => Happened::TimeToRestart,
                command = self.commands.recv(), if accepts => Happened::Command(command),
            },
        }
    }

    async fn act(&mut self, happened: Happened) -> Option<End> {
        match happened {
            Happened::Link(Ok(Event::Reply(reply))) => {
                if let Some(end) = self.hear(reply) {
                    return Some(end);
                }
            }
            Happened::Link(Ok(Event::Room)) => self.flush().await,
            Happened::Link(Err(Gone)) => self.helper_is_gone().await,
            Happened::Command(Some(command)) => self.obey(command).await,
            Happened::Command(None) => self.launchers = Launchers::Dropped,
            Happened::Wishes => self.grant_wishes().await,
            Happened::TimeToRestart => self.restart().await,
        }
        let idle = self.running.is_empty() && self.starting.is_empty();
        (self.launchers == Launchers::Dropped && idle).then_some(End::NobodyLeft)
    }

    async fn obey(&mut self, command: Command) {
        let up = matches!(self.helper, Helper::Up { .. });
        match command {
            Command::Start(start) if self.launchers == Launchers::Stopping => {
                start.answer.send(Err(Refusal::Stopped)).ok();
            }
            Command::Start(start) if !up => drop(start.answer.send(Err(Refusal::HelperGone))),
            // Nobody waits for it any more.
            Command::Start(start) if start.answer.is_closed() => {}
            Command::Start(start) if self.starting.is_stuck(&start.place) => {
                start.answer.send(Err(Refusal::Hangs)).ok();
            }
            Command::Start(start) => {
                self.starting.begin(start.id, start.place, start.answer);
                self.send(start.message, start.given).await;
            }
            // Without a helper the answer is dropped, which says so.
            Command::Sweep { .. } | Command::Count { .. } if !up => {}
            Command::Sweep { grace, scope, answer } => {
                if scope == Scope::Everything {
                    self.launchers = Launchers::Stopping;
                }
                let request = self.next_request();
                self.sweeps.insert(request, (scope, answer));
                self.send(wire::encode_sweep(request, grace, scope), Vec::new()).await;
            }
            Command::Count { answer } => {
                let request = self.next_request();
                self.counts.insert(request, answer);
                self.send(wire::encode_count(request), Vec::new()).await;
            }
        }
    }

    fn next_request(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    /// Passes on the ends that are wished for.
    async fn grant_wishes(&mut self) {
        for (id, grace) in self.wishes.take_new() {
            if self.running.contains_key(&id) {
                self.send(wire::encode_end(id, grace), Vec::new()).await;
            } else {
                self.wishes.forget(id);
            }
        }
    }

    fn hear(&mut self, reply: Reply) -> Option<End> {
        match reply {
            Reply::Ready => {}
            Reply::Started { id, pid } => self.started(id, pid),
            Reply::Failed { id, step, errno } => {
                if let Some(answer) = self.starting.end(id) {
                    answer.send(Err(Refusal::Failed { step, errno })).ok();
                }
            }
            Reply::Hangs { id } => self.starting.hangs(id),
            Reply::Exited { id, pid, ended } => self.exited(id, pid, ended),
            Reply::Counted { request, programs, background } => {
                if let (Some(answer), Helper::Up { link, .. }) = (self.counts.remove(&request), &self.helper)
                {
                    answer.send(Running { programs, background, helper: link.pid() }).ok();
                }
            }
            Reply::Swept { request, left } => match self.sweeps.remove(&request)? {
                (Scope::Everything, answer) => return Some(End::Stopped { left, answer }),
                (Scope::Background, answer) => drop(answer.send(left)),
            },
        }
        None
    }

    fn started(&mut self, id: u64, pid: i32) {
        let Some(answer) = self.starting.end(id) else { return };
        let (exited, exit) = oneshot::channel();
        self.running.insert(id, (pid, exited));
        let pid = u32::try_from(pid).unwrap_or_default();
        let handle = Handle { id, pid, exit, ended: None, wishes: Arc::clone(&self.wishes) };
        // A handle that nobody takes is dropped, which wishes for the program's end.
        answer.send(Ok(handle)).ok();
    }

    fn exited(&mut self, id: u64, pid: i32, ended: Ended) {
        let status = match ended {
            Ended::Code(code) => ExitStatus::Code(code),
            Ended::Signal(signal) => ExitStatus::Signal(signal),
        };
        if let Some(answer) = self.starting.end(id) {
            let pid = u32::try_from(pid).unwrap_or_default();
            let (_, exit) = oneshot::channel();
            let handle = Handle { id, pid, exit, ended: Some(status), wishes: Arc::clone(&self.wishes) };
            answer.send(Ok(handle)).ok();
        } else if let Some((_, exit)) = self.running.remove(&id) {
            self.wishes.forget(id);
            exit.send(status).ok();
        }
    }

    async fn send(&mut self, message: Vec<u8>, descriptors: Vec<OwnedFd>) {
        self.outbox.push_back((message, descriptors));
        self.flush().await;
    }

    /// Sends what the socket takes.
    async fn flush(&mut self) {
        let Helper::Up { link, .. } = &mut self.helper else { return };
        while let Some((message, descriptors)) = self.outbox.front() {
            match link.try_send(message, descriptors) {
                Ok(Taken::Whole) => drop(self.outbox.pop_front()),
                Ok(Taken::NotNow) => return,
                Err(error) => {
                    tracing::warn!(error = %error, "Process helper cannot be reached");
                    return self.helper_is_gone().await;
                }
            }
        }
    }

    /// Tells everybody that their programs and requests are lost.
    async fn helper_is_gone(&mut self) {
        let now = clock::now();
        let Helper::Up { link, since } = std::mem::replace(&mut self.helper, Helper::Down { until: now })
        else {
            return;
        };
        tracing::error!(programs = self.running.len(), "Process helper ended, its programs are lost");
        self.outbox.clear();
        self.sweeps.clear();
        self.counts.clear();
        for answer in self.starting.drain() {
            // Most of a short program's life is its start, as far as is known here.
            answer.send(Err(Refusal::HelperDied)).ok();
        }
        let mut unfinished = Vec::with_capacity(self.running.len());
        for (id, (pid, exit)) in self.running.drain() {
            self.wishes.forget(id);
            exit.send(ExitStatus::Lost).ok();
            unfinished.push(pid);
        }
        self.dead.push_back((link.end().await, unfinished));
        if self.dead.len() > MAX_DEAD
            && let Some((oldest, _)) = self.dead.pop_front()
        {
            oldest.reap();
        }
        if now.since(since) >= LONG_LIFE {
            self.back_off = Duration::ZERO;
        }
        self.restart_later();
    }

    fn restart_later(&mut self) {
        self.helper = Helper::Down { until: clock::now().after(random::jittered(self.back_off)) };
        self.back_off = (self.back_off * 2).clamp(FIRST_BACK_OFF, LAST_BACK_OFF);
    }

    async fn restart(&mut self) {
        match Link::start(&self.config).await {
            Ok(link) => {
                tracing::info!(pid = link.pid(), "Process helper restarted");
                self.helper = Helper::Up { link, since: clock::now() };
                let inherited =
                    self.dead.iter().map(|(dead, groups)| wire::encode_adopt(dead.session(), groups));
                self.outbox.extend(inherited.map(|message| (message, Vec::new())));
                self.flush().await;
            }
            Err(error) => {
                tracing::error!(error = %error, "Process helper cannot be restarted");
                self.restart_later();
            }
        }
    }
}
