//! A fact that no hook wants to hear, and one that is stored.

use anyhow::Result;
use jackfield_bus::{Bus, Fsync, Outbox, OutboxConfig};
use jackfield_dispatch::{Dispatch, DispatchConfig};
use jackfield_events::{Masker, Scope, notices::StreamCreate};
use jackfield_media::StreamKey;
use jackfield_runtime::Tasks;
use std::hint::black_box;
use std::sync::Arc;

/// Tells it so often.
pub async fn tell(turns: usize) -> Result<()> {
    let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &Tasks::new());
    dispatch.set_hooks(Vec::new());
    let bus = Bus::new("n", Masker::default());
    bus.set_sink("hooks", dispatch.wanted(), Arc::new(dispatch.clone()));
    let scope = Scope { stream_key: Some(StreamKey::parse("live/show")?), ..Scope::default() };
    let fact = StreamCreate { app: "live".into(), stream_name: "show".into() };
    for _ in 0..turns {
        bus.emit(black_box(&scope), black_box(&fact));
    }
    Ok(())
}

/// Tells it so often to an outbox, and waits until all is written.
pub async fn store(turns: usize) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("jackfield-hot-paths-{}", std::process::id()));
    let tasks = Tasks::new();
    let config = OutboxConfig { fsync: Fsync::Off, ..OutboxConfig::new(&folder) };
    let (outbox, _) = Outbox::open(config, &tasks)?;
    let bus = Bus::new("n", Masker::default()).with_outbox(outbox.clone(), &tasks);
    let scope = Scope { stream_key: Some(StreamKey::parse("live/show")?), ..Scope::default() };
    let fact = StreamCreate { app: "live".into(), stream_name: "show".into() };
    for _ in 0..turns {
        bus.emit(black_box(&scope), black_box(&fact));
    }
    outbox.more_than(outbox.last() - 1).await;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
