"""What the outbox takes from the media: 200 viewers of a server with and without it, at rest and while notices are told."""

import json
import time

from .hooks import begin
from .measure import CALM, scratch
from .processes import CLIP, LEAD_SECONDS, WrongAnswer, cpu_per_minute, idle, play, receiver, wait_for
from .programs import PIPELINED_PYTHON, worker

VIEWERS, RAMP_MS = 200, 2
# Calls of each hook under way at once: what the worker's hello says.
AT_ONCE = 256
# Of the latencies.
POINTS = ("p50", "p99")
# So long before the window notices are told, and as long after it.
MARGIN_SECONDS = 0.5


def name_of(server, kept):
    return server.name if kept else CALM


def at_rest(round, server):
    """With and without, in an order in which neither is always the first; nothing happens but the stream."""
    found = {True: {}, False: {}}
    for kept in (False, True, True, False):
        with scratch() as folder, server.start(folder, config(kept)) as (url, pid):
            options = {"ramp_ms": RAMP_MS, "warm": round.sizes.warm}
            result = play(f"{url}/live/outbox", VIEWERS, round.sizes.outbox_seconds, pid, **options)
        round.keep(name_of(server, kept), "outbox at rest", result)
        figures = {"outbox cpu": cpu_per_minute(result) * 1000 / VIEWERS, "outbox audio p99": result["audio_latency_ms"]["p99"]}
        for name, value in {**figures, **latencies("outbox", result)}.items():
            found[kept].setdefault(name, []).append(value)
    for kept, figures in found.items():
        round.note(name_of(server, kept), figures)


def steady(round, server):
    """The same while notices are told, stored and delivered as they come."""
    for kept in (False, True) if round.number % 2 else (True, False):
        media, told = telling(round, server, kept, round.sizes.steady_rate, hooks, wait=10)
        delivered = 100 * told["answered_by_each"] / told["told"]
        round.note(name_of(server, kept), {**latencies("steady", media), "steady delivered": delivered, "steady lost": media["frames_lost"]})


def burst(round, server):
    """And while as many are told as the outbox must take: to nobody, and to hooks that are left behind."""
    for what, listeners in (("stored", nobody), ("burst", hooks)):
        media, told = telling(round, server, True, round.sizes.burst_rate, listeners, wait=0)
        figures = {f"{what} each second": told["stored"] / told["seconds"], f"{what} missing": told["lost"], f"{what} lost": media["frames_lost"]}
        if told["answered_by_each"] is not None:
            figures[f"{what} delivered"] = told["answered_by_each"] / told["answered_after_s"]
        round.note(server.name, {**latencies(what, media), **figures})


def latencies(what, result):
    return {f"{what} {point}": result["latency_ms"][point] for point in POINTS}


def config(kept):
    # What hooks have not got at the end is known by then.
    return f'[events]\noutbox = {json.dumps(kept)}\n\n[server]\ndrain_timeout = "0s"\n\n'


def hooks(folder, receiver):
    """A worker and a webhook that are told of all, on the core of the load, where the load goes first: they might be on another machine."""
    handlers = {"worker": idle(*worker(folder, PIPELINED_PYTHON, "pipelined.py")), "url": f"http://{receiver}/"}
    return f"[hooks]\nconcurrency = {AT_ONCE}\n\n" + "".join(
        f'[[hook]]\nname = "{how}"\non = ["publish_start"]\n{how} = {json.dumps(what)}\nconcurrency = {AT_ONCE}\n' + ("max = 1\n\n" if how == "worker" else "\n")
        for how, what in handlers.items()
    )


def refuse_others(media):
    """What is late or lost is what is measured; nothing else may have come, and nobody may have gone."""
    if media["live"] != VIEWERS or media["frames_wrong"] or media["ts_backwards"]:
        raise WrongAnswer(f"{media['live']} of {VIEWERS} viewers are left; {media['frames_wrong']} frames are wrong, {media['ts_backwards']} back in time")


def nobody(_folder, _receiver):
    return ""


def telling(round, server, kept, rate, listeners, wait):
    """What viewers see while so many notices a second are told, and what became of these."""
    seconds = round.sizes.outbox_seconds
    with scratch() as folder, receiver(folder, run=idle) as hook, server.start_telling(folder, config(kept) + listeners(folder, hook)) as (url, pid, tell):
        arguments = ["--n", VIEWERS, "--ramp-ms", RAMP_MS, "--warm", round.sizes.warm, "--secs", seconds, "--check", 20, "--flv", CLIP, "--pid", pid]
        watching = begin("play", f"{url}/live/outbox", *arguments)
        time.sleep(LEAD_SECONDS + VIEWERS * RAMP_MS / 1000 + round.sizes.warm - MARGIN_SECONDS)
        figures = tell(f"{rate} {seconds + 2 * MARGIN_SECONDS} {wait}")
        media = watching()
        refuse_others(media)
        told = wait_for("figures of the notices", wait + 20, figures)
    what = f"outbox, {rate} notices a second to {listeners.__name__}"
    round.keep(name_of(server, kept), what, {**media, "notices": told})
    return media, told
