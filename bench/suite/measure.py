"""A round: the servers one after the other, each with the parts that are wanted; figures by name, in the units of the tables."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import tempfile
import time

from .processes import Failed, Void

GIB = 1 << 30
# Under this name stand the figures of our server without the slow hook.
CALM = "without"

# What can be measured by itself (`--parts`), in the order of the tables.
PARTS = {
    "fan-out": "200 viewers: CPU, latency, writes",
    "batches": "200 viewers with max_latency_ms = 350",
    "latency": "5 viewers",
    "arrivals": "connect to first key frame, 100 viewers over the group of pictures",
    "publish": "connect to Publish.Start; what a webhook, worker or program adds",
    "memory": "1,000 viewers",
    "ingest": "one publisher, no viewer",
    "ingest-24": "24 publishers at once",
    "slow-viewers": "3 of 6 viewers read at 300 kbit/s (once)",
    "marginal": "5 to 2,000 viewers: how the cost of one grows",
    "long": "2,000 viewers for minutes (once)",
    "programs": "a program for each question, by a small server and one of 4 GB",
    "crowd": "20 publishers with a hook of 1 s each",
    "ten-hooks": "200 viewers with ten event hooks",
    "notices": "notices through one worker, as many as it takes",
    "slow-hook": "10,000 notices a second to a hook that takes 1 s for each",
    "outbox": "200 viewers with and without the outbox, and while notices are told",
}
# A figure that is what is left of another part's.
NEEDS = {
    "fan-out": {"ingest"}, "batches": {"ingest", "fan-out"}, "marginal": {"ingest"}, "ten-hooks": {"ingest", "fan-out"},
    "ingest-24": {"ingest"}, "programs": {"publish"},
}
ONCE = {"slow-viewers", "long"}
# What takes too long for daily work.
NOT_QUICK = {*ONCE, "outbox"}
# What runs the server's own code within `hot_paths`.
WITHIN = {"notices", "outbox"}


def with_needs(parts):
    """These parts and what they cannot be measured without."""
    return set(parts).union(*(with_needs(NEEDS.get(part, ())) for part in parts))


@dataclasses.dataclass
class Sizes:
    """How long and how much; `quick` is for daily work and fits into three minutes."""

    seconds: float = 20
    # Of what is no matter of CPU, or of so much CPU that less time will do.
    short_seconds: float = 10
    warm: float = 2
    publishes: int = 200
    gap_ms: int = 10
    # 100 arrivals at this distance lie at 100 places of the group of 2 s.
    arrival_ms: int = 210
    memory_viewers: int = 1000
    marginal: tuple = (5, 50, 200, 500, 1000, 2000)
    long_viewers: int = 2000
    long_seconds: float = 300
    slow_seconds: float = 30
    notices: int = 100_000
    # Three events each: over 10,000 a second.
    flood_rate: int = 3500
    outbox_seconds: float = 6
    # Notices a second that both receivers take while the load tool has its core, and what `bench/outbox` tells.
    steady_rate: int = 5000
    burst_rate: int = 55_000

    @staticmethod
    def quick():
        return Sizes(
            seconds=4, short_seconds=2.5, warm=1, publishes=50, gap_ms=5, arrival_ms=50, marginal=(5, 50, 1000), slow_seconds=10,
            long_seconds=30, notices=20_000, outbox_seconds=3,
        )


@dataclasses.dataclass(frozen=True)
class Target:
    """A server that runs."""

    server: object
    folder: pathlib.Path
    url: str
    pid: int

    @property
    def name(self):
        return self.server.name


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = pathlib.Path(folder)
        path.chmod(0o755)
        yield path


class Round:
    """What one round has measured. What fails is noted, and its figures are missing; what comes after it goes on."""

    def __init__(self, sizes, parts, raw, number):
        self.sizes, self.raw, self.number = sizes, raw, number
        self.parts = set(parts) if number == 1 else set(parts) - ONCE
        self.figures = {}
        self.failures = []

    def keep(self, server, what, result):
        line = {"time": time.time(), "round": self.number, "server": server, "measurement": what, **result}
        self.raw.write(json.dumps(line) + "\n")
        self.raw.flush()
        return result

    def note(self, server, figures):
        self.figures.setdefault(server, {}).update(figures)

    def figure(self, server, name):
        """What was noted before in this round."""
        found = self.figures.get(server, {}).get(name)
        if found is None:
            raise Failed(f"`{name}` was not measured")
        return found

    def on(self, server, start, steps):
        """Starts the server and takes those of the steps that are wanted, each a part's name and its function."""
        steps = [(part, step) for part, step in steps if part in self.parts]
        if not steps:
            return
        try:
            with scratch() as folder, start(folder) as (url, pid):
                at = Target(server, folder, url, pid)
                for part, step in steps:
                    self.step(server.name, part, lambda: step(self, at))
        except Failed as error:
            self.failures.append((server.name, "start", error))

    def step(self, name, part, measure):
        """Takes one step; once more if the load tool had too much to do."""
        started = time.monotonic()
        try:
            try:
                measure()
            except Void as error:
                print(f"bench: {name}: {part}: {error}; once more", flush=True)
                measure()
        except (Failed, subprocess.TimeoutExpired) as error:
            self.failures.append((name, part, error))
        print(f"bench: round {self.number}: {name}: {part} ({time.monotonic() - started:.0f} s)", flush=True)
