"""Which server is started for which parts, in which order."""

import contextlib

from . import hooks, media, outbox
from .measure import GIB
from .processes import receiver
from .servers import Jackfield, Nginx, NodeMediaServer, questions, ten_notices


def run(round, servers):
    """One round: the servers one after the other, then the floors."""
    for server in servers:
        PLANS[type(server)](round, server)
    hooks.floors(round)
    for server in servers:
        if isinstance(server, Jackfield):
            round.on(server, server.start, [("long", media.long_run)])


def nginx(round, server):
    @contextlib.contextmanager
    def start(folder):
        with receiver(folder) as hook, receiver(folder, 1000) as slow, server.start(folder, hook, slow) as running:
            yield running

    round.on(server, start, [("publish", hooks.publish), ("crowd", hooks.crowd), *MEDIA, ("memory", media.memory), SLOW_VIEWERS])


def node_media_server(round, server):
    # It stands beside for context: once is enough.
    if round.number == 1:
        few = [step for step in MEDIA if step[0] != "ingest-24"]
        round.on(server, server.start, [("publish", hooks.publish), *few, ("memory", media.memory)])


def jackfield(round, server):
    @contextlib.contextmanager
    def asking(folder):
        with receiver(folder) as hook, receiver(folder, 1000) as slow, server.start(folder, questions(folder, hook, slow)) as running:
            yield running

    def configured(config, ballast_bytes=0):
        return lambda folder: server.start(folder, config(folder), ballast_bytes)

    def unheard(folder):
        return questions(folder, "127.0.0.1:9", "127.0.0.1:9")

    round.on(server, asking, [("publish", hooks.publish), ("crowd", hooks.crowd)])
    round.on(server, server.start, [*MEDIA, SLOW_VIEWERS])
    # On a server that never had so many: memory that was freed once is not given back.
    round.on(server, server.start, [("memory", media.memory), ("marginal", media.marginal)])
    round.on(server, configured(lambda _: "[hub]\nmax_latency_ms = 350\n"), [("batches", media.batches)])
    round.on(server, configured(ten_notices), [("ten-hooks", media.ten_hooks)])
    round.on(server, configured(unheard), [("programs", hooks.programs("program"))])
    round.on(server, configured(unheard, 4 * GIB), [("programs", hooks.programs("program 4 GB"))])
    alone = [("notices", hooks.notices), ("slow-hook", hooks.slow_hook)]
    alone += [("outbox", measure) for measure in (outbox.at_rest, outbox.steady, outbox.burst)]
    for part, measure in alone:
        if part in round.parts:
            round.step(server.name, part, lambda: measure(round, server))


MEDIA = [
    ("ingest", media.ingest), ("ingest-24", media.ingest_24), ("arrivals", media.arrivals), ("latency", media.latency),
    ("fan-out", media.fan_out),
]
SLOW_VIEWERS = ("slow-viewers", media.slow_viewers)
PLANS = {Nginx: nginx, NodeMediaServer: node_media_server, Jackfield: jackfield}
