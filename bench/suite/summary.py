"""The budgets in short: a line for each thing that has one or several, whatever table its figures stand in."""

from .measure import Sizes
from .tables import FLOOR, OURS, PEER, all_tables, explained_misses, ratio, shown

# What has budgets, the unit, and its figures: several of them stand in their order, between slashes.
BUDGETS = [
    ("CPU per viewer-minute at 200 viewers", "CPU-ms", ["cpu"]),
    ("the same with `max_latency_ms = 350`", "CPU-ms", ["cpu 350"]),
    ("latency of video at 200 viewers, p50 / p99, of audio p99", "ms", ["latency p50", "latency p99", "audio p99"]),
    ("latency of video at 5 viewers, p50", "ms", ["few p50"]),
    ("connect to first key frame, 100 arrivals, p50 / max", "ms", ["first key p50", "first key max"]),
    ("connect to Publish.Start, no hook, p50", "ms", ["publish p50"]),
    ("memory per viewer at 1,000 viewers", "KiB", ["memory"]),
    ("ingest of one stream / of 24", "CPU-ms per minute", ["ingest", "ingest 24"]),
    ("3 of 6 viewers at 300 kbit/s: frames/s of the others / growth, MiB", "", ["slow others fps", "slow growth"]),
    ("2,000 viewers for minutes: CPU, % of a core / slowest, % of the full rate / frames lost", "", ["long cpu", "long slowest", "long lost"]),
    ("added by a blocking webhook, p50 / p99", "ms", ["hooked p50", "hooked p99"]),
    ("added by a blocking worker (Python), p50 / p99", "ms", ["worked p50", "worked p99"]),
    ("added by a program, p50: static C / by a server of 4 GB / dash / Python", "ms", ["program p50", "program 4 GB p50", "shell p50", "python p50"]),
    ("20 publishers at once, a hook of 1 s each: last one / first key frame of others", "ms", ["crowd max", "crowd others max"]),
    ("CPU per viewer-minute with ten event hooks", "CPU-ms", ["cpu ten hooks"]),
    ("notices through one worker, each second: Python / node", "", ["notices Python", "notices node"]),
    ("10,000 notices a second and a slow hook, p50 of: media / a decision / another notice", "ms", ["flood media p50", "flood decision p50", "flood notice p50"]),
    ("200 viewers with the outbox: latency p50 / p99 / CPU per viewer-minute", "ms, CPU-ms", ["outbox p50", "outbox p99", "outbox cpu"]),
    ("latency p99 at 200 viewers while 5,000 notices a second are told / 55,000, to nobody / to hooks", "ms", ["steady p99", "stored p99", "burst p99"]),
    ("these stored each second, to nobody / to hooks", "", ["stored each second", "burst each second"]),
]
# One that is misspelt would be left out in silence; told before anything is measured.
MISSPELT = {name for _title, _unit, names in BUDGETS for name in names} - {row.figure for table in all_tables(Sizes()) for row in table.rows if row.met}
assert not MISSPELT, f"no rows with a budget: {MISSPELT}"
# How a viewer's cost grows, by the number of viewers: the name of the figures, before that number.
GROWTH = [("cost of a viewer as viewers become more, in what it is at the first number", "marginal"), ("cost of one more, likewise", "one more")]
# All other figures are better if they are less.
MORE_IS_BETTER = {"slow others fps", "long slowest", "notices Python", "notices node", "stored each second", "burst each second"}


def summary(sizes, parts, figures):
    """Each budget of these parts in a line, as Markdown; below it, how many are missed, and where the peer is better, with a budget or without."""
    measured = [row for table in all_tables(sizes) for row in table.rows if row.part in parts]
    rows = {row.figure: row for row in measured if row.met}
    explained = explained_misses()
    lines = [line(title, unit, [rows.get(name) for name in names], figures, explained) for title, unit, names in BUDGETS]
    for title, name in GROWTH:
        lines.append(growth_line(title, [row for figure, row in rows.items() if figure.startswith(f"{name} ")], figures, explained))
    others = [row for row in rows.values() if not is_named(row.figure)]
    lines.append(cells(f"{len(others)} other limits of the tables below", "", "", "", "", verdict(others, figures, explained)) if others else "")
    lines = [text for text in lines if text]
    if not lines:
        return ""
    states = [row.state(figures) for row in rows.values()]
    tail = f"Of {len(rows)} limits {states.count('no')} are missed" + (f", {states.count('not measured')} not measured" if "not measured" in states else "") + "."
    behind = [row.title for row in measured if is_behind(row, figures)]
    tail += f" Worse than {PEER} in this run: {'; '.join(behind) or 'nothing'}."
    head = f"| | {OURS} | must | × {PEER} | × floor | met |\n|---|---|---|---|---|---|\n"
    return "## Budgets\n\n" + head + "\n".join(lines) + f"\n\n{tail}"


def line(title, unit, rows, figures, explained):
    """Rows of other parts than are measured are `None`."""
    measured = [row for row in rows if row]
    if not measured:
        return ""

    def against(server):
        ratios = [ratio(figures.ours(row.figure), figures.of(server, row.figure_of(server))) if row else "–" for row in rows]
        return joined(ratios) if any(found != "–" for found in ratios) else "–"

    ours = [figures.ours(row.figure) if row else None for row in rows]
    values = joined("–" if value is None else shown(value) for value in ours)
    return cells(title, f"{values} {unit}".strip(), must(measured), against(PEER), against(FLOOR), verdict(measured, figures, explained))


def is_named(figure):
    return any(figure in names for _title, _unit, names in BUDGETS) or any(figure.startswith(f"{name} ") for _title, name in GROWTH)


def growth_line(title, rows, figures, explained):
    """Of several numbers of viewers the dearest."""
    if not rows:
        return ""
    shares = [figures.ours(row.figure) / figures.ours(row.base) for row in rows if figures.ours(row.figure) and figures.ours(row.base)]
    worst = f"at most {shown(max(shares))} ×" if shares else "–"
    return cells(title, worst, must(rows), "–", "–", verdict(rows, figures, explained))


def cells(*texts):
    return f"| {' | '.join(texts)} |"


def joined(texts):
    return " / ".join(texts)


def must(rows):
    """What each must be; once if it is the same for all."""
    limits = [row.must for row in rows]
    return limits[0] if len(set(limits)) == 1 else joined(limits)


def verdict(rows, figures, explained):
    """`yes` if all are met; otherwise each that is not, with what the tables say of it."""
    if len(rows) == 1:
        return rows[0].verdict(figures, explained)
    others = [row for row in rows if row.state(figures) != "yes"]
    return "; ".join(f"{row.figure}: {row.verdict(figures, explained)}" for row in others) or "yes"


def is_behind(row, figures):
    ours, peer = figures.ours(row.figure), figures.of(PEER, row.figure_of(PEER))
    # Fewer writes, or more, are neither better nor worse.
    if ours is None or peer is None or row.figure.endswith(" writes"):
        return False
    # What differs by less is the same.
    return ours < 0.99 * peer if row.figure in MORE_IS_BETTER else ours > 1.01 * peer
