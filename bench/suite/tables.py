"""The tables: rows, what each must be, and how they are written."""

import dataclasses
import re
import statistics
from typing import Callable, Optional

from .media import steps
from .measure import CALM, Sizes
from .processes import ROOT

OURS, PEER, SECOND, FLOOR = "jackfield", "nginx-rtmp", "node-media-server", "floor"
# Why a budget is missed stands there, by hand, under a heading with the figure's name: ## `first key max`
MISSES = ROOT / "docs/performance-misses.md"
# Rounds of a CPU row that lie further apart than this say so.
SPREAD = 0.15


class Figures:
    """Medians and spreads over the rounds, by server and name."""

    def __init__(self, rounds):
        self.values = {}
        for one in rounds:
            for server, figures in one.figures.items():
                for name, value in figures.items():
                    # What was measured several times in a round stands there as a list.
                    self.values.setdefault((server, name), []).extend(value if isinstance(value, list) else [value])

    def of(self, server, name):
        values = self.values.get((server, name))
        return statistics.median(values) if values else None

    def ours(self, name):
        return self.of(OURS, name)

    def peer(self, name):
        return self.of(PEER, name)

    def floor(self, name):
        return self.of(FLOOR, name)

    def most(self, server, name):
        """The greatest that was measured, of which there must be one."""
        return max(self.values.get((server, name)) or [None])

    def spread(self, server, name):
        """How far its rounds lie apart, as a part of their median."""
        values = self.values.get((server, name), [])
        middle = statistics.median(values) if values else 0
        return (max(values) - min(values)) / middle if middle > 0 else 0

    def text(self, server, name, of_cpu=False):
        values = self.values.get((server, name))
        if not values:
            return "–"
        middle, spread = shown(statistics.median(values)), self.spread(server, name)
        wide = f"; **{100 * spread:.0f} % apart**" if of_cpu and spread > SPREAD else ""
        return middle if len(values) == 1 else f"{middle} ({shown(min(values))}–{shown(max(values))}{wide})"


@dataclasses.dataclass
class Row:
    """A line: what is measured, by which part, and what it must be."""

    part: str
    title: str
    figure: str
    must: str = ""
    met: Optional[Callable] = None
    beside: Optional[str] = None  # the others' figure, if it has another name
    floor: Optional[str] = None  # the floor's figure
    cpu: bool = False
    base: Optional[str] = None  # our own figure that its budget is a multiple of

    def figure_of(self, server):
        return {OURS: self.figure, FLOOR: self.floor}.get(server, self.beside or self.figure)

    def state(self, figures):
        """Whether its budget is met: `yes`, `no`, `not measured`; nothing where there is none."""
        if self.met is None:
            return ""
        try:
            return "yes" if self.met(figures) else "no"
        except TypeError:  # a figure is missing
            return "not measured"

    def verdict(self, figures, explained):
        state = self.state(figures)
        if state != "no":
            return state
        if self.figure not in explained:
            return "**no**, not explained"
        return f"**no**: [why]({MISSES.name}#{self.figure.lower().replace(' ', '-')})"


@dataclasses.dataclass
class Table:
    title: str
    rows: list
    # Whom ours is compared with; those who have no figure in it are left out.
    columns: tuple = (PEER, SECOND, FLOOR)
    # Of how the columns are headed otherwise.
    heads: dict = dataclasses.field(default_factory=dict)

    def text(self, figures, parts, explained):
        rows = [row for row in self.rows if row.part in parts]
        if not rows:
            return ""
        others = [server for server in self.columns if any(figures.of(server, row.figure_of(server)) is not None for row in rows)]
        heads = [self.heads.get(OURS, OURS)] + [head for server in others for head in (self.heads.get(server, server), "ratio")]
        lines = [f"| | {' | '.join(heads)} | must | met |", "|---" * (len(heads) + 3) + "|"]
        for row in rows:
            cells = [row.title, figures.text(OURS, row.figure, row.cpu)]
            for server in others:
                name = row.figure_of(server)
                cells += [figures.text(server, name, row.cpu), ratio(figures.ours(row.figure), figures.of(server, name))]
            lines.append(f"| {' | '.join([*cells, row.must, row.verdict(figures, explained)])} |")
        return f"## {self.title}\n\n" + "\n".join(lines)


def ratio(ours, other):
    return f"{ours / other:.2f}" if ours is not None and other and other > 0 else "–"


def shown(value):
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def at_most(figure, limit):
    return lambda f: f.ours(figure) <= limit


def at_least(figure, limit):
    return lambda f: f.ours(figure) >= limit


def by_floor(figure, floor, more):
    return lambda f: f.ours(figure) <= f.floor(floor) + more


