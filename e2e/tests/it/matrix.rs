//! Every publisher with every player, over every transport, with every set of codecs: what comes out is what went in, from
//! a late joiner's first key frame on. A table for each transport and set of codecs.

mod cover;

use anyhow::{Context, Result, anyhow};
use cover::Cell;
use jackfield_e2e::flv::{Match, Stream};
use jackfield_e2e::tls::Authority;
use jackfield_e2e::{
    Address, Clip, Codecs, Matrix, PlayerKind, PublisherKind, SOON, Scratch, Server, TlsVersion, compare,
    peer,
};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// Two key-frame intervals and more: a player that loses pictures between two key frames is found out.
const PICTURES: usize = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Transport {
    Rtmp,
    Rtmps,
}

impl Transport {
    const ALL: [Self; 2] = [Self::Rtmp, Self::Rtmps];
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rtmp => "RTMP",
            Self::Rtmps => "RTMPS",
        })
    }
}

/// A server for one table, and how its clients reach it.
enum Place {
    /// Another's, to see whose fault a failure is.
    Peer(String),
    Plain(Server),
    Tls {
        server: Server,
        authority: PathBuf,
        _folder: Scratch,
    },
}

impl Place {
    fn start(transport: Transport, version: TlsVersion) -> Result<Self> {
        match (transport, peer()) {
            (Transport::Rtmp, Some(peer)) => Ok(Self::Peer(peer)),
            (Transport::Rtmp, None) => Ok(Self::Plain(Server::builder().start()?)),
            (Transport::Rtmps, _) => Self::tls(version),
        }
    }

    fn tls(version: TlsVersion) -> Result<Self> {
        let folder = Scratch::new()?;
        let authority = Authority::new()?;
        let identity = authority.identity(&["localhost", "127.0.0.1"])?;
        let certificate = folder.file("cert.pem", &identity.certificate_pem())?;
        let key = folder.file("key.pem", &identity.key_pem())?;
        let mut builder = Server::builder()
            .args(["--rtmps-listen", "127.0.0.1:0"])
            .args(["--tls-cert".into(), certificate.into_os_string()])
            .args(["--tls-key".into(), key.into_os_string()]);
        if version == TlsVersion::V1_2 {
            builder = builder.config("[rtmps]\ntls_max = \"1.2\"\n");
        }
        let authority = folder.file("ca.pem", &authority.pem())?;
        Ok(Self::Tls { server: builder.start()?, authority, _folder: folder })
    }

    fn server(&self) -> Option<&Server> {
        match self {
            Self::Peer(_) => None,
            Self::Plain(server) | Self::Tls { server, .. } => Some(server),
        }
    }

    /// Where a stream is.
    fn address(&self, name: &str) -> Result<Address> {
        Ok(match self {
            Self::Peer(peer) => Address::from(&format!("{peer}/{name}")),
            Self::Plain(server) => Address::from(&server.url(&format!("live/{name}"))),
            Self::Tls { server, authority, .. } => {
                let port = server.address("rtmps")?.port();
                Address::tls(format!("rtmps://localhost:{port}/live/{name}"), authority)
            }
        })
    }

    fn stop(self) -> Result<()> {
        match self {
            Self::Peer(_) => Ok(()),
            Self::Plain(server) | Self::Tls { server, .. } => server.stop().map(drop),
        }
    }
}

/// Publishes, and lets the players join late; one result for each.
fn row(publisher: PublisherKind, players: &[PlayerKind], clip: &Clip, place: &Place) -> Vec<Result<Match>> {
    let tried = (|| {
        let name = format!("from-{publisher}").replace(' ', "-");
        let address = place.address(&name)?;
        let publisher = publisher.start(clip.path(), &address).context("the publisher")?;
        let said = || format!("the publisher said:{}", publisher.program().last_words());
        if let Some(server) = place.server() {
            let key = format!("live/{name}");
            server
                .events()
                .wait_for("publish_start", SOON, |event| event.stream_key() == Some(&*key))
                .with_context(said)?;
        }
        // Whoever comes when somebody else has had more than a group of pictures comes late.
        let early = match place {
            Place::Tls { server, .. } => PlayerKind::Rtmpdump.start(&server.url(&format!("live/{name}")))?,
            _ => PlayerKind::Rtmpdump.start(&address)?,
        };
        early.wait_video(30, SOON).with_context(said)?;
        let started: Vec<_> = players.iter().map(|kind| (kind, kind.start(&address))).collect();
        let results = started.into_iter().map(|(kind, player)| {
            let player = player?;
            player.wait_video(PICTURES, SOON).with_context(said)?;
            let mut got = player.finish()?;
            let mut source = clip.recording().clone();
            if *kind == PlayerKind::NewerFfmpeg {
                forget_matrix(&mut got.video);
                forget_matrix(&mut source.video);
            }
            compare(&source, &got, PICTURES)
        });
        anyhow::Ok(results.collect())
    })();
    tried.unwrap_or_else(|error| players.iter().map(|_| Err(anyhow!("{error:#}"))).collect())
}

/// ffmpeg writes the matrix of colours in VP9's configuration anew, after what it takes the stream for: the tenth byte of
/// `VPCodecConfigurationRecord`.
fn forget_matrix(video: &mut Stream) {
    if video.codec == Some(u32::from_be_bytes(*b"vp09"))
        && let Some(matrix) = video.config.get_mut(9)
    {
        *matrix = 0;
    }
}

