//! Every publisher with every player: what comes out is what went in, from a late joiner's first key frame on.

use anyhow::{Context, Result, anyhow};
use jackfield_e2e::flv::Match;
use jackfield_e2e::{Matrix, PlayerKind, PublisherKind, SOON, Server, clip, compare, peer};

/// Two key-frame intervals and more: a player that loses pictures between two key frames is found out.
const PICTURES: usize = 60;

/// Publishes under `url` and lets every player join late; one result for each of [`PlayerKind::ALL`].
fn row(publisher: PublisherKind, clip: &clip::Clip, url: &str) -> Vec<Result<Match>> {
    let tried = (|| {
        let publisher = publisher.start(clip.path(), url).context("the publisher")?;
        // Whoever comes when somebody else has had more than a group of pictures comes late.
        let early = PlayerKind::Rtmpdump.start(url)?;
        early
            .wait_video(30, SOON)
            .with_context(|| format!("the publisher said:{}", publisher.program().last_words()))?;
        let players: Vec<_> = PlayerKind::ALL.into_iter().map(|kind| kind.start(url)).collect();
        let results = players.into_iter().map(|player| {
            let player = player?;
            player.wait_video(PICTURES, SOON)?;
            compare(clip.recording(), &player.finish()?, PICTURES)
        });
        anyhow::Ok(results.collect())
    })();
    tried.unwrap_or_else(|error| {
        let all = PlayerKind::ALL.iter();
        all.map(|_| Err(anyhow!("{error:#}"))).collect()
    })
}

fn table(clip: &clip::Clip, url: impl Fn(&str) -> String + Sync) -> Result<Matrix> {
    let mut matrix = Matrix::new("publishers and players", PublisherKind::ALL, PlayerKind::ALL);
    // Side by side: each row mostly waits for media that comes in real time.
    let rows = std::thread::scope(|scope| {
        let rows = PublisherKind::ALL.map(|kind| {
            let url = url(&format!("matrix-{kind}"));
            scope.spawn(move || row(kind, clip, &url))
        });
        rows.map(|row| row.join().ok().context("a row panicked"))
    });
    for (at, row) in rows.into_iter().enumerate() {
        for (column, result) in row?.into_iter().enumerate() {
            matrix.set(at, column, result);
        }
    }
    Ok(matrix)
}

#[test]
fn matrix_of_publishers_and_players() -> Result<()> {
    let clip = clip::standard()?;
    if let Some(peer) = peer() {
        let matrix = table(&clip, |name| format!("{peer}/{name}"))?;
        println!("{peer}\n{}", matrix.markdown());
        return matrix.finish();
    }
    let server = Server::builder().start()?;
    let matrix = table(&clip, |name| server.url(&format!("live/{name}")))?;
    println!("{}", matrix.markdown());
    matrix.finish()?;
    server.stop()?;
    Ok(())
}
