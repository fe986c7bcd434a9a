"""How many plans a second, and how planning grows with the catalogue.

Run it from the root of the repository: ``python tests/bench/bench_planner.py`` (or ``make bench``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import process_time

import yaml

from sigmax_planner.batches import make_batches
from sigmax_planner.catalog import Catalog
from sigmax_planner.facts import NOTHING_KNOWN, PlanningFacts, SourceHeadroom, TaskSample
from sigmax_planner.models import (
    AnalysisRequest,
    MarketContext,
    ResearchPlan,
    TaskPriority,
    TaskTemplate,
)
from sigmax_planner.planner import create_plan
from sigmax_planner.policy import PlanningPolicy

CONFIG = Path(__file__).resolve().parents[2] / "config"
CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
SIZES = (10, 30, 100, 300, 1000)


def seconds_per_call(work: Callable[[], object], total: float = 0.5) -> float:
    """Median CPU seconds of calls that last about ``total`` together, at least three."""
    measured: list[float] = []
    while len(measured) < 3 or sum(measured) < total:
        start = process_time()
        work()
        measured.append(process_time() - start)
    return median(measured)


def shipped_catalog() -> Catalog:
    content = yaml.safe_load((CONFIG / "tasks.yaml").read_text(encoding="utf-8"))
    sources = {source for task in content["tasks"].values() for source in task["data_sources"]}
    return Catalog.from_mapping(content, data_sources=sources)


def synthetic_catalog(count: int) -> Catalog:
    """Three dependencies a task at most, mixed priorities, a third optional."""
    priorities = list(TaskPriority)
    return Catalog.of(
        [
            TaskTemplate(
                task_id=f"t{number}",
                name=f"Task {number}",
                priority=priorities[number * 7 % 4],
                data_sources=("price_data",),
                dependencies=tuple({f"t{number // k}" for k in (2, 3, 5) if number // k < number}),
                timeout_seconds=number % 37 + 1,
                estimated_seconds=number % 37 + 1,
                estimated_cost_usd=Decimal(number % 5) / 100,
                optional=number % 3 == 0,
                handler="package.module:research",
            )
            for number in range(count)
        ]
    )


def dense_catalog(count: int, each: int) -> Catalog:
    """Every task depends on the ``each`` before it: as many edges as tasks times that."""
    templates = [
        template.model_copy(
            update={
                "dependencies": tuple(f"t{n}" for n in range(max(0, number - each), number)),
                "optional": False,
            }
        )
        for number, template in enumerate(synthetic_catalog(count).templates)
    ]
    return Catalog.of(templates)


def work_of(catalog: Catalog) -> float:
    """(n + e) log n for n tasks and e dependencies."""
    count = len(catalog.templates)
    edges = sum(len(template.dependencies) for template in catalog.templates)
    return (count + edges) * math.log2(max(2, count))


def milliseconds(work: Callable[[], object]) -> float:
    return seconds_per_call(work) * 1e3


def facts_of(catalog: Catalog) -> PlanningFacts:
    """All that can be known: fifty samples of each task, a market, a scarce source."""
    samples = tuple(TaskSample(f"r{n}", 1.0 + n % 7, Decimal(n % 3) / 1000) for n in range(50))
    return PlanningFacts(
        market=MarketContext(observed_at=CREATED_AT, volume_ratio=3.0),
        samples={template.task_id: samples for template in catalog.templates},
        headroom={"price_data": SourceHeadroom(0.1, 0.0, "3 of 30 requests left")},
    )


def growth(name: str, catalogs: list[Catalog]) -> None:
    """A table; the last column is the time over (n + e) log n, against that of the first row.

    Where it stays about 1 or below, planning grows no faster than that.
    """
    settings = {"profiles": {"balanced": {}}, "priorities": {"rules": {}}}
    levels = PlanningPolicy.model_validate(settings)
    flow = PlanningPolicy.model_validate({**settings, "planning": {"batching": "critical_path"}})
    request = AnalysisRequest(
        symbol="BTC/USDT", risk_profile="balanced", width=4, max_cost_usd=Decimal("0.05")
    )
    print(f"{name} (tight cost limit, width 4), ms")
    head = ("tasks", "edges", "catalogue", "batches", "plan", "crit. path", "learned", "JSON")
    print("  " + "".join(f"{word:>11}" for word in head) + f"{'growth':>9}")
    first = 0.0
    for catalog in catalogs:
        templates, facts = catalog.templates, facts_of(catalog)

        def plan(
            policy: PlanningPolicy = levels,
            catalog: Catalog = catalog,
            facts: PlanningFacts = NOTHING_KNOWN,
        ) -> ResearchPlan:
            return create_plan(request, policy, catalog, CREATED_AT, facts)

        made = plan()
        figures = (
            milliseconds(lambda templates=templates: Catalog.of(templates)),  # type: ignore[misc]
            milliseconds(lambda templates=templates: make_batches(templates, 4)),  # type: ignore[misc]
            milliseconds(plan),
            milliseconds(lambda plan=plan: plan(flow)),  # type: ignore[misc]
            milliseconds(lambda plan=plan, facts=facts: plan(facts=facts)),  # type: ignore[misc]
            milliseconds(made.to_json_dict),
        )
        ratio = figures[2] / work_of(catalog)
        first = first or ratio
        edges = sum(len(template.dependencies) for template in templates)
        print(
            f"  {len(templates):>11}{edges:>11}"
            + "".join(f"{figure:>11.2f}" for figure in figures)
            + f"{ratio / first:>9.2f}"
        )


def main() -> None:
    shipped, policy = shipped_catalog(), PlanningPolicy()
    print("shipped catalogue, plan with all estimates as JSON")
    for profile in policy.profiles:
        request = AnalysisRequest(symbol="BTC/USDT", risk_profile=profile)
        each = seconds_per_call(
            lambda request=request: create_plan(  # type: ignore[misc]
                request, policy, shipped, CREATED_AT
            ).to_json_dict()
        )
        print(f"  {profile:<14}{1 / each:>8.0f} plans/s {each * 1e3:>8.2f} ms")

    growth("few dependencies", [synthetic_catalog(size) for size in SIZES])
    growth("ten dependencies a task", [dense_catalog(size, 10) for size in SIZES])


if __name__ == "__main__":
    main()
