"""Messages of StockTwits about one coin, with the leaning their authors tagged them with."""

from __future__ import annotations

from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from sigmax_tasks.errors import PermanentSourceError, RateLimitedError, WrongQuestionError
from sigmax_tasks.models.observations import DataNeed, Observation, TextItem
from sigmax_tasks.sources.call import Call
from sigmax_tasks.sources.feeds import BODY_LENGTH, TITLE_LENGTH, observe_texts, plain_text

_LEANINGS: Final = frozenset({"Bullish", "Bearish"})


class StocktwitsOptions(BaseModel):
    """``coin`` is whose messages stand for the whole market; stale as for feeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    coin: str = Field(default="BTC", pattern=r"^[A-Z0-9]{1,15}$")
    max_age_hours: float = Field(default=24, gt=0)


class _Sentiment(BaseModel):
    basic: str | None = None


class _Entities(BaseModel):
    sentiment: _Sentiment | None = None


class _Message(BaseModel):
    id: int
    body: str
    created_at: AwareDatetime
    entities: _Entities | None = None


class _Status(BaseModel):
    status: int = 200


class _Problem(BaseModel):
    message: str = ""


class _Stream(BaseModel):
    response: _Status = _Status()
    errors: list[_Problem] = []
    messages: list[_Message] = []


def fetch_stocktwits(need: DataNeed, call: Call) -> Observation:
    """:class:`Texts`; a tag is kept as the word ``Bullish`` or ``Bearish`` in front of the body."""
    options = call.options
    if not isinstance(options, StocktwitsOptions):
        raise TypeError("the stocktwits adapter needs StocktwitsOptions")
    coin = call.base_coin(need) if need.symbol else options.coin
    stream = call.get_model(_Stream, f"/api/2/streams/symbol/{coin}.X.json")
    if stream.response.status != 200:
        said = stream.errors[0].message[:160] if stream.errors else ""
        problem = f"status {stream.response.status} in a good answer: {said}"
        if stream.response.status == 429:
            raise RateLimitedError(call.provider_id, problem)
        if stream.response.status == 404:
            raise WrongQuestionError(call.provider_id, problem)
        raise PermanentSourceError(call.provider_id, problem)
    items = []
    for message in stream.messages:
        text = plain_text(message.body)
        leaning = _leaning(message)
        if text:
            tag = f"{leaning}: " if leaning else ""
            items.append(
                TextItem(
                    outlet="StockTwits",
                    title=text[:TITLE_LENGTH],
                    body=f"{tag}{text}"[:BODY_LENGTH] if tag or len(text) > TITLE_LENGTH else "",
                    url=f"https://stocktwits.com/message/{message.id}",
                    published_at=message.created_at,
                )
            )
    return observe_texts(need, call, items, options.max_age_hours)


def _leaning(message: _Message) -> str:
    if message.entities is None or message.entities.sentiment is None:
        return ""
    stated = message.entities.sentiment.basic
    return stated if stated in _LEANINGS else ""
