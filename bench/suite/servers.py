"""The servers that are measured, and the floor program beside them."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess

from .processes import CLIP, HOT_PATHS, ROOT, SERVER_CORE, TOOL, Failed, accepts, free_port, pinned, running, wait_for
from .programs import TIMED, SLOW, ballast, hook_programs, worker

NGINX_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
NODE_MODULES = ROOT / ".tools/node/node_modules"

# Another server in its plainest form: RTMP only, no logins, on the loopback.
NODE_MEDIA_SERVER = """const Server = require("node-media-server");
const [port, store] = process.argv.slice(2);
new Server({ bind: "127.0.0.1", auth: { play: false, publish: false }, rtmp: { port: Number(port) }, store: { path: store }, webadmin: { enable: false } }).run();
"""

# The ten event hooks of a stream's life.
TEN_EVENTS = [
    "connection_accept", "handshake_complete", "connection_close", "stream_create", "stream_delete",
    "publish_start", "publish_stop", "play_start", "play_stop", "codec_detected",
]
# What each connection that comes and goes is told of.
CONNECTION_EVENTS = TEN_EVENTS[:3]


class Nginx:
    """nginx-rtmp of Debian: one worker, no group cache, as it is usually set up."""

    name = "nginx-rtmp"
    hooked = ["hooked"]

    def __init__(self, _args):
        if not shutil.which("nginx") or not os.path.exists(NGINX_MODULE):
            raise Failed("not installed; `scripts/setup bench` brings it")

    def version(self):
        nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True).stderr
        module = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-rtmp"], capture_output=True, text=True).stdout
        return f"nginx {nginx.strip().rpartition('/')[2]}, libnginx-mod-rtmp {module.strip() or '(unknown)'}"

    @contextlib.contextmanager
    def start(self, folder, hook, slow_hook):
        port = free_port()
        (folder / "nginx.conf").write_text(
            f"load_module {NGINX_MODULE}; daemon off; master_process off; pid nginx.pid; error_log stderr error;\n"
            "worker_rlimit_nofile 16384; events { worker_connections 8192; }\n"
            f"rtmp {{ server {{ listen 127.0.0.1:{port}; chunk_size 4096; access_log off;\n"
            f"  application live {{ live on; }} application hooked {{ live on; on_publish http://{hook}/; }}\n"
            f"  application slow {{ live on; on_publish http://{slow_hook}/; }} }} }}\n"
        )
        log = folder / "nginx.log"
        with running(pinned(SERVER_CORE, "nginx", "-p", f"{folder}/", "-c", "nginx.conf", "-e", "stderr"), log) as process:
            await_port("nginx", port, process, log)
            yield f"rtmp://127.0.0.1:{port}", process.pid


class NodeMediaServer:
    """node-media-server of npm, as its own example has it; it keeps the last group of pictures."""

    name = "node-media-server"
    hooked = []

    def __init__(self, _args):
        if not shutil.which("node") or not (NODE_MODULES / "node-media-server").is_dir():
            raise Failed("not installed; `scripts/setup bench` brings it")

    def version(self):
        package = json.loads((NODE_MODULES / "node-media-server/package.json").read_text())
        node = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
        return f"{package['version']}, node {node.strip()}"

    @contextlib.contextmanager
    def start(self, folder):
        port = free_port()
        (folder / "server.js").write_text(NODE_MEDIA_SERVER)
        log = folder / "node.log"
        command = pinned(SERVER_CORE, "node", folder / "server.js", port, folder / "store")
        environment = {**os.environ, "NODE_PATH": str(NODE_MODULES)}
        with running(command, log, cwd=folder, env=environment) as process:
            await_port("node-media-server", port, process, log)
            yield f"rtmp://127.0.0.1:{port}", process.pid


class Jackfield:
    """This project's server with its defaults."""

    name = "jackfield"
    hooked = ["hooked", "worked", "ran", "shell", "python"]

    def __init__(self, args):
        self.binary = pathlib.Path(args.server).resolve()
        if not self.binary.is_file():
            raise Failed(f"{args.server} is not there; `make build` makes it")

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.strip()

    @contextlib.contextmanager
    def start(self, folder, config="", ballast_bytes=0):
        environment = {**os.environ, **ballast(folder, ballast_bytes)}
        with self.running(folder, config, [self.binary], "info", env=environment) as (addr, process, _log):
            if ballast_bytes:
                wait_for("ballast", 30, lambda: resident_bytes(process.pid) > ballast_bytes)
            yield f"rtmp://{addr}", process.pid

    @contextlib.contextmanager
    def start_telling(self, folder, config):
        """The same server within a program that tells notices on demand: its URL and process, and a function that takes an order and returns another
        one for its figures. Without its log, where each notice would be a line."""
        with self.running(folder, config, [HOT_PATHS, "serve"], "warn", stdin=subprocess.PIPE, text=True) as (addr, process, log):
            def tell(order):
                process.stdin.write(f"{order}\n")
                process.stdin.flush()
                return lambda: next((entry for entry in entries(log) if "told" in entry), None)

            yield f"rtmp://{addr}", process.pid, tell

    @contextlib.contextmanager
    def running(self, folder, config, command, log_level, **options):
        (folder / "jackfield.toml").write_text(config)
        command = pinned(
            SERVER_CORE, *command, "--config", folder / "jackfield.toml", "--listen", "127.0.0.1:0",
            "--http-listen", "off", "--data-dir", folder / "data", "--log-format", "json", "--log-level", log_level,
        )
        log = folder / "jackfield.log"
        with running(command, log, cwd=folder, **options) as process:
            try:
                addr = wait_for("word of where the server listens", 10, lambda: self.listens(log, process))
            except Failed as error:
                raise Failed(f"{error}: {log.read_text()[-500:]}") from None
            yield addr, process, log

    @staticmethod
    def listens(log, process):
        for entry in entries(log):
            if entry.get("message") == "Listening" and entry.get("proto") == "rtmp":
                return entry["addr"]
            if "listen" in entry:
                return entry["listen"]
        if process.poll() is not None:
            raise Failed(f"the server ended with {process.returncode}")
        return None


