"""What is measured of a server that carries media."""

import time

from .processes import Failed, cpu_per_minute, load, play, published_kbit_s, publishing, refuse_wrong_frames
from .processes import CLIP


def ingest(round, at):
    note_ingest(round, at, 1, "ingest", round.sizes.seconds)


def ingest_24(round, at):
    note_ingest(round, at, 24, "ingest 24", round.sizes.short_seconds)


def note_ingest(round, at, count, figure, seconds):
    with publishing(at.folder, f"{at.url}/live/in{{i}}", count):
        time.sleep(round.sizes.warm)
        result = round.keep(at.name, figure, load("cpu", "--pid", at.pid, "--secs", seconds))
    round.note(at.name, {figure: cpu_per_minute(result, "secs", "cpu_s", "run_s") * 1000})


def arrivals(round, at):
    arguments = ["--n", 100, "--ramp-ms", round.sizes.arrival_ms, "--leave", "--timeout", 10, "--flv", CLIP]
    result = round.keep(at.name, "arrivals", load("play", f"{at.url}/live/a", *arguments))
    if result["got_key"] != 100:
        raise Failed(f"{result['got_key']} of 100 new viewers got a key frame")
    refuse_wrong_frames(result)
    round.note(at.name, {f"first key {point}": result["first_key_ms"][point] for point in ("p50", "max")})


def latency(round, at):
    seconds = round.sizes.short_seconds
    result = round.keep(at.name, "play 5", play(f"{at.url}/live/few", 5, seconds, check=5, warm=round.sizes.warm))
    round.note(at.name, {f"few {point}": result["latency_ms"][point] for point in ("p50", "p99")})


def watch(round, at, what, viewers, seconds=None, **options):
    """So many viewers on a stream of their own. CPU-ms a minute, less that of ingest, and the raw result."""
    stream = f"{at.url}/live/{what.replace(' ', '-')}"
    result = play(stream, viewers, seconds or round.sizes.seconds, at.pid, warm=round.sizes.warm, **options)
    round.keep(at.name, f"play {what}", result)
    return cpu_per_minute(result) * 1000 - round.figure(at.name, "ingest"), result


def fan_out(round, at):
    result = note_cpu(round, at, "cpu")
    video, audio = result["latency_ms"], result["audio_latency_ms"]
    round.note(at.name, {"latency p50": video["p50"], "latency p99": video["p99"], "audio p99": audio["p99"]})


def batches(round, at):
    note_cpu(round, at, "cpu 350")


def ten_hooks(round, at):
    note_cpu(round, at, "cpu ten hooks")


def note_cpu(round, at, figure):
    cost, result = watch(round, at, figure, 200)
    round.note(at.name, {figure: cost / 200, f"{figure} writes": writes(result)})
    return result


def writes(result):
    """Segments with data that reached a viewer, each second."""
    return result["segments_per_s"]["p50"]


def memory(round, at):
    viewers = round.sizes.memory_viewers
    result = play(f"{at.url}/live/memory", viewers, round.sizes.seconds, at.pid, warm=round.sizes.warm, ramp_ms=2)
    round.keep(at.name, f"memory {viewers}", result)
    round.note(at.name, {"memory": (result["rss_kib_end"] - result["rss_kib_before"]) / viewers})
    if "marginal" in round.parts:
        note_marginal(round, at.name, viewers, cpu_per_minute(result) * 1000 - round.figure(at.name, "ingest"))


def marginal(round, at):
    for viewers in round.sizes.marginal:
        if f"marginal {viewers}" not in round.figures.get(at.name, {}):
            cost, _result = watch(round, at, f"marginal {viewers}", viewers, round.sizes.short_seconds, ramp_ms=2, check=min(viewers, 20))
            note_marginal(round, at.name, viewers, cost)
    for fewer, more in steps(round.sizes):
        costs = [round.figure(at.name, f"marginal {viewers}") * viewers for viewers in (fewer, more)]
        round.note(at.name, {f"one more {more}": (costs[1] - costs[0]) / (more - fewer)})


def note_marginal(round, name, viewers, cost):
    round.note(name, {f"marginal {viewers}": cost / viewers})


def steps(sizes):
    """Numbers of viewers that lie next to each other."""
    return list(zip(sizes.marginal, sizes.marginal[1:]))


def slow_viewers(round, at):
    """What three slow readers cost the server, and the three beside them."""
    result = round.keep(at.name, "slow viewers", play(f"{at.url}/live/slow", 6, round.sizes.slow_seconds, at.pid, check=6, slow=3))
    round.note(at.name, {
        "slow growth": (result["rss_kib_peak"] - result["rss_kib_start"]) / 1024,
        "slow others fps": result["video_fps"]["min"],
        "slow others p99": result["latency_ms"]["p99"],
    })


def long_run(round, at):
    """So many viewers at full rate for minutes. A frame lost or wrong has failed it before this."""
    viewers, seconds = round.sizes.long_viewers, round.sizes.long_seconds
    result = round.keep(at.name, "long", play(f"{at.url}/live/long", viewers, seconds, at.pid, ramp_ms=5, warm=5))
    round.note(at.name, {
        "long cpu": result["server_cpu_percent"],
        "long live": result["live"],
        "long slowest": 100 * result["kbit_s"]["min"] / published_kbit_s(),
        "long fps": result["video_fps"]["min"],
        "long checked": result["checked_frames"],
        "long lost": result["frames_lost"] + result["frames_wrong"] + result["ts_backwards"],
        "long latency p99": result["latency_ms"]["p99"],
        "long load": result["own_cpu_percent"],
    })
