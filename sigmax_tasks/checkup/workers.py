"""Are there workers, do they answer, and are they alike?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sigmax_tasks.checkup.broker import clock_finding
from sigmax_tasks.checkup.finding import Finding
from sigmax_tasks.models.worker import WorkerFacts

AREA: Final = "workers"
START: Final = "start one with: celery -A sigmax_tasks worker"


def worker_findings(
    workers: Sequence[str],
    facts: Mapping[str, WorkerFacts],
    answered: frozenset[str] | None,
    here: WorkerFacts,
) -> list[Finding]:
    """``answered`` are names of those that answered a ping; None where none could be sent.

    ``here`` are the versions of this installation.
    """
    if not workers:
        return [Finding(AREA, "alive", "problem", "none is heard of", START, stops_work=True)]
    known = {worker: facts[worker] for worker in workers if worker in facts}
    slots = sum(each.concurrency for each in known.values())
    found = [Finding(AREA, "alive", "ok", f"{len(workers)} with {slots} places for tasks")]
    found += _pings(known, answered)
    found += _versions(known, here)
    odd = sorted({w.name for w in known.values() if w.pool not in {"threads", "prefork", "solo"}})
    if odd:
        advice = "use --pool threads: gevent loses messages when it stops"
        found.append(Finding(AREA, "pool", "warning", f"{', '.join(odd)}: gevent", advice))
    else:
        pools = sorted({each.pool for each in known.values()})
        found.append(Finding(AREA, "pool", "ok", ", ".join(pools) or "not told"))
    measured = {w.name: w.clock_ahead_seconds for w in known.values()}
    clocks = [
        clock_finding(f"clock of {name}", ahead)
        for name, ahead in sorted(measured.items())
        if ahead is not None
    ]
    off = [finding for finding in clocks if finding.state != "ok"]
    if clocks and not off:
        found.append(Finding("clocks", "clocks of workers", "ok", "all as that of Redis"))
    return found + off


def _pings(known: Mapping[str, WorkerFacts], answered: frozenset[str] | None) -> list[Finding]:
    if answered is None:
        return [Finding(AREA, "ping", "ok", "not asked: this user of Redis may not")]
    silent = sorted({each.name for each in known.values()} - answered)
    if not silent:
        return [Finding(AREA, "ping", "ok", f"{len(answered)} answer")]
    said = f"no answer from {', '.join(silent)}"
    advice = "it is busy or hangs: look at its log, stop it with TERM and start it again"
    return [Finding(AREA, "ping", "warning", said, advice)]


def _versions(known: Mapping[str, WorkerFacts], here: WorkerFacts) -> list[Finding]:
    found = []
    for name, label in (("package", "sigmax-tasks"), ("celery", "Celery"), ("python", "Python")):
        own = _kind(name, getattr(here, name))
        others = {
            each.name: getattr(each, name)
            for each in known.values()
            if _kind(name, getattr(each, name)) != own
        }
        if not others:
            found.append(Finding(AREA, label, "ok", f"{getattr(here, name)} everywhere"))
            continue
        listed = ", ".join(f"{worker} has {text}" for worker, text in sorted(others.items()))
        found.append(
            Finding(
                AREA,
                label,
                "problem" if name == "package" else "warning",
                f"{getattr(here, name)} here, {listed}",
                "install the same version everywhere, workers first",
            )
        )
    return found


def _kind(name: str, text: str) -> str:
    """Of Python only the minor version matters."""
    return ".".join(text.split(".")[:2]) if name == "python" else text
