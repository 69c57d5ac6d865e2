//! RTMP's sockets: publishers and players of the hub.
//!
//! [`RtmpServer::start`] binds the listeners; each connection becomes a task that feeds a
//! [`ServerSession`](jackfield_rtmp::ServerSession), asks the gate, and hands media to the hub or takes it
//! from there.
//!
//! ```
//! # use jackfield_bus::Bus;
//! # use jackfield_dispatch::{Dispatch, DispatchConfig};
//! # use jackfield_events::Masker;
//! # use jackfield_gate::Gate;
//! # use jackfield_hub::{Hub, HubConfig, Takeover};
//! use jackfield_rtmp_server::{Deps, RtmpConfig, RtmpServer};
//! # use jackfield_runtime::{Tasks, clock};
//! # use jackfield_sessions::{ConnectionLimits, Connections};
//! # use std::time::Duration;
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! # let (tasks, bus) = (Tasks::new(), Bus::new("node", Masker::default()));
//! # let dispatch = Dispatch::new(DispatchConfig::default(), Masker::default(), &tasks);
//! # let (hub, minter) = Hub::new(HubConfig::default(), bus.clone(), tasks.clone());
//! # let connections = Connections::new(bus.clone(), ConnectionLimits::default());
//! # let gate = Gate::new(dispatch, hub.clone(), minter, bus, Takeover::default());
//! let config = RtmpConfig { listen: vec!["127.0.0.1:0".parse().unwrap()], ..RtmpConfig::default() };
//! let running = RtmpServer::start(config, Deps { gate, hub, connections, tasks }).expect("the port is free");
//! assert_ne!(running.addrs()[0].port(), 0);
//! running.stop(clock::now().after(Duration::from_secs(5))).await; // says farewell to all clients
//! # });
//! ```
//!
//! The contract:
//! - Behind TLS everything is the same; a client has one deadline for both handshakes.
//! - Accepting never waits for a client. A panic in a connection's task ends that connection only.
//! - Nothing that tells success is written before the gate's answer. A refusal reaches the client with
//!   its public reason: it is flushed, the sending side is closed, and the client has a moment to read it.
//! - Media that arrives while the gate is asked is held within bounds; over them the socket is not read.
//! - Frames that a publisher framed as FLV reach players byte for byte. A player that told in `connect` what it can
//!   take gets the tracks that it can take, reframed only where it could not read the publisher's framing.
//! - Each start event has its stop event when the task has ended, on whatever way.
//!
//! | queue | bound | when it is full |
//! |---|---|---|
//! | accepted connections | `max_connections` of `sessions` | closed, counted |
//! | held media of an asked publisher | one group of pictures, 3 s, 4 MiB | the socket is not read (`Block`) |
//! | replies that a client does not read | 64 KiB | the socket is not read (`Block`) |
//! | media that a player does not read | the hub's, by bytes and time | `DropToKeyframe`, then `Disconnect` |
//!
//! What it does not do: the protocol itself (that is `rtmp`), decide anything (that is `gate`), TLS (that is `net`).

mod accept;
mod config;
mod counters;
mod format;
mod hold;
mod outlet;
mod read_buffer;
mod role;
mod server;
mod task;
mod waits;

pub use config::{HoldLimits, PlayClock, RtmpConfig};
pub use counters::CountersSnapshot;
pub use server::{Deps, RtmpServer, Running};
