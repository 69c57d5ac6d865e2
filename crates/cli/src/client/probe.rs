//! `jackfield probe`: what is in a stream or a file.

mod findings;
mod json;
mod rhythm;
mod table;

use super::opened;
use super::options::{Probe, Source};
use super::stop::Stop;
use anyhow::{Context, bail};
use findings::Findings;
use jackfield_containers::flv::TagReader;
use jackfield_rtmp_client::{Options, Playback, RtmpUrl};
use jackfield_runtime::clock;
use std::path::Path;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// How long a stream is listened to.
const USUAL: Duration = Duration::from_secs(5);
/// Bytes of one read.
const BLOCK: usize = 64 << 10;

/// Looks at the source and returns what is to be printed.
pub(super) async fn run(options: Probe) -> anyhow::Result<String> {
    let mut stop = Stop::new()?;
    let mut findings = Findings::default();
    let name = options.source.to_string();
    let look = async {
        match &options.source {
            Source::Stream(url) => listen(&options, url, &mut findings).await,
            Source::File(path) => read(path, options.seconds, &mut findings).await,
        }
    };
    // What was found until the signal is worth as much.
    let stopped = tokio::select! {
        looked = look => { looked?; false }
        () = stop.asked() => true,
    };
    if stopped && findings.is_empty() {
        return Ok(String::new());
    }
    if findings.is_empty() {
        bail!("nothing came from {name}: {}", options.source.emptiness());
    }
    let report = findings.report(&name);
    Ok(if options.json { format!("{:#}\n", json::document(&report)) } else { table::text(&report) })
}

async fn listen(options: &Probe, url: &RtmpUrl, findings: &mut Findings) -> anyhow::Result<()> {
    let connector = options.connection.connector()?;
    let playback = Playback::open(&connector, url.clone(), Options::default()).await;
    let mut playback = opened(playback, &format!("cannot play {url}"), url)?;
    let end = clock::now().after(options.seconds.unwrap_or(USUAL));
    while let Some(next) = clock::until(end, playback.next()).await {
        match next {
            Ok(Some(message)) => findings.add(message.kind, message.timestamp_ms, &message.body),
            Ok(None) => break,
            // What came before is still of interest.
            Err(error) if findings.is_empty() => {
                return Err(error).with_context(|| format!("the stream {url} broke off"));
            }
            Err(error) => {
                findings.warn(format!("The stream broke off: {error}."));
                break;
            }
        }
    }
    playback.close().await;
    Ok(())
}

async fn read(path: &Path, most: Option<Duration>, findings: &mut Findings) -> anyhow::Result<()> {
    let context = || format!("cannot read {}", path.display());
    let mut file = File::open(path).await.with_context(context)?;
    let mut reader = TagReader::default();
    let mut block = vec![0; BLOCK];
    loop {
        let count = file.read(&mut block).await.with_context(context)?;
        if count == 0 {
            return Ok(());
        }
        reader.push(block.get(..count).unwrap_or_default());
        loop {
            match reader.next_tag() {
                Ok(None) => break,
                Ok(Some(tag)) => findings.add(tag.kind, tag.timestamp_ms.into(), &tag.body),
                Err(error) if findings.is_empty() => return Err(error).with_context(context),
                Err(error) => {
                    findings.warn(format!("The file is broken after its first part: {error}."));
                    return Ok(());
                }
            }
        }
        if most.is_some_and(|most| findings.span() >= most) {
            return Ok(());
        }
    }
}

/// Bodies as they are found, for tests.
#[cfg(test)]
fn found(messages: &[(jackfield_media::TrackKind, i64, &[u8])]) -> Findings {
    let mut findings = Findings::default();
    for (kind, timestamp, body) in messages {
        findings.add(*kind, *timestamp, &bytes::Bytes::copy_from_slice(body));
    }
    findings
}
