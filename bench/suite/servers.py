"""The servers that are measured, and the floor program beside them."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

from .processes import CLIP, SERVER_CORE, TOOL, Failed, accepts, free_port, pinned, running, wait_for

NGINX_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"

# One request, one answer, as a user would write it.
WORKER = """import json, sys
for line in sys.stdin:
    json.loads(line)
    print('{"decision":"allow"}', flush=True)
"""

# Two of the smallest programs that allow by their exit status.
PROGRAM_C = "int main(void) { return 0; }\n"
PROGRAM_DASH = "#!/bin/dash\nexit 0\n"

# Loaded into the server: touches so much memory once the server is up, as a large heap would. Its helper is left alone.
BALLAST = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static void *grow(void *bytes) {
    sleep(1);
    char *heap = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (heap != MAP_FAILED) for (size_t at = 0; at < (size_t)bytes; at += 4096) heap[at] = 1;
    return NULL;
}
__attribute__((constructor)) static void start(void) {
    char line[256] = {0};
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t read = file ? fread(line, 1, sizeof line - 1, file) : 0;
    if (file) fclose(file);
    for (size_t at = 0; at < read; at++) if (!line[at]) line[at] = ' ';
    const char *bytes = getenv("BENCH_BALLAST");
    pthread_t thread;
    if (bytes && strstr(line, "--config")) pthread_create(&thread, NULL, grow, (void *)strtoull(bytes, NULL, 10));
}
"""

# The ten event hooks of a stream's life; detections of codecs come beside them.
TEN_EVENTS = [
    "connection_accept", "handshake_complete", "connection_close", "stream_create", "stream_delete",
    "publish_start", "publish_stop", "play_start", "play_stop", "codec_detected",
]


def hook_programs(folder):
    """Writes the user's side of the hooks; the commands by name."""
    (folder / "worker.py").write_text(WORKER)
    (folder / "program.c").write_text(PROGRAM_C)
    subprocess.run(["cc", "-O2", "-static", "-o", folder / "program", folder / "program.c"], check=True)
    (folder / "program.sh").write_text(PROGRAM_DASH)
    (folder / "program.sh").chmod(0o755)
    # The interpreter itself: a version manager's wrapper would be measured with it.
    return {
        "worked": [os.path.realpath(sys.executable), str(folder / "worker.py")],
        "ran": [str(folder / "program")],
        "shell": [str(folder / "program.sh")],
    }


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
            try:
                wait_for("answer of nginx", 10, lambda: process.poll() is not None or accepts(port))
                if process.poll() is not None:
                    raise Failed("nginx ended")
            except Failed as error:
                raise Failed(f"{error}: {log.read_text()[-500:]}") from None
            yield f"rtmp://127.0.0.1:{port}", process.pid


class Jackfield:
    """This project's server with its defaults."""

    name = "jackfield"
    hooked = ["hooked", "worked", "ran", "shell"]

    def __init__(self, args):
        self.binary = pathlib.Path(args.server).resolve()
        if not self.binary.is_file():
            raise Failed(f"{args.server} is not there; `make build` makes it")

    def version(self):
        return subprocess.run([self.binary, "--version"], capture_output=True, text=True).stdout.strip()

    @staticmethod
    def questions(folder, hook, slow_hook):
        """Streams of the app `live` meet no hook."""
        commands = hook_programs(folder)
        hooks = [("hooked", "url", f"http://{hook}/"), ("slow", "url", f"http://{slow_hook}/"), ("worked", "worker", commands["worked"])]
        hooks += [(app, "run", commands[app]) for app in ("ran", "shell")]
        return "".join(
            f'[[hook]]\nname = "{app}"\non = ["authorize_publish"]\nstreams = ["{app}/**"]\n{how} = {json.dumps(what)}\nconcurrency = 100\n\n'
            for app, how, what in hooks
        )

    @staticmethod
    def ten_notices(folder):
        worker = hook_programs(folder)["worked"]
        return "".join(f'[[hook]]\nname = "{event}"\non = ["{event}"]\nworker = {json.dumps(worker)}\n\n' for event in TEN_EVENTS)

    @contextlib.contextmanager
    def start(self, folder, config="", ballast_bytes=0):
        (folder / "jackfield.toml").write_text(config)
        command = pinned(
            SERVER_CORE, self.binary, "--config", folder / "jackfield.toml", "--listen", "127.0.0.1:0",
            "--http-listen", "off", "--data-dir", folder / "data", "--log-format", "json", "--log-level", "info",
        )
        environment = {**os.environ, **self.ballast(folder, ballast_bytes)}
        log = folder / "jackfield.log"
        with running(command, log, cwd=folder, env=environment) as process:
            try:
                port = wait_for("line `Listening` in the log", 10, lambda: self.port(log, process))
            except Failed as error:
                raise Failed(f"{error}: {log.read_text()[-500:]}") from None
            if ballast_bytes:
                wait_for("ballast", 30, lambda: resident_bytes(process.pid) > ballast_bytes)
            yield f"rtmp://127.0.0.1:{port}", process.pid

    @staticmethod
    def ballast(folder, size):
        if not size:
            return {}
        (folder / "ballast.c").write_text(BALLAST)
        library = folder / "ballast.so"
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, folder / "ballast.c", "-lpthread"], check=True)
        return {"LD_PRELOAD": str(library), "BENCH_BALLAST": str(size)}

    @staticmethod
    def port(log, process):
        for line in log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                fields = {**entry, **entry.get("fields", {})}
                if fields.get("message") == "Listening" and fields.get("proto") == "rtmp":
                    return int(fields["addr"].rpartition(":")[2])
        if process.poll() is not None:
            raise Failed(f"the server ended with {process.returncode}")
        return None


def resident_bytes(pid):
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) * 1024
    return 0


@contextlib.contextmanager
def floor(folder, viewers, batch_ms=0):
    """The program that only broadcasts the same bytes to so many sockets."""
    log = folder / "floor.log"
    command = pinned(SERVER_CORE, TOOL, "floor", "--flv", CLIP, "--n", viewers, "--batch-ms", batch_ms)
    with running(command, log) as process:
        line = wait_for("floor program", 10, lambda: log.read_text().partition("\n")[0])
        yield f"rtmp://{json.loads(line)['listen']}/live/s", process.pid