def entries(log):
    """The whole lines of a log that are JSON objects, the fields of the log's own ones beside their heads."""
    for line in log.read_text().split("\n")[:-1]:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            yield {**entry, **entry.get("fields", {})}


def questions(folder, hook, slow_hook):
    """Hooks that decide who may publish, each for the streams of its own app; those of `live` meet none."""
    commands = hook_programs(folder)
    hooks = [("hooked", "url", f"http://{hook}/"), ("slow", "url", f"http://{slow_hook}/"), ("worked", "worker", commands["worked"])]
    hooks += [(app, "run", commands[app]) for app in ("ran", "shell", "python")]
    return "".join(
        f'[[hook]]\nname = "{app}"\non = ["authorize_publish"]\nstreams = ["{app}/**"]\n{how} = {json.dumps(what)}\nconcurrency = 100\n\n'
        for app, how, what in hooks
    )


def ten_notices(folder):
    """A worker for each of ten events."""
    return "".join(notice_hook(event, [event], worker(folder)) for event in TEN_EVENTS)


def notice_hook(name, events, command):
    return f'[[hook]]\nname = "{name}"\non = {json.dumps(events)}\nworker = {json.dumps(command)}\n\n'


def others_and_slow(folder, slow):
    """A hook that decides and one that is told, and beside them perhaps one that takes a second for each connection's events."""
    config = f'[[hook]]\nname = "worked"\non = ["authorize_publish"]\nworker = {json.dumps(worker(folder))}\n\n'
    config += notice_hook("timed", ["publish_start"], worker(folder, TIMED, "timed.py", folder / "delays"))
    if slow:
        config += notice_hook("slow", CONNECTION_EVENTS, worker(folder, SLOW, "slow.py", folder / "missed"))
    return config


def await_port(name, port, process, log):
    try:
        wait_for(f"answer of {name}", 10, lambda: process.poll() is not None or accepts(port))
        if process.poll() is not None:
            raise Failed(f"{name} ended")
    except Failed as error:
        raise Failed(f"{error}: {log.read_text()[-500:]}") from None


def resident_bytes(pid):
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024
    return 0


def cpu_seconds(pid):
    """User and system time of this one process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def floor(folder, viewers, batch_ms=0):
    """The program that only broadcasts the same bytes to so many sockets."""
    log = folder / "floor.log"
    command = pinned(SERVER_CORE, TOOL, "floor", "--flv", CLIP, "--n", viewers, "--batch-ms", batch_ms)
    with running(command, log) as process:
        line = wait_for("floor program", 10, lambda: log.read_text().partition("\n")[0])
        yield f"rtmp://{json.loads(line)['listen']}/live/s", process.pid


@contextlib.contextmanager
def relay(folder):
    """The program that hands on what comes, and answers as often as a player is answered."""
    log = folder / "relay.log"
    with running(pinned(SERVER_CORE, TOOL, "relay", "--flv", CLIP), log):
        line = wait_for("relay", 10, lambda: log.read_text().partition("\n")[0])
        yield json.loads(line)["listen"]
