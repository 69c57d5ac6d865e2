//! `jackfield hooks …`: to write, try, check and watch hooks.

mod fixture;
mod init;
mod list;
mod local;
mod shown;
mod trigger;
mod trying;

pub(crate) use conform::Conform;
pub(crate) use list::must_be_there;
mod conform;

use crate::failed::Exit;

/// How a hook's program is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It stays, and answers a line with a line.
    Worker,
    /// It is started for each event.
    Run,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Hooks {
    /// Write a working starter of a hook, with its test.
    Init(init::Init),
    /// Call a hook with an event that did not happen: a program or URL without a server, or a hook of the running server.
    Test(trying::Test),
    /// Check how a handler takes all that may come: every event, unknown fields, cancels, size, silence.
    Conform(Conform),
    /// List the hooks of the running server.
    List(list::List),
    /// Send an event that did not happen through the running server, to all its hooks.
    Trigger(trigger::Trigger),
    /// Let a hook of the running server be called again.
    Enable(list::Named),
    /// Have a hook of the running server not be called any more.
    Disable(list::Named),
}

/// Does what was typed. Without an exit it went well.
pub(crate) async fn run(command: Hooks) -> anyhow::Result<Option<Exit>> {
    match command {
        Hooks::Init(options) => init::run(&options).map(|()| None),
        Hooks::Test(options) => trying::run(options).await,
        Hooks::Conform(options) => conform::run(options).await,
        Hooks::List(options) => list::run(options).await.map(|()| None),
        Hooks::Trigger(options) => trigger::run(options).await.map(|()| None),
        Hooks::Enable(options) => list::switch(options, "enable").await.map(|()| None),
        Hooks::Disable(options) => list::switch(options, "disable").await.map(|()| None),
    }
}
