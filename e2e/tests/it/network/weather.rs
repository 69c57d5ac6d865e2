//! Loss, delay, reordering and duplicates: whoever is behind such a link misses nothing, and nobody else either.

use super::{Scene, finish_whole};
use anyhow::{Result, ensure};
use jackfield_e2e::link::{Counts, Way, Weather};
use jackfield_e2e::{Matrix, PlayerKind, PublisherKind, all_cases, check_pairs, clip};
use std::fmt;
use std::time::Duration;

/// Two seconds of them.
const PICTURES: usize = 50;

const DELAY: Weather =
    Weather { delay: Duration::from_millis(100), jitter: Duration::from_millis(50), ..Weather::CLEAR };

struct Kind {
    name: &'static str,
    weather: Weather,
    /// What must have become of packets, or nothing was tested.
    has_happened: fn(&Counts) -> bool,
}

const fn kind(name: &'static str, weather: Weather, has_happened: fn(&Counts) -> bool) -> Kind {
    Kind { name, weather, has_happened }
}

const WEATHERS: [Kind; 7] = [
    kind("1 % loss", Weather { loss: 10, ..Weather::CLEAR }, |counts| counts.lost > 0),
    kind("3 % loss", Weather { loss: 30, ..Weather::CLEAR }, |counts| counts.lost > 0),
    kind("5 % loss", Weather { loss: 50, ..Weather::CLEAR }, |counts| counts.lost > 0),
    kind("100 ± 50 ms", DELAY, |counts| counts.packets > 0),
    kind("5 % out of order", Weather { reordered: 50, ..Weather::CLEAR }, |counts| counts.reordered > 0),
    kind("5 % twice", Weather { duplicates: 50, ..Weather::CLEAR }, |counts| counts.doubled > 0),
    kind("all of it", Weather { loss: 10, reordered: 20, duplicates: 20, ..DELAY }, |counts| {
        counts.lost + counts.reordered + counts.doubled > 0
    }),
];

/// Who is behind the link.
#[derive(Debug, Clone, Copy)]
enum Far {
    Publisher(PublisherKind),
    Player(PlayerKind),
}

const ALL_FAR: [Far; 4] = [
    Far::Publisher(PublisherKind::Ffmpeg),
    Far::Player(PlayerKind::Ffmpeg),
    Far::Publisher(PublisherKind::Jackfield),
    Far::Player(PlayerKind::Jackfield),
];

impl fmt::Display for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publisher(kind) => write!(f, "{kind} publishes"),
            Self::Player(kind) => write!(f, "{kind} plays"),
        }
    }
}

/// Plays one cell; returns what became of the packets. None where no lab can be made.
fn cell(kind: &Kind, far: Far) -> Result<Option<String>> {
    let clip = clip::standard()?;
    let Some(scene) = Scene::start(1, "")? else { return Ok(None) };
    scene.lab.set(Way::Both, kind.weather);
    let publisher = match far {
        Far::Publisher(kind) => scene.publish_far(kind, &clip)?,
        Far::Player(_) => scene.publish_near(&clip)?,
    };
    let healthy = scene.play_near()?;
    if let Far::Player(kind) = far {
        finish_whole(scene.play_far(kind)?, &clip, PICTURES)?;
    }
    finish_whole(healthy, &clip, PICTURES)?;
    scene.serves_new_clients()?;
    let [inwards, outwards] = scene.lab.counts();
    let media = if let Far::Publisher(_) = far { inwards } else { outwards };
    ensure!((kind.has_happened)(&media), "the weather was fair: {media:?}");
    drop(publisher);
    let bad = [("lost", media.lost), ("out of order", media.reordered), ("twice", media.doubled)];
    let bad = bad.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!(", {count} {what}"));
    let told = format!("{} packets{}", media.packets, bad.collect::<String>());
    // A publisher that was killed far away is found in the end, or now.
    check_pairs(&scene.server.stop()?.events.all()?)?;
    Ok(Some(told))
}

#[test]
fn matrix_of_bad_links_and_who_is_behind_them() -> Result<()> {
    let mut table = Matrix::new("Bad links", WEATHERS.map(|kind| kind.name), ALL_FAR);
    let cells: Vec<(usize, usize)> = if all_cases() {
        (0..WEATHERS.len()).flat_map(|row| (0..ALL_FAR.len()).map(move |column| (row, column))).collect()
    } else {
        // Each client once, and each kind of weather but the mixed one.
        vec![(1, 0), (3, 1), (4, 2), (5, 3)]
    };
    for row in 0..WEATHERS.len() {
        for column in 0..ALL_FAR.len() {
            table.leave(row, column);
        }
    }
    // They mostly wait for media in real time: four at once starve nobody.
    for some in cells.chunks(4) {
        let results: Vec<_> = std::thread::scope(|scope| {
            let runs =
                some.iter().map(|&(row, column)| scope.spawn(move || cell(&WEATHERS[row], ALL_FAR[column])));
            let runs: Vec<_> = runs.collect();
            runs.into_iter().map(|run| run.join().expect("a cell panicked")).collect()
        });
        for (&(row, column), result) in some.iter().zip(results) {
            match result.transpose() {
                Some(result) => table.set(row, column, result),
                None => table.impossible(row, column, "no network of its own can be made here"),
            }
        }
    }
    println!("{}", table.markdown());
    table.finish()
}
