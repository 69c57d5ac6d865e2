//! Links that are too narrow for the stream: viewers fall back to key frames and leave by rule, publishers are late, and
//! nobody else misses a frame.

use super::{KEY, Scene, broad_clip, check_runs, finish_whole};
use anyhow::{Context, Result, ensure};
use jackfield_e2e::link::{Way, Weather};
use jackfield_e2e::{
    Event, Player, PlayerKind, PublisherKind, SOON, all_cases, compare, eventually, forget_peak, peak_kib,
};
use jiff::Timestamp;

/// A cap of this many bits a second.
fn cap(bits: u64) -> Weather {
    Weather { cap: bits, ..Weather::CLEAR }
}

/// How long a clip must be for the rules to show, and the rules: the defaults in the long form.
fn rules() -> (u32, &'static str) {
    if all_cases() { (70, "") } else { (30, "[hub]\nqueue_ms = 150\nslow_ms = 600\n") }
}

/// What three slow viewers may cost, all together: they share the frames that wait for them. Five seconds of the stream are
/// 1.5 MiB, thrice that if they were not shared; the allocator adds up to 1.2 MiB.
const MOST_KIB: u64 = 3584;
/// The stream's own rate. Of viewers that fall behind one after the other, each holds the five seconds from then on.
const KIB_PER_SECOND: f64 = 2_400_000.0 / 8.0 / 1024.0;
/// Healthy viewers besides.
const HEALTHY: usize = 3;
/// Viewers that share the narrow link; in the short form only the first.
const SLOW: [PlayerKind; 3] = [PlayerKind::Ffmpeg, PlayerKind::Rtmpdump, PlayerKind::Jackfield];

#[test]
fn viewers_on_300_kbits_leave_by_rule_and_cost_no_frame_and_no_memory() -> Result<()> {
    let (seconds, config) = rules();
    let clip = broad_clip(seconds)?;
    let Some(scene) = Scene::start(1, config)? else { return Ok(()) };
    let _publisher = scene.publish_near(&clip)?;
    let healthy = (0..HEALTHY).map(|_| scene.play_near()).collect::<Result<Vec<Player>>>()?;
    let kinds = SLOW.get(..if all_cases() { 3 } else { 1 }).unwrap_or_default();
    // What the server takes for a group of pictures, its window and the viewers' buffers, it has had by then.
    let warm = if all_cases() { 100 } else { 1 };
    healthy.iter().try_for_each(|player| player.wait_video(warm, SOON))?;
    if !all_cases() {
        // The kernel's buffers for a link that is narrow from the beginning are full sooner.
        scene.lab.set(Way::Out, cap(300_000));
    }
    let slow = kinds.iter().map(|kind| scene.play_far(*kind)).collect::<Result<Vec<Player>>>()?;
    slow.iter().try_for_each(|player| player.wait_video(1, SOON))?;
    let pid = scene.server.pid();
    let before = peak_kib(pid)?;
    forget_peak(pid)?;
    if all_cases() {
        // At most 300 kbit/s for each. The last of three has all of it: still too little for its queue to empty in time.
        scene.lab.set(Way::Out, cap(700_000));
    }
    let stops = eventually("end of every slow viewer", 4 * SOON, || {
        let stops: Vec<Event> = scene.server.events().all()?;
        let stops: Vec<Event> = stops.into_iter().filter(|event| event.kind() == "play_stop").collect();
        Ok((stops.len() >= kinds.len()).then_some(stops))
    })?;
    let grown = peak_kib(pid)?.saturating_sub(before);
    let apart = seconds_between(stops.first(), stops.last())?;
    let (viewers, by) = (kinds.len(), format!("by at most {grown} KiB from {before} KiB"));
    println!("{viewers} slow viewers, who left within {apart:.1} s: the server grew {by}");
    for stop in &stops {
        let fields = (stop.data("reason"), stop.data("client_ip"));
        ensure!(fields == (Some("slow_subscriber"), Some(super::FAR)), "{}", stop.json());
        ensure!(stop.number("dropped_frames").is_some_and(|frames| frames > 0), "{}", stop.json());
    }
    let rest = grown.saturating_sub(MOST_KIB) as f64;
    ensure!(rest <= apart * KIB_PER_SECOND, "slow viewers took {grown} KiB within {apart:.1} s");
    scene.serves_new_clients()?;
    for player in slow {
        let got = player.finish()?;
        check_runs(&clip, &got).context("a slow viewer")?;
    }
    for player in healthy {
        let pictures = player.so_far().video.units.len() + 10;
        finish_whole(player, &clip, pictures).context("a healthy viewer")?;
    }
    scene.stop()
}