/// The cells of a table by what they share: a server, and a publisher.
type Rows = BTreeMap<TlsVersion, BTreeMap<PublisherKind, Vec<PlayerKind>>>;

fn rows(cells: &[Cell]) -> Rows {
    let mut rows = Rows::new();
    for cell in cells {
        // The older of the two ends decides. Without TLS there is no need for two servers.
        let version = match cell.transport {
            Transport::Rtmp => TlsVersion::V1_3,
            Transport::Rtmps => cell.publisher.tls().min(cell.player.tls()),
        };
        rows.entry(version).or_default().entry(cell.publisher).or_default().push(cell.player);
    }
    rows
}

#[expect(clippy::print_stdout, reason = "the table is shown even when all is well")]
fn table(transport: Transport, codecs: Codecs) -> Result<()> {
    if peer().is_some() && (transport, codecs) != (Transport::Rtmp, Codecs::H264Aac) {
        return Ok(());
    }
    let clip = codecs.clip()?;
    let name = format!("{codecs} over {transport}");
    let mut matrix = Matrix::new(&name, PublisherKind::ALL, PlayerKind::ALL);
    let mut chosen = cover::chosen();
    chosen.retain(|cell| (cell.transport, cell.codecs) == (transport, codecs));
    for (row, publisher) in PublisherKind::ALL.into_iter().enumerate() {
        for (column, player) in PlayerKind::ALL.into_iter().enumerate() {
            let cell = Cell { transport, codecs, publisher, player };
            match cell.impossible() {
                Some(reason) => matrix.impossible(row, column, reason),
                None if !chosen.contains(&cell) => matrix.leave(row, column),
                None => {}
            }
        }
    }
    for (version, rows) in rows(&chosen) {
        let place = Place::start(transport, version)?;
        fill(&mut matrix, &rows, &clip, &place);
        place.stop()?;
    }
    println!("{}", matrix.markdown());
    matrix.finish()
}

/// Side by side: each row mostly waits for media that comes in real time.
fn fill(matrix: &mut Matrix, rows: &BTreeMap<PublisherKind, Vec<PlayerKind>>, clip: &Clip, place: &Place) {
    std::thread::scope(|scope| {
        let rows = rows.iter().map(|(publisher, players)| {
            let tried = scope.spawn(|| row(*publisher, players, clip, place));
            (*publisher, players, tried)
        });
        for (publisher, players, tried) in rows.collect::<Vec<_>>() {
            // A row that panicked leaves its cells untried, which fails the table.
            let results = tried.join().unwrap_or_default();
            for (player, result) in players.iter().zip(results) {
                let row = PublisherKind::ALL.into_iter().position(|kind| kind == publisher);
                let column = PlayerKind::ALL.into_iter().position(|kind| kind == *player);
                if let (Some(row), Some(column)) = (row, column) {
                    matrix.set(row, column, result);
                }
            }
        }
    });
}

#[test]
fn matrix_of_h264_aac_over_rtmp() -> Result<()> {
    table(Transport::Rtmp, Codecs::H264Aac)
}

#[test]
fn matrix_of_hevc_aac_over_rtmp() -> Result<()> {
    table(Transport::Rtmp, Codecs::HevcAac)
}

#[test]
fn matrix_of_av1_opus_over_rtmp() -> Result<()> {
    table(Transport::Rtmp, Codecs::Av1Opus)
}

#[test]
fn matrix_of_vp9_flac_over_rtmp() -> Result<()> {
    table(Transport::Rtmp, Codecs::Vp9Flac)
}

#[test]
fn matrix_of_h264_ac3_over_rtmp() -> Result<()> {
    table(Transport::Rtmp, Codecs::H264Ac3)
}

#[test]
fn matrix_of_hevc_two_aac_over_rtmp() -> Result<()> {
    table(Transport::Rtmp, Codecs::HevcTwoAac)
}

#[test]
fn matrix_of_two_by_two_over_rtmp() -> Result<()> {
    table(Transport::Rtmp, Codecs::TwoByTwo)
}

#[test]
fn matrix_of_h264_aac_over_rtmps() -> Result<()> {
    table(Transport::Rtmps, Codecs::H264Aac)
}

#[test]
fn matrix_of_hevc_aac_over_rtmps() -> Result<()> {
    table(Transport::Rtmps, Codecs::HevcAac)
}

#[test]
fn matrix_of_av1_opus_over_rtmps() -> Result<()> {
    table(Transport::Rtmps, Codecs::Av1Opus)
}

#[test]
fn matrix_of_vp9_flac_over_rtmps() -> Result<()> {
    table(Transport::Rtmps, Codecs::Vp9Flac)
}

#[test]
fn matrix_of_h264_ac3_over_rtmps() -> Result<()> {
    table(Transport::Rtmps, Codecs::H264Ac3)
}

#[test]
fn matrix_of_hevc_two_aac_over_rtmps() -> Result<()> {
    table(Transport::Rtmps, Codecs::HevcTwoAac)
}

#[test]
fn matrix_of_two_by_two_over_rtmps() -> Result<()> {
    table(Transport::Rtmps, Codecs::TwoByTwo)
}
