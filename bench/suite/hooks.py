"""What is measured of hooks: what they add to a decision, how many notices they take, and what a slow one does to the rest."""

import json
import statistics
import subprocess
import time

from .measure import CALM, Target, scratch
from .processes import CLIP, HOT_PATHS, LEAD_SECONDS, LOAD_CORE, SERVER_CORE, TOOL, Failed, WrongAnswer, cpu_per_minute, load, parsed, pinned, play, publishing, receiver
from .programs import hook_programs, pipelined
from .servers import cpu_seconds, floor, others_and_slow, relay, resident_bytes


def publish(round, at):
    """Without a hook, and with each kind of hook that decides."""

    def timed(app):
        count, gap = round.sizes.publishes, round.sizes.gap_ms
        load("pubtime", f"{at.url}/{app}/warm{{i}}", "--count", 5, "--gap-ms", gap)
        result = load("pubtime", f"{at.url}/{app}/p{{i}}", "--count", count, "--gap-ms", gap)
        return round.keep(at.name, f"pubtime {app}", result)

    plain = timed("live")
    round.note(at.name, {"publish p50": plain["total_ms"]["p50"], "publish max": plain["total_ms"]["max"]})
    for app in at.server.hooked:
        answer = timed(app)["publish_answer_ms"]
        round.note(at.name, {f"{app} {point}": answer[point] - plain["publish_answer_ms"]["p50"] for point in ("p50", "p99")})


def crowd(round, at):
    """Twenty publishers at once whose hook takes 1 s, while others begin to watch another stream."""
    with publishing(at.folder, f"{at.url}/live/calm"):
        finish = begin("pubtime", f"{at.url}/slow/p{{i}}", "--count", 20, "--parallel")
        time.sleep(0.1)
        others = load("play", f"{at.url}/live/calm", "--n", 10, "--ramp-ms", 70, "--leave", "--timeout", 10)
        result = finish()
    round.keep(at.name, "20 publishers", {**result, "others": others})
    if result["total_ms"]["n"] != 20:
        raise Failed(f"{result['total_ms']['n']} of 20 publishers were let in")
    round.note(at.name, {"crowd max": result["total_ms"]["max"], "crowd others max": others["first_key_ms"]["max"]})


def programs(figure):
    """What a program adds that is started for each question."""

    def measure(round, at):
        count = ["--count", round.sizes.publishes, "--gap-ms", round.sizes.gap_ms]
        plain = load("pubtime", f"{at.url}/live/p{{i}}", *count)["publish_answer_ms"]["p50"]
        result = round.keep(at.name, f"pubtime {figure}", load("pubtime", f"{at.url}/ran/p{{i}}", *count))
        round.note(at.name, {f"{figure} p50": result["publish_answer_ms"]["p50"] - plain})

    return measure


