"""The Fear and Greed index of alternative.me: strings, unix seconds, newest first, one a day."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sigmax_tasks.errors import PermanentSourceError
from sigmax_tasks.models.observations import DataNeed, FearGreed, Observation
from sigmax_tasks.sources.call import Call, tidy_points
from sigmax_tasks.sources.domains import check_newest


class _Row(BaseModel):
    value: float = Field(ge=0, le=100)
    value_classification: str | None = Field(default=None, max_length=40)
    timestamp: int = Field(gt=0)


class _Metadata(BaseModel):
    error: str | None = None


class _Index(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False)
    data: list[_Row]
    metadata: _Metadata = _Metadata()


def fetch_fear_greed(need: DataNeed, call: Call) -> Observation:
    """:class:`FearGreed` of the last ``need.limit`` days; the word is the provider's own."""
    answer = call.get_model(_Index, "/fng/", {"limit": need.limit, "format": "json"})
    if answer.metadata.error:
        raise PermanentSourceError(call.provider_id, answer.metadata.error)
    rows = tidy_points([(row.timestamp * 1000, row.value) for row in answer.data])[-need.limit :]
    if not rows:
        raise call.bad("no values")
    check_newest(call, rows[-1][0])
    word = max(answer.data, key=lambda row: row.timestamp).value_classification
    return call.observe(need, FearGreed(rows=tuple(rows), classification=word))
