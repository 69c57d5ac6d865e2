"""The tables: rows, what each must be, and the page that they are written to."""

import dataclasses
import datetime
import os
import pathlib
import re
import statistics
import subprocess
from typing import Callable, Optional

from .processes import LOAD_CORE, ROOT, SERVER_CORE


class Figures:
    """Medians and spreads over the rounds, by server and name."""

    def __init__(self, rounds):
        self.values = {}
        for one in rounds:
            for server, figures in one.figures.items():
                for name, value in figures.items():
                    self.values.setdefault((server, name), []).append(value)

    def of(self, server, name):
        values = self.values.get((server, name))
        return statistics.median(values) if values else None

    def ours(self, name):
        return self.of("jackfield", name)

    def peer(self, name):
        return self.of("nginx-rtmp", name)

    def floor(self, name):
        return self.of("floor", name)

    def text(self, server, name):
        values = self.values.get((server, name))
        if not values:
            return "–"
        middle = shown(statistics.median(values))
        return middle if len(values) == 1 else f"{middle} ({shown(min(values))}–{shown(max(values))})"


@dataclasses.dataclass
class Row:
    title: str
    figure: str
    must: str = ""
    met: Optional[Callable] = None
    beside: Optional[str] = None  # the peer's figure, if it has another name
    floor: Optional[str] = None  # the floor's figure

    def cells(self, figures):
        ours, peer, floor = figures.ours(self.figure), figures.peer(self.beside or self.figure), figures.floor(self.floor)
        return [
            self.title, figures.text("jackfield", self.figure), figures.text("nginx-rtmp", self.beside or self.figure),
            ratio(ours, peer), figures.text("floor", self.floor), ratio(ours, floor), self.must, self.verdict(figures),
        ]

    def verdict(self, figures):
        if self.met is None:
            return ""
        try:
            return "yes" if self.met(figures) else "**no**"
        except TypeError:
            return "not measured"


def ratio(ours, other):
    return f"{ours / other:.2f}" if ours is not None and other and other > 0 else "–"


def shown(value):
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def at_most(figure, limit):
    return lambda f: f.ours(figure) <= limit


def against_peer(figure, share):
    return lambda f: f.ours(figure) <= share * f.peer(figure)


def cpu_met(f):
    floor, peer, ours = f.floor("cpu"), f.peer("cpu"), f.ours("cpu")
    return ours <= 1.3 * floor and (ours <= 1.1 * floor if floor > 0.45 * peer else ours <= 0.5 * peer)


FAN_OUT = [
    Row("CPU per viewer-minute, marginal, at 200 viewers, CPU-ms", "cpu", "≤ 0.5 × nginx-rtmp, or ≤ 1.1 × a floor over 0.45 × nginx-rtmp; ≤ 1.3 × floor", cpu_met, floor="cpu"),
    Row("the same with `max_latency_ms = 350`", "cpu 350", "≤ 0.25 × nginx-rtmp", lambda f: f.ours("cpu 350") <= 0.25 * f.peer("cpu"), beside="cpu", floor="cpu 350"),
    Row("writes per viewer and second", "cpu writes", beside="–"),
    Row("latency of video, 200 viewers, p50, ms", "latency p50", "≤ 10", at_most("latency p50", 10)),
    Row("latency of video, 200 viewers, p99, ms", "latency p99", "≤ 20", at_most("latency p99", 20)),
    Row("latency of audio, 200 viewers, p99, ms", "audio p99", "≤ 40", at_most("audio p99", 40)),
    Row("latency of video, 5 viewers, p50, ms", "few p50", "≤ 0.3", at_most("few p50", 0.3)),
    Row("latency of video, 5 viewers, p99, ms", "few p99"),
    Row("connect to first key frame, 100 arrivals, p50, ms", "first key p50", "≤ 0.7", at_most("first key p50", 0.7)),
    Row("connect to first key frame, 100 arrivals, max, ms", "first key max", "≤ 3", at_most("first key max", 3)),
    Row("connect to Publish.Start, no hook, p50, ms", "publish p50", "≤ 1", at_most("publish p50", 1)),
    Row("connect to Publish.Start, no hook, max, ms", "publish max"),
    Row("memory per viewer at 1,000 viewers, KiB", "memory", "≤ 12 and ≤ 1.1 × nginx-rtmp", lambda f: f.ours("memory") <= min(12, 1.1 * f.peer("memory"))),
    Row("ingest of one stream, CPU-ms per minute", "ingest", "≤ 0.8 × nginx-rtmp", against_peer("ingest", 0.8)),
    Row("ingest of 24 streams, CPU-ms per minute", "ingest 24", "≤ 24 × one", lambda f: f.ours("ingest 24") <= 24 * f.ours("ingest")),
    Row("3 of 6 viewers at 300 kbit/s: growth, MiB", "slow growth", "≤ 2", at_most("slow growth", 2)),
]

