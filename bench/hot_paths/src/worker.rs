//! A question that a worker decides: through the engine, to the program and back.

use anyhow::{Result, ensure};
use jackfield_bus::Bus;
use jackfield_dispatch::{Dispatch, DispatchConfig};
use jackfield_events::questions::AuthorizePublish;
use jackfield_events::{EventSet, EventType, Masker, Protocol, PublishType, Scope, Verdict};
use jackfield_hook_transports::{Host, ProgramConfig, WorkerConfig, worker};
use jackfield_hooks::{HookSpec, Mode};
use jackfield_media::{ConnId, SessionId, StreamKey};
use jackfield_net::outbound::Outbound;
use jackfield_process::{Launcher, LauncherConfig};
use jackfield_runtime::{Tasks, clock};
use std::time::Duration;

/// Asks so often. The worker is `cat`: the echoed event is an answer without an opinion.
pub async fn ask(turns: usize) -> Result<()> {
    let tasks = Tasks::new();
    // Under valgrind /proc/self/exe is valgrind itself, but the name of this program is still told.
    let launcher = LauncherConfig { executable: Some(std::env::current_exe()?) };
    let launcher = Launcher::start(launcher, &tasks).await?;
    let outbound = Outbound::new(1, "bench");
    let host = Host { launcher, outbound, tasks: tasks.clone(), masker: Masker::default() };
    let program = ProgramConfig::new("cat", vec!["/bin/cat".to_owned()], "/".into());
    let transport = worker(WorkerConfig { max: 1, ..WorkerConfig::new(program) }, &host)?;
    let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
    let mut spec = HookSpec::new("cat", EventSet::EMPTY.with(EventType::AuthorizePublish), Mode::Decide);
    spec.question_timeout = Duration::from_secs(60);
    dispatch.set_hooks(vec![(spec, transport)]);

    let bus = Bus::new("n", Masker::default());
    let scope = Scope {
        conn_id: Some(ConnId(1)),
        session_id: Some(SessionId(2)),
        stream_key: Some(StreamKey::parse("live/show")?),
        ..Scope::default()
    };
    for _ in 0..turns {
        let verdict = dispatch.ask(bus.question(&scope, &question())).await;
        // A worker that was not heard would have denied.
        ensure!(matches!(verdict, Verdict::Allow { .. }), "the worker was not heard: {verdict:?}");
    }
    dispatch.drain(clock::now().after(Duration::from_secs(10))).await;
    Ok(())
}

fn question() -> AuthorizePublish {
    AuthorizePublish {
        app: "live".into(),
        stream_name: "show".into(),
        publish_type: PublishType::Live,
        client_ip: std::net::Ipv4Addr::LOCALHOST.into(),
        client_port: 51234,
        protocol: Protocol::Rtmp,
        tc_url: "rtmp://media.example/live".into(),
        page_url: "".into(),
        flash_ver: Some("FMLE/3.0 (compatible; Lavf59.27.100)".into()),
        query: "token=abc".into(),
        failopen: Vec::new(),
    }
}