def cpu_met(f):
    floor, peer, ours = f.floor("cpu"), f.peer("cpu"), f.ours("cpu")
    if abs(f.ours("cpu writes") / f.floor("cpu writes") - 1) > 0.05:
        return False  # a floor of another number of writes is none
    return ours <= 1.3 * floor and (ours <= 0.5 * peer or (floor > 0.45 * peer and ours <= 1.1 * floor))


FAN_OUT = [
    Row("fan-out", "CPU per viewer-minute at 200 viewers, CPU-ms", "cpu", "≤ 0.5 × nginx-rtmp, or ≤ 1.1 × a floor over 0.45 × nginx-rtmp; ≤ 1.3 × floor", cpu_met, floor="cpu", cpu=True),
    Row("batches", "CPU per viewer-minute with `max_latency_ms = 350`, CPU-ms", "cpu 350", "≤ 0.25 × nginx-rtmp", lambda f: f.ours("cpu 350") <= 0.25 * f.peer("cpu"), beside="cpu", floor="cpu 350", cpu=True),
    Row("fan-out", "writes per viewer and second", "cpu writes", floor="cpu writes"),
    Row("batches", "writes per viewer and second with `max_latency_ms = 350`", "cpu 350 writes", beside="cpu writes", floor="cpu 350 writes"),
    Row("fan-out", "latency of video, 200 viewers, p50, ms", "latency p50", "≤ 10", at_most("latency p50", 10)),
    Row("fan-out", "latency of video, 200 viewers, p99, ms", "latency p99", "≤ 20", at_most("latency p99", 20)),
    Row("fan-out", "latency of audio, 200 viewers, p99, ms", "audio p99", "≤ 40", at_most("audio p99", 40)),
    Row("latency", "latency of video, 5 viewers, p50, ms", "few p50", "≤ 0.3", at_most("few p50", 0.3), floor="few p50"),
    Row("latency", "latency of video, 5 viewers, p99, ms", "few p99", floor="few p99"),
    Row("arrivals", "connect to first key frame, 100 arrivals, p50, ms", "first key p50", "≤ 0.7", at_most("first key p50", 0.7), floor="first key p50"),
    Row("arrivals", "connect to first key frame, 100 arrivals, max, ms", "first key max", "≤ 3", at_most("first key max", 3), floor="first key max"),
    Row("publish", "connect to Publish.Start, no hook, p50, ms", "publish p50", "≤ 1", at_most("publish p50", 1)),
    Row("publish", "connect to Publish.Start, no hook, max, ms", "publish max"),
    Row("memory", "memory per viewer at 1,000 viewers, KiB", "memory", "≤ 12 and ≤ 1.1 × nginx-rtmp", lambda f: f.ours("memory") <= min(12, 1.1 * f.peer("memory"))),
    Row("ingest", "ingest of one stream, CPU-ms per minute", "ingest", "≤ 0.8 × nginx-rtmp", lambda f: f.ours("ingest") <= 0.8 * f.peer("ingest"), cpu=True),
    Row("ingest-24", "ingest of 24 streams, CPU-ms per minute", "ingest 24", "≤ 24 × one", lambda f: f.ours("ingest 24") <= 24 * f.ours("ingest"), cpu=True),
    Row("slow-viewers", "3 of 6 viewers at 300 kbit/s: frames/s of the others", "slow others fps", "≥ 29.5", at_least("slow others fps", 29.5)),
    Row("slow-viewers", "3 of 6 viewers at 300 kbit/s: latency of the others, p99, ms", "slow others p99"),
    Row("slow-viewers", "3 of 6 viewers at 300 kbit/s: growth, MiB", "slow growth", "≤ 2", at_most("slow growth", 2)),
]

HOOKS = [
    Row("publish", "added by a blocking webhook, p50, ms", "hooked p50", "≤ 0.2", at_most("hooked p50", 0.2), floor="hooked p50"),
    Row("publish", "added by a blocking webhook, p99, ms", "hooked p99", "≤ 0.5", at_most("hooked p99", 0.5), floor="hooked p99"),
    Row("publish", "added by a blocking worker (Python), p50, ms", "worked p50", "≤ 0.12", at_most("worked p50", 0.12), beside="hooked p50", floor="worked p50"),
    Row("publish", "added by a blocking worker (Python), p99, ms", "worked p99", "≤ 0.3", at_most("worked p99", 0.3), beside="hooked p99", floor="worked p99"),
    Row("programs", "added by a program (static C), p50, ms", "program p50", "≤ floor + 0.3", by_floor("program p50", "ran p50", 0.3), floor="ran p50"),
    Row("programs", "added by a program (static C) by a server of 4 GB, p50, ms", "program 4 GB p50", "≤ floor + 0.3", by_floor("program 4 GB p50", "ran p50", 0.3), floor="ran p50"),
    Row("publish", "added by a program (dash), p50, ms", "shell p50", "≤ floor + 0.3", by_floor("shell p50", "shell p50", 0.3), floor="shell p50"),
    Row("publish", "added by a program (Python), p50, ms", "python p50", "≤ floor + 0.3", by_floor("python p50", "python p50", 0.3), floor="python p50"),
    Row("crowd", "20 publishers at once, a hook of 1 s each, last one, ms", "crowd max", "≤ 1050", at_most("crowd max", 1050)),
    Row("crowd", "first key frame of others meanwhile, max, ms", "crowd others max", "≤ 3", at_most("crowd others max", 3)),
    Row("ten-hooks", "CPU per viewer-minute with ten event hooks, CPU-ms", "cpu ten hooks", "≤ 1.02 × without", lambda f: f.ours("cpu ten hooks") <= 1.02 * f.ours("cpu"), cpu=True),
    *(
        Row(
            "notices", f"notices through one worker ({language}), each second (more is better)", f"notices {language}", "≥ 0.5 × floor",
            lambda f, name=f"notices {language}": f.ours(name) >= 0.5 * f.floor(name), floor=f"notices {language}",
        )
        for language in ("Python", "node")
    ),
]