fn seconds_between(first: Option<&Event>, last: Option<&Event>) -> Result<f64> {
    let time = |event: Option<&Event>| -> Result<Timestamp> {
        let text = event.and_then(|event| event.json().get("time")?.as_str()).context("no time")?;
        Ok(text.parse()?)
    };
    Ok(time(last)?.duration_since(time(first)?).as_secs_f64())
}

#[test]
fn a_viewer_on_half_the_rate_gets_runs_from_key_frame_to_key_frame_and_stays() -> Result<()> {
    let (seconds, config) = if all_cases() { (70, "") } else { (30, "[hub]\nqueue_ms = 300\n") };
    let clip = broad_clip(seconds)?;
    let Some(scene) = Scene::start(2, config)? else { return Ok(()) };
    let _publisher = scene.publish_near(&clip)?;
    let healthy = scene.play_near()?;
    scene.lab.set(Way::Out, cap(1_300_000));
    let slow = scene.play_far(PlayerKind::Rtmpdump)?;
    let runs = if all_cases() { 3 } else { 2 };
    let got = eventually("gap in what a slow viewer gets", 3 * SOON, || {
        let got = slow.so_far();
        Ok((check_runs(&clip, &got)? >= runs).then_some(got))
    })?;
    ensure!(got.audio.units.len() > 10, "hardly any sound");
    let left = scene.server.events().kinds(|event| event.kind() == "play_stop")?;
    ensure!(left.is_empty(), "a viewer was sent away");
    check_runs(&clip, &slow.finish()?)?;
    let stop = scene.wait_far("play_stop", SOON)?;
    ensure!(stop.data("reason") == Some("client_disconnect"), "{}", stop.json());
    ensure!(stop.number("dropped_frames").is_some_and(|frames| frames > 0), "{}", stop.json());
    let pictures = healthy.so_far().video.units.len() + 10;
    finish_whole(healthy, &clip, pictures)?;
    scene.stop()
}

#[test]
fn a_publisher_on_300_kbits_is_late_and_loses_nothing() -> Result<()> {
    // A second of the stream takes eight on such a link.
    let pictures = if all_cases() { 75 } else { 3 };
    let clip = broad_clip(30)?;
    let Some(scene) = Scene::start(3, "")? else { return Ok(()) };
    scene.lab.set(Way::In, cap(300_000));
    let publisher = scene.publish_far(PublisherKind::Ffmpeg, &clip)?;
    let player = scene.play_near()?;
    player.wait_video(pictures, 3 * SOON)?;
    scene.serves_new_clients()?;
    compare(clip.recording(), &player.finish()?, pictures)?;
    // The stream is its own until it goes.
    let refused = scene.lab.near(|| {
        let mut other = jackfield_e2e::rtmp::Client::connect(scene.server.rtmp(), "live")?;
        Ok(other.publish(KEY.trim_start_matches("live/")).is_err())
    })?;
    ensure!(refused, "a publisher that is late was replaced");
    let [inwards, _] = scene.lab.counts();
    ensure!(inwards.overflowed > 0 || inwards.packets > 50, "{inwards:?}");
    scene.lab.set(Way::In, Weather::CLEAR);
    drop(publisher);
    scene.wait_far("publish_stop", 2 * SOON)?;
    scene.stop()
}
