"""What is measured of one server in one round: figures by name, in the units of the tables."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import tempfile
import time

from .processes import CLIP, LOAD_CORE, SERVER_CORE, TOOL, Failed, cpu_per_minute, load, parsed, pinned, play, publishing, receiver
from .servers import Jackfield, Nginx, floor, hook_programs

GIB = 1 << 30


@dataclasses.dataclass
class Sizes:
    """How long and how much; `quick` is for daily work and fits into three minutes."""

    seconds: float = 20
    warm: float = 3
    publishes: int = 200
    gap_ms: int = 10
    # 100 arrivals at this distance lie at 100 places of the group of 2 s.
    arrival_ms: int = 210
    memory_viewers: int = 1000
    marginal: tuple = (50, 200, 500, 1000, 2000)
    long_viewers: int = 2000
    long_seconds: float = 300
    slow_seconds: float = 30

    @staticmethod
    def quick():
        return Sizes(seconds=4, warm=1.5, publishes=50, gap_ms=5, arrival_ms=70, marginal=(50, 1000), long_seconds=0, slow_seconds=0)


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = pathlib.Path(folder)
        path.chmod(0o755)
        yield path


class Round:
    """One round. What fails is noted, and its figures are missing; what comes after it goes on."""

    def __init__(self, sizes, raw, number):
        self.sizes, self.raw, self.number = sizes, raw, number
        self.figures = {}
        self.failures = []

    def keep(self, server, what, result):
        line = {"time": time.time(), "round": self.number, "server": server, "measurement": what, **result}
        self.raw.write(json.dumps(line) + "\n")
        self.raw.flush()
        return result

    def note(self, server, figures):
        self.figures.setdefault(server, {}).update(figures)

    @contextlib.contextmanager
    def part(self, server, what):
        started = time.monotonic()
        try:
            yield
        except (Failed, subprocess.TimeoutExpired) as error:
            self.failures.append((server, what, error))
        print(f"bench: round {self.number}: {server}: {what} ({time.monotonic() - started:.0f} s)", flush=True)

    # --- the parts -------------------------------------------------------------------------------------------------

    def nginx(self, server):
        with scratch() as folder, receiver(folder) as hook, receiver(folder, 1000) as slow:
            with server.start(folder, hook, slow) as (url, pid):
                self.publishing(server, url)
                self.crowd_of_publishers(server.name, folder, url)
                self.ingest(server.name, folder, url, pid)
                self.arrivals(server.name, url)
                self.few(server.name, url)
                self.fan_out(server.name, "cpu", url, pid)
                self.memory(server.name, url, pid)
                self.slow_viewers(server.name, url, pid)

    def jackfield(self, server):
        with scratch() as folder, receiver(folder) as hook, receiver(folder, 1000) as slow:
            with server.start(folder, server.questions(folder, hook, slow)) as (url, _pid):
                self.publishing(server, url)
                self.crowd_of_publishers(server.name, folder, url)
        with scratch() as folder, server.start(folder) as (url, pid):
            self.ingest(server.name, folder, url, pid)
            self.arrivals(server.name, url)
            self.few(server.name, url)
            self.fan_out(server.name, "cpu", url, pid)
            self.slow_viewers(server.name, url, pid)
        with scratch() as folder, server.start(folder) as (url, pid):
            # On a server that never had so many: memory that was freed once is not given back.
            self.memory(server.name, url, pid)
            self.marginal(server.name, url, pid)
        with scratch() as folder, server.start(folder, "[hub]\nmax_latency_ms = 350\n") as (url, pid):
            self.fan_out(server.name, "cpu 350", url, pid)
        with scratch() as folder, server.start(folder, server.ten_notices(folder)) as (url, pid):
            self.fan_out(server.name, "cpu ten hooks", url, pid)
        self.large_heap(server)

    def publishing(self, server, url):
        count, gap = self.sizes.publishes, self.sizes.gap_ms

        def timed(app):
            load("pubtime", f"{url}/{app}/warm{{i}}", "--count", 5, "--gap-ms", gap)
            result = load("pubtime", f"{url}/{app}/p{{i}}", "--count", count, "--gap-ms", gap)
            return self.keep(server.name, f"pubtime {app}", result)

        with self.part(server.name, "publish, without and with hooks"):
            plain = timed("live")
            self.note(server.name, {"publish p50": plain["total_ms"]["p50"], "publish max": plain["total_ms"]["max"]})
            for app in server.hooked:
                hooked = timed(app)
                self.note(server.name, {
                    f"{app} {point}": hooked["publish_answer_ms"][point] - plain["publish_answer_ms"]["p50"] for point in ("p50", "p99")
                })

    def crowd_of_publishers(self, name, folder, url):
        """Twenty publishers at once whose hook takes 1 s, while others begin to watch another stream."""
        with self.part(name, "20 publishers with a hook of 1 s"), publishing(folder, f"{url}/live/calm"):
            arguments = ["pubtime", f"{url}/slow/p{{i}}", "--count", 20, "--parallel"]
            crowd = subprocess.Popen(pinned(LOAD_CORE, TOOL, *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(0.1)
            others = load("play", f"{url}/live/calm", "--n", 10, "--ramp-ms", 70, "--leave", "--timeout", 10)
            out, err = crowd.communicate(timeout=30)
            result = parsed(arguments, subprocess.CompletedProcess(crowd.args, crowd.returncode, out, err))
            self.keep(name, "20 publishers", {**result, "others": others})
            if result["total_ms"]["n"] != 20:
                raise Failed(f"{result['total_ms']['n']} of 20 publishers were let in")
            self.note(name, {"crowd max": result["total_ms"]["max"], "crowd others max": others["first_key_ms"]["max"]})

    def ingest(self, name, folder, url, pid):
        for count, figure in ((1, "ingest"), (24, "ingest 24")):
            with self.part(name, f"ingest of {count}"), publishing(folder, f"{url}/live/in{{i}}", count):
                time.sleep(self.sizes.warm)
                result = self.keep(name, figure, load("cpu", "--pid", pid, "--secs", self.sizes.seconds))
                self.note(name, {figure: cpu_per_minute(result, "secs", "cpu_s", "run_s") * 1000})

    def arrivals(self, name, url):
        with self.part(name, "first key frame of 100 arrivals"):
            arguments = ["--n", 100, "--ramp-ms", self.sizes.arrival_ms, "--leave", "--timeout", 10, "--flv", CLIP]
            result = self.keep(name, "arrivals", load("play", f"{url}/live/a", *arguments))
            if result["got_key"] != 100:
                raise Failed(f"{result['got_key']} of 100 new viewers got a key frame")
            first = result["first_key_ms"]
            self.note(name, {"first key p50": first["p50"], "first key max": first["max"]})

    def few(self, name, url):
        with self.part(name, "latency with 5 viewers"):
            result = self.keep(name, "play 5", play(f"{url}/live/few", 5, self.sizes.seconds, check=5, warm=self.sizes.warm))
            self.note(name, {f"few {point}": result["latency_ms"][point] for point in ("p50", "p99")})

    def watch(self, name, what, url, pid, viewers, **options):
        """So many viewers on a stream of their own; the CPU of one, and the raw result."""
        result = self.keep(name, f"play {what}", play(url, viewers, self.sizes.seconds, pid, warm=self.sizes.warm, **options))
        idle = self.figures.get(name, {}).get("ingest")
        if idle is None:
            raise Failed("without the cost of ingest there is no marginal cost")
        return cpu_per_minute(result) * 1000 / viewers - idle / viewers, result

    def fan_out(self, name, figure, url, pid):
        with self.part(name, f"200 viewers ({figure})"):
            cost, result = self.watch(name, figure, f"{url}/live/f", pid, 200)
            writes = result["writes_per_sub_s"]
            self.note(name, {figure: cost, f"{figure} writes": writes})
            if figure == "cpu":
                video, audio = result["latency_ms"], result["audio_latency_ms"]
                self.note(name, {"latency p50": video["p50"], "latency p99": video["p99"], "audio p99": audio["p99"]})

    def memory(self, name, url, pid):
        viewers = self.sizes.memory_viewers
        with self.part(name, f"memory of {viewers} viewers"):
            cost, result = self.watch(name, f"memory {viewers}", f"{url}/live/m", pid, viewers, ramp_ms=2)
            growth = result["rss_kib_end"] - result["rss_kib_before"]
            self.note(name, {"memory": growth / viewers, f"marginal {viewers}": cost})

    def marginal(self, name, url, pid):
        for viewers in self.sizes.marginal:
            if f"marginal {viewers}" in self.figures.get(name, {}):
                continue
            with self.part(name, f"cost at {viewers} viewers"):
                cost, _result = self.watch(name, f"marginal {viewers}", f"{url}/live/n{viewers}", pid, viewers, ramp_ms=2)
                self.note(name, {f"marginal {viewers}": cost})

    def slow_viewers(self, name, url, pid):
        if not self.sizes.slow_seconds:
            return
        with self.part(name, "3 of 6 viewers read slowly"):
            result = self.keep(name, "slow viewers", play(f"{url}/live/slow", 6, self.sizes.slow_seconds, pid, check=6, slow=3))
            # That the others lost no frame was checked; this is what the slow ones cost.
            self.note(name, {"slow growth": (result["rss_kib_peak"] - result["rss_kib_start"]) / 1024})

    def large_heap(self, server):
        for name, gib in (("program", 0), ("program 4 GB", 4)):
            with self.part(server.name, f"a program's start{' by a server of 4 GB' if gib else ''}"), scratch() as folder:
                config = server.questions(folder, "127.0.0.1:9", "127.0.0.1:9")
                with server.start(folder, config, gib * GIB) as (url, _pid):
                    count = ["--count", self.sizes.publishes, "--gap-ms", self.sizes.gap_ms]
                    plain = load("pubtime", f"{url}/live/p{{i}}", *count)["publish_answer_ms"]["p50"]
                    result = self.keep(server.name, f"pubtime {name}", load("pubtime", f"{url}/ran/p{{i}}", *count))
                    self.note(server.name, {f"{name} p50": result["publish_answer_ms"]["p50"] - plain})

    def floors(self):
        """The least that each of these could cost, by programs that do nothing else."""
        for figure, batch_ms in (("cpu", 0), ("cpu 350", 350)):
            with self.part("floor", f"200 viewers ({figure})"), scratch() as folder, floor(folder, 200, batch_ms) as (url, pid):
                options = {"publish": False, "raw": True, "check": 0, "warm": self.sizes.warm}
                result = self.keep("floor", figure, play(url, 200, self.sizes.seconds, pid, **options))
                self.note("floor", {figure: cpu_per_minute(result) * 1000 / 200})
        with scratch() as folder, receiver(folder) as hook:
            commands = hook_programs(folder)
            asked = {"hooked": ["--url", hook], "worked": ["--worker", " ".join(commands["worked"])]}
            asked |= {app: ["--run", " ".join(commands[app])] for app in ("ran", "shell")}
            for app, how in asked.items():
                with self.part("floor", f"asking ({app})"):
                    # On the server's core, where the server asks from.
                    result = self.keep("floor", f"ask {app}", load("askfloor", *how, "--count", self.sizes.publishes, core=SERVER_CORE))
                    self.note("floor", {f"{app} {point}": result["ask_ms"][point] for point in ("p50", "p99")})

    def long_run(self, server):
        """So many viewers at full rate for minutes."""
        viewers, seconds = self.sizes.long_viewers, self.sizes.long_seconds
        with self.part(server.name, f"{viewers} viewers for {seconds:.0f} s"), scratch() as folder, server.start(folder) as (url, pid):
            result = self.keep(server.name, "long", play(f"{url}/live/long", viewers, seconds, pid, ramp_ms=5, warm=5))
            self.note(server.name, {
                "long cpu": result["server_cpu_percent"],
                "long slowest": 100 * result["kbit_s"]["min"] / result["kbit_s"]["p50"],
                "long latency p99": result["latency_ms"]["p99"],
            })

    def run(self, servers):
        """All of it, the servers one after the other."""
        for server in servers:
            with self.part(server.name, "whole round"):
                self.nginx(server) if isinstance(server, Nginx) else self.jackfield(server)
        self.floors()
        for server in servers:
            if isinstance(server, Jackfield) and self.sizes.long_seconds and self.number == 1:
                self.long_run(server)
        return self
