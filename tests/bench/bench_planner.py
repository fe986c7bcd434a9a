"""How many plans a second, and how planning grows with the catalogue.

Run it from the root of the repository: ``python tests/bench/bench_planner.py`` (or ``make bench``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from time import perf_counter

import yaml

from sigmax_planner.batches import make_batches
from sigmax_planner.catalog import Catalog
from sigmax_planner.models import AnalysisRequest, TaskPriority, TaskTemplate
from sigmax_planner.planner import create_plan
from sigmax_planner.policy import PlanningPolicy

CONFIG = Path(__file__).resolve().parents[2] / "config"
CREATED_AT = datetime(2026, 1, 1, tzinfo=UTC)
SIZES = (10, 30, 100, 300, 1000)


def seconds_per_call(work: Callable[[], object], total: float = 0.5) -> float:
    """Median over calls that last about ``total`` seconds together, at least three."""
    measured: list[float] = []
    while len(measured) < 3 or sum(measured) < total:
        start = perf_counter()
        work()
        measured.append(perf_counter() - start)
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

    open_policy = PlanningPolicy.model_validate({"profiles": {"balanced": {}}})
    limit = Decimal("0.05")
    request = AnalysisRequest(
        symbol="BTC/USDT", risk_profile="balanced", width=4, max_cost_usd=limit
    )
    print("growth (tight cost limit, width 4)")
    print(f"  {'tasks':>6}{'catalogue ms':>14}{'batches ms':>12}{'plan ms':>10}{'us/task':>10}")
    for size in SIZES:
        catalog = synthetic_catalog(size)
        templates = catalog.templates
        check = seconds_per_call(lambda templates=templates: Catalog.of(templates))  # type: ignore[misc]
        batch = seconds_per_call(lambda templates=templates: make_batches(templates, 4))  # type: ignore[misc]
        plan = seconds_per_call(
            lambda catalog=catalog: create_plan(  # type: ignore[misc]
                request, open_policy, catalog, CREATED_AT
            )
        )
        print(
            f"  {size:>6}{check * 1e3:>14.2f}{batch * 1e3:>12.2f}{plan * 1e3:>10.2f}"
            f"{plan / size * 1e6:>10.1f}"
        )


if __name__ == "__main__":
    main()