def beside_calm(title, what, must="", met=None):
    return Row("slow-hook", title, f"flood {what}", must, met)


def unmoved(what):
    name = f"flood {what}"
    # Half of what takes a fraction of a millisecond is chance.
    return "≤ 1.2 × without, or 0.1 ms more", lambda f: f.ours(name) <= max(1.2 * f.of(CALM, name), f.of(CALM, name) + 0.1)


SLOW_HOOK = [
    beside_calm("notices offered, each second", "rate", "≥ 10,000", at_least("flood rate", 10_000)),
    beside_calm("CPU of the server for one of them, its connection's part and the media included, CPU-µs", "cpu"),
    beside_calm("latency of video, 5 viewers, p50, ms", "media p50", *unmoved("media p50")),
    beside_calm("latency of video, 5 viewers, p99, ms", "media p99"),
    beside_calm("a worker's decision, p50, ms", "decision p50", *unmoved("decision p50")),
    beside_calm("a worker's decision, p99, ms", "decision p99"),
    beside_calm("a notice to another hook, p50, ms", "notice p50", *unmoved("notice p50")),
    beside_calm("a notice to another hook, p99, ms", "notice p99"),
    # What it has not got waits on disk; 1,000 of them wait in its queue, of which 4 KiB is a large one.
    beside_calm("growth of memory, MiB", "growth", "≤ 4 more than without", lambda f: f.ours("flood growth") <= f.of(CALM, "flood growth") + 4),
    beside_calm("events that the slow hook was told it has missed", "missed", "0", at_most("flood missed", 0)),
]


def with_outbox(title, figure, must="", met=None, **more):
    return Row("outbox", title, figure, must, met, **more)


def no_more(figure):
    """The median may not lie above all that was measured without."""
    return "no more: within what it is without", lambda f: f.ours(figure) <= f.most(CALM, figure)


def while_told(title, what, beside):
    """Latency while notices are told; without an outbox the same, or at rest."""
    p50, p99, lost = (f"{what} {figure}" for figure in ("p50", "p99", "lost"))
    return [
        with_outbox(f"{title}: latency of video, p50, ms", p50, beside=beside and f"{beside} p50"),
        with_outbox(f"{title}: latency of video, p99, ms", p99, "≤ 20", at_most(p99, 20), beside=beside and f"{beside} p99"),
        with_outbox(f"{title}: frames lost", lost, "0", at_most(lost, 0)),
    ]


def outbox(sizes):
    """What the outbox takes from the media, at rest and while notices are told."""
    steady = f"{sizes.steady_rate:,} notices a second to a worker and a webhook"
    stored, burst = f"{sizes.burst_rate:,} notices a second to nobody", f"{sizes.burst_rate:,} to a worker and a webhook, which are left behind"
    return [
        with_outbox("latency of video, 200 viewers, p50, ms", "outbox p50", *no_more("outbox p50")),
        with_outbox("latency of video, 200 viewers, p99, ms", "outbox p99", *no_more("outbox p99")),
        with_outbox("latency of audio, 200 viewers, p99, ms", "outbox audio p99"),
        with_outbox("CPU per viewer-minute, the publisher's part included, CPU-ms", "outbox cpu", *no_more("outbox cpu"), cpu=True),
        *while_told(steady, "steady", None),
        with_outbox(f"{steady}: answered by both, 10 s after the last at most, %", "steady delivered", "100", at_least("steady delivered", 100)),
        *while_told(stored, "stored", "outbox"),
        with_outbox(f"{stored}: stored each second (more is better)", "stored each second", "≥ 50,000", at_least("stored each second", 50_000)),
        with_outbox(f"{stored}: of these lost", "stored missing", "0", at_most("stored missing", 0)),
        *while_told(burst, "burst", "outbox"),
        with_outbox(f"{burst}: stored each second (more is better)", "burst each second", "≥ 50,000", at_least("burst each second", 50_000)),
        with_outbox(f"{burst}: of these lost", "burst missing", "0", at_most("burst missing", 0)),
        with_outbox(f"{burst}: answered by both each second meanwhile (more is better)", "burst delivered"),
    ]