def begin(*arguments):
    """Starts the load tool; calling the result waits for what it says."""
    process = subprocess.Popen(pinned(LOAD_CORE, TOOL, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish():
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return parsed(arguments, subprocess.CompletedProcess(process.args, process.returncode, out, err))

    return finish


# --- notices -----------------------------------------------------------------------------------------------------------


def notices(round, server):
    """Bus, engine and transport in one process that makes facts as fast as they are taken; the worker on the other core."""
    with scratch() as folder:
        for language, command in pipelined(folder).items():
            words = pinned(SERVER_CORE, HOT_PATHS, "notices", round.sizes.notices, *pinned(LOAD_CORE, *command))
            done = subprocess.run(words, capture_output=True, text=True, timeout=120)
            if done.returncode:
                raise Failed(f"hot_paths notices: {done.stderr.strip()[-500:]}")
            result = round.keep(server.name, f"notices {language}", json.loads(done.stdout))
            round.note(server.name, {f"notices {language}": result["per_s"]})
            round.note("floor", {f"notices {language}": result["floor_per_s"]})


def slow_hook(round, server):
    """A flood of connections: first with hooks that take what they get, then with one more that takes a second for each."""
    for name, slow in ((CALM, False), (server.name, True)):
        with scratch() as folder, server.start(folder, others_and_slow(folder, slow)) as (url, pid):
            at = Target(server, folder, url, pid)
            result = round.keep(name, "flood", flooded(round.sizes, at))
            round.note(name, {f"flood {figure}": value for figure, value in result.items()})
            if slow:
                round.note(server.name, missed(at))


def flooded(sizes, at):
    """What 5 viewers, a decision and a notice go through while connections come and go."""
    # The first of them start their workers, and warm the server.
    load("pubtime", f"{at.url}/live/warm{{i}}", "--count", 20, "--gap-ms", 5)
    warm = load("flood", f"{at.url}/live/none", "--rate", sizes.flood_rate, "--secs", 1)
    (at.folder / "delays").write_text("")
    before = resident_bytes(at.pid)
    watching = begin("play", f"{at.url}/live/media", "--n", 5, "--check", 5, "--flv", CLIP, "--warm", 1, "--secs", sizes.short_seconds)
    time.sleep(LEAD_SECONDS + 0.5)
    cpu = cpu_seconds(at.pid)
    flooding = begin("flood", f"{at.url}/live/none", "--rate", sizes.flood_rate, "--secs", sizes.short_seconds + 1)
    publishers = int(sizes.short_seconds * 1000 / 25)
    asking = begin("pubtime", f"{at.url}/live/p{{i}}", "--count", publishers, "--gap-ms", 20)
    flood, asked = flooding(), asking()
    cpu = cpu_seconds(at.pid) - cpu
    growth = (resident_bytes(at.pid) - before) / 1024**2
    media = watching()
    wrong = {name: media[name] for name in ("frames_lost", "frames_wrong", "ts_backwards") if media[name]}
    if wrong:
        raise WrongAnswer(f"media during the flood: {wrong}")
    delays = sorted(map(float, (at.folder / "delays").read_text().split()))
    if not delays:
        raise WrongAnswer("the hook that takes what it gets was told nothing")
    return {
        # Those that measure are connections as well.
        "offered": 3 * (warm["connections"] + flood["connections"] + 20 + publishers + 6), "rate": 3 * flood["per_s"], "cpu": cpu * 1e6 / (3 * flood["connections"]), "growth": growth,
        "media p50": media["latency_ms"]["p50"], "media p99": media["latency_ms"]["p99"],
        "decision p50": asked["publish_answer_ms"]["p50"], "decision p99": asked["publish_answer_ms"]["p99"],
        "notice p50": statistics.median(delays), "notice p99": delays[int(0.99 * (len(delays) - 1))],
    }


def missed(at):
    """How many events the slow hook was told that it has missed: none, all that it has not got yet waits in the log."""
    time.sleep(2.5)  # every worker has begun another one since the flood
    told = [int(line) for line in (at.folder / "missed").read_text().split()]
    if not told:
        raise WrongAnswer("the slow hook was told nothing")
    return {"flood missed": sum(told)}


# --- floors ------------------------------------------------------------------------------------------------------------


def floors(round):
    """The least that each of these could cost, by programs that do nothing else."""
    def broadcast(figure, batch_ms):
        with scratch() as folder, floor(folder, 200, batch_ms) as (url, pid):
            options = {"publish": False, "raw": True, "check": 0, "warm": round.sizes.warm}
            result = round.keep("floor", figure, play(url, 200, round.sizes.seconds, pid, **options))
            round.note("floor", {figure: cpu_per_minute(result) * 1000 / 200, f"{figure} writes": result["segments_per_s"]["p50"]})

    def asking(folder, app, *how):
        # On the server's core, where the server asks from, and as seldom.
        result = round.keep("floor", f"ask {app}", load("askfloor", *how, "--count", round.sizes.publishes, "--gap-ms", round.sizes.gap_ms, core=SERVER_CORE))
        round.note("floor", {f"{app} {point}": result["ask_ms"][point] for point in ("p50", "p99")})

    def relayed(what, *options):
        with scratch() as folder, relay(folder) as address:
            return round.keep("floor", what, load("relayed", address, "--flv", CLIP, *options))

    def few():
        result = relayed("relay to 5", "--n", 5, "--secs", round.sizes.short_seconds)["latency_ms"]
        round.note("floor", {f"few {point}": result[point] for point in ("p50", "p99")})

    def arrivals():
        result = relayed("arrivals", "--n", 0, "--arrivals", 100, "--gap-ms", round.sizes.arrival_ms)["first_key_ms"]
        round.note("floor", {f"first key {point}": result[point] for point in ("p50", "max")})

    for part, measure in (("latency", few), ("arrivals", arrivals)):
        if part in round.parts:
            round.step("floor", part, measure)
    for part, figure, batch_ms in (("fan-out", "cpu", 0), ("batches", "cpu 350", 350)):
        if part in round.parts:
            round.step("floor", part, lambda: broadcast(figure, batch_ms))
    if "publish" in round.parts:
        with scratch() as folder, receiver(folder) as hook:
            commands = hook_programs(folder)
            for app, *how in (
                ("hooked", "--url", hook), ("worked", "--worker", " ".join(commands["worked"])),
                *((app, "--run", commands[app][0]) for app in ("ran", "shell", "python")),
            ):
                round.step("floor", "publish", lambda: asking(folder, app, *how))
