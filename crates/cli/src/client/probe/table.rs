//! The report for people.

use super::findings::{Found, Report, label};
use super::json::{bit_rate, plain};
use crate::client::progress::size;
use jackfield_media::{Track, TrackKind};
use std::fmt::Write;

const HEADINGS: [&str; 6] = ["track", "codec", "what", "frames", "rate", "bit rate"];

pub(super) fn text(report: &Report) -> String {
    let mut out = format!("{}\n", report.source);
    line(
        &mut out,
        &[
            seconds(report.span_ms),
            size(report.bytes),
            format!("{} messages", report.messages),
            kilobits(bit_rate(report.bytes, report.span_ms)),
        ],
    );
    out.push('\n');
    let rows: Vec<[String; 6]> =
        report.tracks.iter().map(|(id, found)| row(label(*id, found.kind), found, report)).collect();
    table(&mut out, &rows);
    out.push('\n');
    for (id, found) in &report.tracks {
        times(&mut out, &label(*id, found.kind), found);
    }
    if let Some((offset, drift)) = report.offset {
        line(&mut out, &[format!("sound begins {offset} ms after the picture, and drifts by {drift} ms")]);
    }
    if let Some(metadata) = &report.metadata {
        let pairs: Vec<String> =
            metadata.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
        line(&mut out, &[format!("metadata: {}", printable(&pairs.join(" ")))]);
    }
    for (name, count) in &report.data {
        line(&mut out, &[format!("data: {} ({count} messages)", printable(name))]);
    }
    for warning in &report.warnings {
        line(&mut out, &[format!("warning: {warning}")]);
    }
    out
}

fn line(out: &mut String, parts: &[String]) {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    out.push_str(&parts.join(", "));
    out.push('\n');
}

/// A publisher's texts come to a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

fn row(name: String, found: &Found, report: &Report) -> [String; 6] {
    let track = found.track.as_ref();
    let rate = found.rhythm.rate().map_or(String::new(), |rate| format!("{rate:.2}/s"));
    [
        name,
        track.map_or("?", |track| track.codec.as_str()).to_owned(),
        track.map_or(String::new(), details),
        found.rhythm.frames.to_string(),
        rate,
        kilobits(bit_rate(found.bytes, found.rhythm.span_ms().max(report.span_ms))),
    ]
}

fn details(track: &Track) -> String {
    let size = track.width.zip(track.height).map(|(width, height)| format!("{width}x{height}"));
    let level = track.level.as_deref().map(|level| format!("level {level}"));
    let channels = track.channels.map(|count| match count {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        more => format!("{more} channels"),
    });
    let parts = [
        track.codec_string.as_deref().map(str::to_owned),
        track.profile.as_deref().map(str::to_owned),
        level,
        size,
        track.fps.map(|fps| format!("{fps} fps")),
        track.sample_rate.map(|rate| format!("{rate} Hz")),
        channels,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn times(out: &mut String, name: &str, found: &Found) {
    let rhythm = &found.rhythm;
    let Some((first, last)) = rhythm.first_ms.zip(rhythm.last_ms) else { return };
    let health = match (rhythm.backward_steps, rhythm.gaps) {
        (0, 0) => "no steps back, no gaps".to_owned(),
        (back, gaps) => format!("{back} steps back, {gaps} gaps"),
    };
    line(out, &[format!("{name}: {} to {}", seconds(first), seconds(last)), health]);
    if found.kind != TrackKind::Video {
        return;
    }
    let keyframes = &rhythm.keyframes;
    match keyframes.distance_ms.zip(keyframes.average()) {
        Some(((least, most), (average, frames))) => {
            let every = format!(
                "{name}: {} key frames, every {:.2} s ({} to {}), {frames:.1} frames",
                keyframes.count,
                average / 1000.0,
                seconds(least),
                seconds(most)
            );
            line(out, &[every]);
        }
        None => line(out, &[format!("{name}: {} key frames", keyframes.count)]),
    }
}

fn table(out: &mut String, rows: &[[String; 6]]) {
    let heading = HEADINGS.map(str::to_owned);
    let all: Vec<&[String; 6]> = std::iter::once(&heading).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    for row in all {
        let mut text = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _infallible = write!(text, "{cell:<width$}  ");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn seconds(ms: i64) -> String {
    format!("{:.3} s", ms as f64 / 1000.0)
}

fn kilobits(rate: Option<u64>) -> String {
    rate.map_or(String::new(), |rate| format!("{} kbit/s", rate.div_ceil(1000)))
}

#[cfg(test)]
mod tests {
    use crate::client::probe::{found, json};
    use jackfield_media::TrackKind::{Audio, Video};

    #[test]
    fn both_forms_say_the_same() {
        let report = found(&[
            (Audio, 0, &[0xaf, 0, 0x12, 0x10]),
            (Video, 0, &[0x12, 1, 2]),
            (Audio, 0, &[0xaf, 1, 2, 3]),
            (Video, 1000, &[0x12, 1, 2]),
            (Audio, 1000, &[0xaf, 1, 2, 3]),
        ])
        .report("rtmp://h/live/show");
        let text = super::text(&report);
        for expected in [
            "rtmp://h/live/show\n1.000 s, 18 bytes, 5 messages, 1 kbit/s\n",
            "track  codec  what ",
            "video  h263 ",
            "mp4a.40.2, LC, 44100 Hz, stereo",
            "video: 2 key frames, every 1.00 s (1.000 s to 1.000 s), 1.0 frames",
            "audio: 0.000 s to 1.000 s, no steps back, no gaps",
            "sound begins 0 ms after the picture, and drifts by 0 ms",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
        let document = json::document(&report);
        assert_eq!(document["tracks"][0]["codec"], "h263");
        assert_eq!(document["tracks"][0]["keyframe_distance"]["average_ms"], 1000.0);
        assert_eq!(document["tracks"][1]["channels"], 2);
        assert_eq!(document["timing"]["audio_drift_ms"], 0);
        assert_eq!(document["warnings"].as_array().unwrap().len(), 0);
    }
}
