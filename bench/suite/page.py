"""`docs/performance.md`: the tables of one run, with all that is needed to judge and to repeat them."""

import datetime
import os
import pathlib
import re
import subprocess

from .processes import LOAD_CORE, ROOT, SERVER_CORE
from .tables import MISSES


def machine(load_average):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    return (
        f"{os.cpu_count()} cores, {cpu.group(1) if cpu else 'unknown'}; {system.group(1) if system else ''}, "
        f"Linux {os.uname().release}; load average at the start {load_average}"
    )


def checked_out():
    """What is checked out, which may be another commit when the run is over."""
    return subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True).stdout.strip()


def page(commit, rounds, sizes, servers, budgets, text, remarks, absent, load_average, encode):
    versions = "\n".join(f"- {server.name}: {server.version()}" for server in servers)
    versions += "".join(f"\n- not measured: {line}" for line in absent)
    remarks = "\n".join(f"- {remark}" for remark in remarks) or "- every budget is met, and the rounds of all CPU rows lie within 15 %"
    play = f"rtmp_load play URL/live/s --flv 720p30.flv --check 20 --warm {sizes.warm:.0f} --secs {sizes.seconds:.0f} --pid SERVER"
    viewers = ", ".join(str(viewers) for viewers in sizes.marginal if viewers != 200)
    return f"""# Performance

Written by `make bench` on {datetime.date.today()} at commit {commit}: medians of {rounds} rounds, with the least and the greatest in
brackets; in each round the servers one after the other, each alone on core {SERVER_CORE}, the load on core {LOAD_CORE}, over loopback. A ratio below 1
is better than the other server, unless the row says that more is better; the floor is a program that does that one thing and no other.
node-media-server is measured in the first round only. `bench/README.md` says what each row means; absolute numbers depend on the machine, ratios
much less. Why a budget is missed stands in [`{MISSES.name}`]({MISSES.name}). Instruction counts of the hot paths stand in
`bench/instructions.json`.

{budgets}

In this run:

{remarks}

{text}

## How

- machine: {machine(load_average)}
{versions}

```
{encode} 720p30.flv
{play} --n 200        ({viewers} for {sizes.short_seconds:.0f} s; {sizes.long_viewers} for {sizes.long_seconds:.0f} s)
rtmp_load play URL/live/s --flv 720p30.flv --n 6 --slow 3 --slow-kbps 300 --secs {sizes.slow_seconds:.0f} --pid SERVER
rtmp_load publish URL/live/s{{i}} --flv 720p30.flv --n 24; rtmp_load cpu --pid SERVER --secs {sizes.short_seconds:.0f}
rtmp_load play URL/live/s --flv 720p30.flv --n 100 --ramp-ms {sizes.arrival_ms} --leave
rtmp_load pubtime URL/live/p{{i}} --count {sizes.publishes} --gap-ms {sizes.gap_ms}       (and with a hook)
rtmp_load pubtime URL/slow/p{{i}} --count 20 --parallel; rtmp_load hook --delay-ms 1000
rtmp_load flood URL/live/none --rate {sizes.flood_rate} --secs {sizes.short_seconds:.0f}
rtmp_load floor --flv 720p30.flv --n 200 [--batch-ms 350]; rtmp_load play FLOOR/live/s --raw --n 200
rtmp_load relay --flv 720p30.flv; rtmp_load relayed RELAY --flv 720p30.flv --n 5 (or --n 0 --arrivals 100 --gap-ms 210)
rtmp_load askfloor --url RECEIVER | --worker WORKER | --run PROGRAM --gap-ms 10
hot_paths notices {sizes.notices} WORKER
hot_paths serve --config CONFIG, told `{sizes.steady_rate} {sizes.outbox_seconds + 1:g} 10` or `{sizes.burst_rate} {sizes.outbox_seconds + 1:g} 0`; rtmp_load play … --n 200 --ramp-ms 2 --secs {sizes.outbox_seconds:g}
```
"""