def growth(sizes):
    """The cost of a viewer over the number of viewers: on average, and of one more."""
    first = next(viewers for viewers in sizes.marginal if viewers >= 50)
    rows = []

    def row(title, name, base):
        met = None if name == base else lambda f: f.ours(name) <= 1.2 * f.ours(base)
        must = f"≤ 1.2 × that at {first:,}" if met else ""
        rows.append(Row("marginal", title, name, must, met, cpu=True, base=base))

    for viewers in sizes.marginal:
        if viewers >= first:
            row(f"CPU per viewer-minute at {viewers:,} viewers, CPU-ms", f"marginal {viewers}", f"marginal {first}")
    for fewer, more in steps(sizes):
        row(f"CPU-ms a minute for one more viewer, between {fewer:,} and {more:,}", f"one more {more}", f"one more {first}")
    return rows


def long_run(sizes):
    """So many viewers at full rate for minutes, by the load tool's own verification."""
    viewers = sizes.long_viewers
    return [
        Row("long", "CPU of the server, % of a core", "long cpu", "≤ 100", at_most("long cpu", 100)),
        Row("long", "viewers that are there at the end", "long live", f"{viewers:,}", at_least("long live", viewers)),
        Row("long", "rate of the slowest of all, % of what was published", "long slowest", "≥ 99", at_least("long slowest", 99)),
        Row("long", "frames/s of the slowest of those that are checked", "long fps", "≥ 29.9", at_least("long fps", 29.9)),
        Row("long", "frames checked, each by its payload and place", "long checked", "more than none", lambda f: f.ours("long checked") > 0),
        Row("long", "of these lost, wrong or back in time", "long lost", "0", at_most("long lost", 0)),
        Row("long", "latency of video, p99, ms", "long latency p99"),
        Row("long", "CPU of the load tool, % of its core", "long load", "≤ 90", at_most("long load", 90)),
    ]


def all_tables(sizes):
    found = [
        Table("Fan-out", FAN_OUT),
        Table("How the cost of a viewer grows", growth(sizes)),
        Table(f"{sizes.long_viewers:,} viewers for {sizes.long_seconds:.0f} s", long_run(sizes)),
        Table("Hooks", HOOKS),
        Table("10,000 notices a second and a slow hook", SLOW_HOOK, (CALM,), {OURS: "with a hook that takes 1 s"}),
        Table("The outbox beside the media", outbox(sizes), (CALM,), {OURS: "with the outbox"}),
    ]
    # Figures have one name space.
    figures = [row.figure for table in found for row in table.rows]
    twice = {figure for figure in figures if figures.count(figure) > 1}
    assert not twice, f"two rows would show the same figure: {twice}"
    return found


def explained_misses():
    """The figures whose miss is explained."""
    text = MISSES.read_text() if MISSES.exists() else ""
    return set(re.findall(r"^## `([^`\n]+)`", text, re.MULTILINE))


def tables(sizes, parts, figures):
    """All tables of these parts, as Markdown."""
    explained = explained_misses()
    texts = [table.text(figures, parts, explained) for table in all_tables(sizes)]
    return "\n\n".join(text for text in texts if text)


def remarks(sizes, parts, figures):
    """What must not be overlooked: misses, budgets without a figure, CPU rows whose rounds lie apart, explanations of no miss."""
    rows = [row for table in all_tables(sizes) for row in table.rows if row.part in parts]
    states = {row.figure: row.state(figures) for row in rows}
    explained = explained_misses()
    told = [
        f"missed: {row.title}" + ("" if row.figure in explained else f"; {MISSES.name} has no section `{row.figure}`")
        for row in rows if states[row.figure] == "no"
    ]
    told += [f"not measured: {row.title}" for row in rows if states[row.figure] == "not measured"]
    servers = sorted({server for server, _name in figures.values})
    for row in rows:
        for server in servers:
            spread = figures.spread(server, row.figure_of(server)) if row.cpu else 0
            if spread > SPREAD:
                told.append(f"{server}: rounds are {100 * spread:.0f} % apart: {row.title}")
    told += [f"explained but met: `{figure}`" for figure in sorted(explained) if states.get(figure) == "yes"]
    known = {row.figure for some in (sizes, Sizes()) for table in all_tables(some) for row in table.rows}
    told += [f"{MISSES.name} explains no row: `{figure}`" for figure in sorted(explained - known)]
    return list(dict.fromkeys(told))
