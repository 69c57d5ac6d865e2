//! The report as JSON; names as in the events.

use super::findings::{Found, Report};
use jackfield_media::{TrackId, TrackKind};
use jackfield_rtmp::amf::{Object, Value as Amf};
use serde_json::{Map, Value, json};

pub(super) fn document(report: &Report) -> Value {
    let tracks: Vec<Value> = report.tracks.iter().map(|(id, found)| track(*id, found, report)).collect();
    let timing =
        report.offset.map(|(offset, drift)| json!({"audio_offset_ms": offset, "audio_drift_ms": drift}));
    json!({
        "source": report.source,
        "duration_ms": report.span_ms,
        "messages": report.messages,
        "bytes": report.bytes,
        "bit_rate": bit_rate(report.bytes, report.span_ms),
        "tracks": tracks,
        "timing": timing,
        "metadata": report.metadata.as_ref().map(object),
        "data_messages": report.data,
        "warnings": report.warnings,
    })
}

/// Bits a second; `None` without a span.
pub(super) fn bit_rate(bytes: u64, span_ms: i64) -> Option<u64> {
    let span = u128::try_from(span_ms).ok().filter(|span| *span > 0)?;
    u64::try_from(u128::from(bytes) * 8000 / span).ok()
}

fn track(id: TrackId, found: &Found, report: &Report) -> Value {
    let rhythm = &found.rhythm;
    let told = found.track.as_ref();
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            fields.insert(name.to_owned(), value);
        }
    };
    put("track", id.0.into());
    put("kind", found.kind.as_str().into());
    put("codec", told.map(|track| track.codec.as_str()).into());
    put("codec_string", told.and_then(|track| track.codec_string.as_deref()).into());
    put("profile", told.and_then(|track| track.profile.as_deref()).into());
    put("level", told.and_then(|track| track.level.as_deref()).into());
    put("width", told.and_then(|track| track.width).into());
    put("height", told.and_then(|track| track.height).into());
    put("fps", told.and_then(|track| track.fps).into());
    put("sample_rate", told.and_then(|track| track.sample_rate).into());
    put("channels", told.and_then(|track| track.channels).into());
    put("frames", rhythm.frames.into());
    put("frame_rate", rhythm.rate().map(|rate| (rate * 100.0).round() / 100.0).into());
    put("bytes", found.bytes.into());
    put("bit_rate", bit_rate(found.bytes, rhythm.span_ms().max(report.span_ms)).into());
    put("first_ms", rhythm.first_ms.into());
    put("last_ms", rhythm.last_ms.into());
    put("backward_steps", rhythm.backward_steps.into());
    put("gaps", rhythm.gaps.into());
    put("longest_gap_ms", rhythm.longest_gap_ms.into());
    put("configurations", found.configurations.into());
    put("configuration_changes", found.changes.into());
    if found.kind == TrackKind::Video {
        put("keyframes", rhythm.keyframes.count.into());
        let distance = rhythm.keyframes.distance_ms.zip(rhythm.keyframes.average());
        put("keyframe_distance", distance.map_or(Value::Null, |((least, most), (average, frames))| {
            json!({"min_ms": least, "max_ms": most, "average_ms": average.round(), "average_frames": frames})
        }));
        put(
            "composition_ms",
            rhythm.composition_ms.map_or(Value::Null, |(least, most)| json!({"min": least, "max": most})),
        );
    }
    Value::Object(fields)
}

pub(super) fn object(object: &Object) -> Value {
    Value::Object(object.iter().map(|(name, value)| (name.to_owned(), plain(value))).collect())
}

/// AMF as JSON: what JSON has no word for is its text, or null. The reader bounds the depth.
#[expect(clippy::cast_possible_truncation, reason = "whole numbers within 2⁵³ only")]
pub(super) fn plain(value: &Amf) -> Value {
    match value {
        Amf::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => (*number as i64).into(),
        Amf::Number(number) => (*number).into(),
        Amf::Boolean(on) => (*on).into(),
        Amf::String(text) | Amf::Xml(text) => text.as_str().into(),
        Amf::StrictArray(values) => values.iter().map(plain).collect(),
        Amf::Date { unix_ms, .. } => (*unix_ms).into(),
        other => other.as_object().map_or(Value::Null, object),
    }
}
