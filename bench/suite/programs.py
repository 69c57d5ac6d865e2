"""What the user's side of the hooks runs, written into a folder; and ballast for the server."""

import os
import shutil
import subprocess
import sys

# One request, one answer, as a user would write it.
WORKER = """import json, sys
for line in sys.stdin:
    json.loads(line)
    print('{"decision":"allow"}', flush=True)
"""

# Takes many at once: what came in one read is answered in one write.
PIPELINED_PYTHON = """import json, os
os.write(1, b'{"t":"hello","proto":[1],"concurrency":256}\\n')
rest = b""
while True:
    got = os.read(0, 1 << 16)
    if not got:
        break
    *lines, rest = (rest + got).split(b"\\n")
    requests = map(json.loads, lines)
    answers = ['{"d":"%s"}\\n' % request["d"] if "d" in request else "{}\\n" for request in requests if request.get("t") in (None, "event")]
    if answers:
        os.write(1, "".join(answers).encode())
"""

PIPELINED_NODE = """process.stdout.write('{"t":"hello","proto":[1],"concurrency":256}\\n');
let rest = "";
process.stdin.setEncoding("utf8").on("data", (got) => {
  const lines = (rest + got).split("\\n");
  rest = lines.pop();
  let answers = "";
  for (const line of lines) {
    const request = JSON.parse(line);
    if (request.t === "event") answers += '{"d":"' + request.d + '"}\\n';
    else if (request.t === undefined) answers += "{}\\n";
  }
  if (answers) process.stdout.write(answers);
});
"""

# Takes a second for each event; writes down how many it was told that it has missed.
SLOW = """import json, sys, time
for line in sys.stdin:
    with open(sys.argv[1], "a") as told:
        told.write("%d\\n" % json.loads(line).get("num_dropped", 0))
    time.sleep(1)
    print("{}", flush=True)
"""

# Writes down how many milliseconds after it happened it was told of each event.
TIMED = """import datetime, json, sys, time
for line in sys.stdin:
    now = time.time()
    happened = datetime.datetime.fromisoformat(json.loads(line)["time"].replace("Z", "+00:00")).timestamp()
    with open(sys.argv[1], "a") as told:
        told.write("%.3f\\n" % ((now - happened) * 1000))
    print("{}", flush=True)
"""

# Some of the smallest programs that allow by their exit status; Python's is an empty one.
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

# The interpreter itself: a version manager's wrapper would be measured with it.
PYTHON = os.path.realpath(sys.executable)


def hook_programs(folder):
    """A worker and the programs that are started for each question; the commands by the app that they decide."""
    (folder / "program.c").write_text(PROGRAM_C)
    subprocess.run(["cc", "-O2", "-static", "-o", folder / "program", folder / "program.c"], check=True)
    (folder / "program.sh").write_text(PROGRAM_DASH)
    (folder / "program.py").write_text(f"#!{PYTHON}\n")
    for name in ("program.sh", "program.py"):
        (folder / name).chmod(0o755)
    files = {"ran": "program", "shell": "program.sh", "python": "program.py"}
    return {"worked": worker(folder), **{app: [str(folder / name)] for app, name in files.items()}}


def worker(folder, text=WORKER, name="worker.py", *arguments):
    """A worker in Python; its command."""
    (folder / name).write_text(text)
    return [PYTHON, str(folder / name), *map(str, arguments)]


def pipelined(folder):
    """Workers that take many requests at once, by language, as far as there is an interpreter."""
    workers = {"Python": worker(folder, PIPELINED_PYTHON, "pipelined.py")}
    node = shutil.which("node")
    if node:
        (folder / "pipelined.js").write_text(PIPELINED_NODE)
        workers["node"] = [node, str(folder / "pipelined.js")]
    return workers


def ballast(folder, size):
    """Environment in which a server gets a heap of this size."""
    if not size:
        return {}
    (folder / "ballast.c").write_text(BALLAST)
    library = folder / "ballast.so"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, folder / "ballast.c", "-lpthread"], check=True)
    return {"LD_PRELOAD": str(library), "BENCH_BALLAST": str(size)}
