"""CoinMetrics community: daily asset metrics as strings, with nanoseconds in the times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sigmax_tasks.simulator.protocols.reply import (
    BadRequestError,
    Reply,
    Request,
    iso,
    json_reply,
    unknown_path,
)
from sigmax_tasks.simulator.world import UnknownNameError, World

_WHOLE: Final = frozenset(("AdrActCnt", "TxCnt", "TxTfrCnt", "BlkCnt"))
_MOST_ROWS: Final = 10_000


def answer(world: World, request: Request) -> Reply:
    if request.path.rstrip("/") != "/v4/timeseries/asset-metrics":
        return unknown_path(request)
    try:
        return _metrics(world, request)
    except BadRequestError as refusal:
        return _refuse("bad_parameter", f"Bad parameter '{refusal.parameter}'. {refusal}.", 400)


def _metrics(world: World, request: Request) -> Reply:
    assets = [name for name in request.text("assets").split(",") if name]
    metrics = [name for name in request.text("metrics").split(",") if name]
    if not assets or not metrics:
        raise BadRequestError("metrics" if assets else "assets", "is required")
    if request.text("frequency", "1d") != "1d":
        raise BadRequestError("frequency", "must be 1d here")
    start, end = _seconds(request, "start_time"), _seconds(request, "end_time")
    size = request.integer("page_size", 100, 1, _MOST_ROWS)
    rows: list[dict[str, str]] = []
    for asset in assets:
        by_day: dict[int, dict[str, str]] = {}
        for metric in metrics:
            try:
                points = world.chain_metric("coinmetrics", asset, metric)
            except UnknownNameError:
                if request.flag("ignore_forbidden_errors"):
                    continue  # what it does not know it does not give away either
                text = f"Requested metric '{metric}' with frequency '1d' for asset '{asset}' "
                return _refuse("forbidden", text + "is not available with supplied credentials.")
            for point in points:
                after = start is None or point.seconds >= start
                if after and (end is None or point.seconds <= end):
                    by_day.setdefault(point.seconds, {})[metric] = _number(metric, point.value)
        for seconds in sorted(by_day):
            stamp = iso(seconds * 1000, 0)[:-1] + ".000000000Z"
            rows.append({"asset": asset, "time": stamp, **by_day[seconds]})
    token = request.integer("next_page_token", 0, 0, 10**9)
    from_end = request.text("paging_from", "end" if start is None else "start") == "end"
    if from_end:
        stop = len(rows) - token
        page, more = rows[max(stop - size, 0) : max(stop, 0)], stop - size > 0
    else:
        page, more = rows[token : token + size], token + size < len(rows)
    payload: dict[str, object] = {"data": page}
    if more:
        payload["next_page_token"] = str(token + size)
    return json_reply(payload)


def _number(metric: str, value: float) -> str:
    return str(round(value)) if metric in _WHOLE else f"{value:.12g}"


def _seconds(request: Request, name: str) -> float | None:
    text = request.text(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text[:19].rstrip("Z"))
    except ValueError:
        raise BadRequestError(name, "is not a date") from None
    return moment.replace(tzinfo=UTC).timestamp()


def _refuse(kind: str, message: str, status: int = 403) -> Reply:
    return json_reply({"error": {"type": kind, "message": message}}, status)
