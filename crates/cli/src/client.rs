//! The commands that are clients of a server: `play`, `publish`, `probe`.

mod options;
mod play;
mod probe;
mod progress;
mod publish;
mod stop;

use jackfield_rtmp::Scheme;
use jackfield_rtmp_client::{ClientError, RtmpUrl};
pub(crate) use options::{Play, Probe, Publish};
pub(crate) use stop::Stop;

/// Receives a stream into a file.
pub(crate) fn play(options: Play) -> anyhow::Result<()> {
    block_on(play::run(options))
}

/// Sends a file as a stream.
pub(crate) fn publish(options: Publish) -> anyhow::Result<()> {
    block_on(publish::run(options))
}

/// Looks into a stream or file; the text to be printed.
pub(crate) fn probe(options: Probe) -> anyhow::Result<String> {
    block_on(probe::run(options))
}

/// What was opened, or why not: `what` failed, and what can be done about it.
fn opened<T>(opened: Result<T, ClientError>, what: &str, url: &RtmpUrl) -> anyhow::Result<T> {
    opened.map_err(|error| {
        let advice = match &error {
            error if error.is_distrust() => {
                "; --tls-ca FILE names who is to be believed, --insecure believes anybody"
            }
            ClientError::Tls { .. } => "; is this a port for RTMPS?",
            // A port with TLS hangs up on clear text.
            ClientError::ServerClosed | ClientError::Lost(_) if url.scheme() == Scheme::Rtmp => {
                "; does this port want rtmps://?"
            }
            _ => "",
        };
        anyhow::anyhow!("{what}: {error}{advice}")
    })
}

/// Runs a command in a runtime of its own.
pub(crate) fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // A read of standard input that nobody ends must not hold us.
    runtime.shutdown_background();
    result
}
