"""Programs on their cores, and waiting for them."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

BENCH = pathlib.Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
RESULTS = BENCH / "results"
CLIP = RESULTS / "720p30.flv"
TOOL = BENCH / "target/release/rtmp_load"
HOT_PATHS = BENCH / "target/release/hot_paths"
SERVER_CORE, LOAD_CORE = "0", "1"
# So long the load tool publishes before its first viewer comes.
LEAD_SECONDS = 2.2


class Failed(Exception):
    """A measurement that did not come out; the message says why."""


class Void(Failed):
    """The load tool was too busy to be trusted: the run says nothing."""


class WrongAnswer(Failed):
    """The server delivered something else than was published: no figure of it counts."""


def end_with_children():
    """Makes SIGTERM leave this program as an error does, so that what it has started is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def build_load_tool():
    build(BENCH, "--locked")


def build_hot_paths():
    # With the versions of the server's own lock file.
    shutil.copy(ROOT / "Cargo.lock", BENCH / "hot_paths/Cargo.lock")
    build(BENCH / "hot_paths")


def build(folder, *options):
    environment = {**os.environ, "CARGO_TARGET_DIR": str(BENCH / "target")}
    if subprocess.run(["cargo", "build", "--quiet", "--release", *options], cwd=folder, env=environment).returncode:
        raise Failed(f"{folder.relative_to(ROOT)} does not build")


def pinned(core, *command):
    # With a single core there is nothing to keep apart.
    return ["taskset", "-c", core, *map(str, command)] if os.cpu_count() > 1 else [str(word) for word in command]


def idle(*command):
    """On the core of the load, as long as the load leaves time: as if it were on another machine."""
    return ["chrt", "--idle", "0", *pinned(LOAD_CORE, *command)]


def loading(*command):
    return pinned(LOAD_CORE, *command)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, seconds, look):
    """Polls until `look` returns something true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise Failed(f"no {what} within {seconds} s")


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def running(command, log, **options):
    """A program in a group of its own, ended when the block is left."""
    options = {"stdin": subprocess.DEVNULL, **options}
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def receiver(folder, delay_ms=0, run=loading):
    """A receiver of webhooks that allows everything; its address."""
    port = free_port()
    command = run(TOOL, "hook", "--listen", f"127.0.0.1:{port}", "--delay-ms", delay_ms, "--body", '{"decision":"allow"}')
    with running(command, folder / f"hook-{port}.log"):
        wait_for("hook receiver", 10, lambda: accepts(port))
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def publishing(folder, url, count=1):
    """The clip, published in real time under so many keys."""
    log = folder / "publisher.log"
    with running(pinned(LOAD_CORE, TOOL, "publish", url, "--flv", CLIP, "--n", count), log) as process:
        wait_for("publisher", 10, lambda: "publishing" in log.read_text() or process.poll() is not None)
        if process.poll() is not None:
            raise Failed(f"publisher: {log.read_text().strip()}")
        yield


def parsed(arguments, done):
    """What the load tool printed, unless it or what it saw is no good."""
    if done.returncode:
        raise Failed(f"rtmp_load {arguments[0]}: {done.stderr.strip()}")
    result = json.loads(done.stdout.splitlines()[0])
    if result.get("own_cpu_percent", 0) > 90:
        raise Void(f"the load tool used {result['own_cpu_percent']} % of its core")
    if result.get("errors"):
        raise WrongAnswer(f"rtmp_load {arguments[0]}: {result['errors']}")
    return result


def load(*arguments, timeout=180, core=LOAD_CORE):
    """One run of the load tool: the JSON object that it prints."""
    done = subprocess.run(pinned(core, TOOL, *arguments), capture_output=True, text=True, timeout=timeout)
    return parsed(arguments, done)


def play(url, viewers, seconds, pid=None, *, check=20, ramp_ms=5, warm=2.0, publish=True, raw=False, slow=0):
    """So many viewers of one stream, each checked as the tool can; void or wrong results raise."""
    arguments = ["play", url, "--n", viewers, "--ramp-ms", ramp_ms, "--warm", warm, "--secs", seconds, "--check", check]
    arguments += ["--flv", CLIP] if publish else []
    arguments += ["--pid", pid] if pid else []
    arguments += ["--raw"] if raw else []
    arguments += ["--slow", slow, "--slow-kbps", 300] if slow else []
    result = load(*arguments, timeout=seconds + viewers * ramp_ms / 1000 + 60)
    if not raw:
        verify(result, viewers, slow)
    return result


def refuse_wrong_frames(result):
    wrong = {name: result[name] for name in ("frames_lost", "frames_wrong", "ts_backwards") if result[name]}
    if wrong:
        raise WrongAnswer(f"{result['n']} viewers: {wrong} among {result['checked_frames']} frames that were checked")
    if not result["checked_frames"]:
        raise Failed("no frame was checked")


def verify(result, viewers, slow):
    refuse_wrong_frames(result)
    if result["live"] != viewers:
        raise WrongAnswer(f"{result['live']} of {viewers} viewers are left")
    if result["checked"] < min(viewers, 20) - slow:
        raise Failed(f"only {result['checked']} viewers were checked")
    rate = result["kbit_s"]
    # Those that were not checked must have received as much; batches and key frames leave some unevenness. Slow readers are
    # not among them.
    if rate["min"] < 0.9 * rate["p50"]:
        raise WrongAnswer(f"{viewers} viewers: the slowest got {rate['min']} kbit/s, the middle one {rate['p50']}")
    if result["video_fps"]["min"] < 28:
        raise WrongAnswer(f"{viewers} viewers: the slowest at {result['video_fps']['min']} frames/s instead of 30")


def published_kbit_s():
    """The rate of the clip's messages without their heads; what viewers receive is a little more."""
    clip, at, size, end = CLIP.read_bytes(), 13, 0, 0
    while at + 11 <= len(clip):
        kind, length = clip[at], int.from_bytes(clip[at + 1 : at + 4], "big")
        if kind in (8, 9):
            size += length
            end = max(end, int.from_bytes(clip[at + 4 : at + 7], "big") | clip[at + 7] << 24)
        at += 11 + length + 4
    return size * 8 / (end + 33)  # as the load tool, a frame of pause before the clip begins again


def cpu_per_minute(result, window="window_s", ticks="server_cpu_s", run="server_run_s"):
    """CPU seconds per minute. The kernel's ticks are 10 ms wide; where the scheduler's own count, which knows only threads that
    still live, agrees with them, it is the finer one."""
    coarse, fine = result[ticks], result[run]
    seconds = fine if abs(fine - coarse) <= 0.06 + 0.1 * coarse else coarse
    return seconds / result[window] * 60