HOOKS = [
    Row("added by a blocking webhook, p50, ms", "hooked p50", "≤ 0.2", at_most("hooked p50", 0.2), floor="hooked p50"),
    Row("added by a blocking webhook, p99, ms", "hooked p99", "≤ 0.5", at_most("hooked p99", 0.5), floor="hooked p99"),
    Row("added by a blocking worker (Python), p50, ms", "worked p50", "≤ 0.12", at_most("worked p50", 0.12), beside="hooked p50", floor="worked p50"),
    Row("added by a blocking worker (Python), p99, ms", "worked p99", "≤ 0.3", at_most("worked p99", 0.3), beside="hooked p99", floor="worked p99"),
    Row("added by a program (static C), p50, ms", "program p50", "≤ floor + 0.3", lambda f: f.ours("program p50") <= f.floor("ran p50") + 0.3, beside="–", floor="ran p50"),
    Row("the same by a server of 4 GB", "program 4 GB p50", "≤ floor + 0.3", lambda f: f.ours("program 4 GB p50") <= f.floor("ran p50") + 0.3, beside="–", floor="ran p50"),
    Row("added by a program (dash), p50, ms", "shell p50", "≤ floor + 0.3", lambda f: f.ours("shell p50") <= f.floor("shell p50") + 0.3, beside="–", floor="shell p50"),
    Row("20 publishers at once, a hook of 1 s each, last one, ms", "crowd max", "≤ 1050", at_most("crowd max", 1050)),
    Row("first key frame of others meanwhile, max, ms", "crowd others max", "≤ 3", at_most("crowd others max", 3)),
    Row("CPU per viewer-minute with ten event hooks, CPU-ms", "cpu ten hooks", "≤ 1.02 × without", lambda f: f.ours("cpu ten hooks") <= 1.02 * f.ours("cpu"), beside="–"),
]


def growth(sizes):
    """The cost of a viewer over the number of viewers."""
    rows = []
    for viewers in sizes.marginal:
        name = f"marginal {viewers}"
        met = None if viewers == sizes.marginal[0] else lambda f, name=name: f.ours(name) <= 1.2 * f.ours(f"marginal {sizes.marginal[0]}")
        rows.append(Row(f"CPU per viewer-minute at {viewers} viewers, CPU-ms", name, f"≤ 1.2 × that at {sizes.marginal[0]}" if met else "", met))
    if sizes.long_seconds:
        what = f"{sizes.long_viewers} viewers for {sizes.long_seconds:.0f} s"
        rows += [
            Row(f"{what}: CPU of the server, % of a core", "long cpu", "≤ 100", at_most("long cpu", 100), beside="–"),
            Row(f"{what}: the slowest viewer's rate, % of the median", "long slowest", "≥ 99, no frame lost", lambda f: f.ours("long slowest") >= 99, beside="–"),
            Row(f"{what}: latency of video, p99, ms", "long latency p99", beside="–"),
        ]
    return rows


def table(rows, figures):
    lines = ["| | jackfield | nginx-rtmp | ratio | floor | ratio | must | met |", "|---|---|---|---|---|---|---|---|"]
    return "\n".join(lines + [f"| {' | '.join(row.cells(figures))} |" for row in rows])


def tables(sizes, figures):
    parts = [("Fan-out", FAN_OUT), ("Many viewers", growth(sizes)), ("Hooks", HOOKS)]
    return "\n\n".join(f"## {title}\n\n{table(rows, figures)}" for title, rows in parts)


def machine(load_average):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    return (
        f"{os.cpu_count()} cores, {cpu.group(1) if cpu else 'unknown'}; {system.group(1) if system else ''}, "
        f"Linux {os.uname().release}; load average at the start {load_average}"
    )


def page(rounds, sizes, servers, text, load_average, encode):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    versions = "\n".join(f"- {server.name}: {server.version()}" for server in servers)
    play = f"rtmp_load play URL/live/s --flv 720p30.flv --check 20 --warm {sizes.warm:.0f} --secs {sizes.seconds:.0f} --pid SERVER"
    return f"""# Performance

Written by `make bench` on {datetime.date.today()} at commit {commit}: medians of {rounds} rounds, with the least and the greatest in
brackets; in each round the servers one after the other, each alone on core {SERVER_CORE}, the load on core {LOAD_CORE}, over loopback. A ratio below 1
is better than nginx-rtmp; the floor is a program that does that one thing and no other. `bench/README.md` says what each row means;
absolute numbers depend on the machine, ratios much less. Instruction counts of the hot paths stand in `bench/instructions.json`.

{text}

- machine: {machine(load_average)}
{versions}

```
{encode} 720p30.flv
{play} --n 200        (5, 50, 500, 1000, 2000; {sizes.long_viewers} with --secs {sizes.long_seconds:.0f})
rtmp_load publish URL/live/s{{i}} --flv 720p30.flv --n 24; rtmp_load cpu --pid SERVER --secs {sizes.seconds:.0f}
rtmp_load play URL/live/s --flv 720p30.flv --n 100 --ramp-ms {sizes.arrival_ms} --leave
rtmp_load pubtime URL/live/p{{i}} --count {sizes.publishes} --gap-ms {sizes.gap_ms}       (and with a hook)
rtmp_load pubtime URL/slow/p{{i}} --count 20 --parallel; rtmp_load hook --delay-ms 1000
rtmp_load floor --flv 720p30.flv --n 200 [--batch-ms 350]; rtmp_load play FLOOR/live/s --raw --n 200
rtmp_load askfloor --url RECEIVER | --worker WORKER | --run PROGRAM
```
"""
