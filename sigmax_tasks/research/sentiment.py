"""Market sentiment: tone of news and posts, fear and greed, and whether they agree.

- Tone of a text: 0.7 title + 0.3 body by :func:`score_text` (the title alone without a body); of a
  story: the mean over its texts; of a channel: the mean over its stories by weight (research.news),
  less 0.05, the level that headlines show on average in quiet times.
- Polarity of a channel: tanh(tone / 0.35). Reliability: 0.7 (news) or 0.45 (social) x
  m / (m + 3) with m the sum of the weights, x (1 - half the spread between its outlets).
- Fear and greed: see research.fear_greed.
- Agreement = 1 - standard deviation of the polarities of the sources present (1 with one source);
  every reliability is multiplied by (1 + agreement) / 2.
- The strongest story of either side is cited with low reliability: one text proves little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sigmax_tasks.models.observations import DataNeed, Observation
from sigmax_tasks.models.research import Finding, ResearchInputs
from sigmax_tasks.research.fear_greed import FearGreedReading, change_polarity, read_fear_greed
from sigmax_tasks.research.news import Channel, Story, cleaned, stories_of
from sigmax_tasks.research.polarity import score_text
from sigmax_tasks.research.scoring import InsufficientDataError, Notebook, squash

__all__ = ["needs", "research", "score_text"]

NEWS_NEED = DataNeed(source="news", kind="texts", limit=200)
TITLE_SHARE = 0.7
USUAL_TONE = 0.05
TONE_SCALE = 0.35
CHANNEL_TRUST: dict[Channel, float] = {"news": 0.7, "social": 0.45}
HALF_MASS = 3.0
LEVEL_TRUST, CHANGE_7D_TRUST, CHANGE_30D_TRUST = 0.35, 0.3, 0.15
STORY_TRUST = 0.15
STORY_FLOOR = 0.2
POSITIVE, NEGATIVE = 0.05, -0.05


@dataclass(frozen=True)
class Tone:
    """Tone of one channel: mean score, its polarity, sum of weights, spread between outlets."""

    channel: Channel
    scored: tuple[tuple[Story, float], ...]
    mean: float
    mass: float
    spread: float

    @property
    def polarity(self) -> float:
        return squash(self.mean - USUAL_TONE, TONE_SCALE)

    @property
    def reliability(self) -> float:
        trust = CHANNEL_TRUST[self.channel]
        return trust * mass_share(self.mass) * (1 - 0.5 * min(1.0, self.spread))

    @property
    def observations(self) -> tuple[Observation, ...]:
        cited = [o for story, _ in self.scored for o in story.observations]
        return tuple({o.lineage.observation_id: o for o in cited}.values())


def mass_share(mass: float) -> float:
    """m / (m + 3): 0 without texts, 0.5 at the weight of three fresh ones, towards 1."""
    return mass / (mass + HALF_MASS) if mass > 0 else 0.0


def needs(symbol: str, watchlist: tuple[str, ...]) -> tuple[DataNeed, ...]:  # noqa: ARG001 (common signature)
    """News, posts and the index are market-wide: one fetch serves every symbol."""
    return (
        NEWS_NEED,
        DataNeed(source="social", kind="texts", limit=100),
        DataNeed(source="fear_greed", kind="fear_greed", limit=90),
    )


def research(inputs: ResearchInputs) -> Finding:
    """Raises InsufficientDataError without any relevant text and without the index."""
    tones = [tone for channel in CHANNEL_TRUST if (tone := tone_of(inputs, channel))]
    mood = read_fear_greed(inputs)
    if not tones and mood is None:
        raise InsufficientDataError(
            f"no recent text about {inputs.symbol} or its market, and no fear and greed index"
        )
    agreement = agreement_of(
        [tone.polarity for tone in tones] + ([mood.level_polarity] if mood else [])
    )
    trust = (1 + agreement) / 2
    book = Notebook(inputs)
    for tone in tones:
        _write_tone(book, tone, trust)
    if mood:
        _write_mood(book, mood, trust)
    _write_stories(book, tones)
    everything = [o for tone in tones for o in tone.observations]
    everything += [mood.points.observation] if mood else []
    book.measure("sentiment_agreement", agreement, "fraction", *everything)
    sources = len(tones) + (mood is not None)
    book.labels["agreement"] = (
        "single source" if sources < 2 else "high" if agreement >= 0.75 else "low"
    )
    return book.finding(_summary(tones, mood))


def tone_of(inputs: ResearchInputs, channel: Channel) -> Tone | None:
    """None where no relevant text is left."""
    scored = tuple((story, story_score(story)) for story in stories_of(inputs, channel))
    mass = math.fsum(story.weight for story, _ in scored)
    if mass <= 0:
        return None
    mean = math.fsum(story.weight * score for story, score in scored) / mass
    by_outlet: dict[str, list[float]] = {}
    for story, _ in scored:
        for text in story.texts:
            by_outlet.setdefault(text.outlet, []).append(text_score(text.title, text.body))
    means = [math.fsum(sorted(scores)) / len(scores) for scores in by_outlet.values()]
    return Tone(channel, scored, mean, mass, _deviation(sorted(means)))


def text_score(title: str, body: str) -> float:
    """Tone of one text in [-1, 1]."""
    plain = cleaned(body)
    score = score_text(cleaned(title))
    return TITLE_SHARE * score + (1 - TITLE_SHARE) * score_text(plain) if plain else score


def story_score(story: Story) -> float:
    scores = [text_score(text.title, text.body) for text in story.texts]
    return math.fsum(scores) / len(scores)


def agreement_of(polarities: Sequence[float]) -> float:
    """1 - standard deviation (population); 1 for fewer than two."""
    return max(0.0, 1.0 - _deviation(polarities))


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


def _write_tone(book: Notebook, tone: Tone, trust: float) -> None:
    name, observations = tone.channel, tone.observations
    positive = sum(score > POSITIVE for _, score in tone.scored)
    negative = sum(score < NEGATIVE for _, score in tone.scored)
    book.measure(f"{name}_tone", tone.mean, "score", *observations)
    book.measure(f"{name}_stories", len(tone.scored), "count", *observations)
    book.measure(f"{name}_positive", positive, "count", *observations)
    book.measure(f"{name}_negative", negative, "count", *observations)
    book.measure(f"{name}_spread", tone.spread, "score", *observations)
    book.labels[f"{name}_tone"] = _word(tone.polarity)
    newest = max(text.published_at for story, _ in tone.scored for text in story.texts)
    book.argue(
        f"{name}_tone",
        f"Tone of {name} {tone.mean:+.2f} over {len(tone.scored)} stories"
        f" ({positive} positive, {negative} negative; usual level {USUAL_TONE:+.2f})",
        *observations,
        polarity=tone.polarity,
        reliability=tone.reliability * trust,
        metric_names=(f"{name}_tone", f"{name}_stories", f"{name}_spread"),
        observed_at=newest,
        untrusted_text=True,
    )


def _write_mood(book: Notebook, mood: FearGreedReading, trust: float) -> None:
    observation = mood.points.observation
    book.measure("fear_greed", mood.value, "index", observation)
    book.measure("fear_greed_change_7d", mood.change_7d, "points", observation)
    book.measure("fear_greed_change_30d", mood.change_30d, "points", observation)
    book.labels["fear_greed"] = mood.zone
    extreme = mood.zone.startswith("extreme")
    book.argue(
        "fear_greed",
        f"Fear and greed at {mood.value:.0f} ({mood.zone})"
        + (": read against the crowd" if extreme else ""),
        observation,
        polarity=mood.level_polarity,
        reliability=LEVEL_TRUST * mood.fresh * trust,
        metric_names=("fear_greed",),
        observed_at=mood.points.last_time,
    )
    for days, change, weight in (
        (7, mood.change_7d, CHANGE_7D_TRUST),
        (30, mood.change_30d, CHANGE_30D_TRUST),
    ):
        if change is not None:
            book.argue(
                f"fear_greed_change_{days}d",
                f"Fear and greed {change:+.0f} points in {days} days, to {mood.value:.0f}",
                observation,
                polarity=change_polarity(change),
                reliability=weight * mood.fresh * trust,
                metric_names=(f"fear_greed_change_{days}d",),
                observed_at=mood.points.last_time,
            )


def _write_stories(book: Notebook, tones: Sequence[Tone]) -> None:
    scored = [pair for tone in tones for pair in tone.scored]
    for side, sign in (("positive", 1.0), ("negative", -1.0)):
        best = max(scored, key=lambda pair: sign * pair[1] * pair[0].weight, default=None)
        if best is None or sign * best[1] < STORY_FLOOR:
            continue
        story, score = best
        book.argue(
            f"top_{side}_story",
            f"{', '.join(story.outlets)[:60]}: {story.quote} (tone {score:+.2f})",
            *story.observations,
            polarity=score,
            reliability=STORY_TRUST * min(1.0, story.weight),
            observed_at=story.item.published_at,
            untrusted_text=True,
        )


def _summary(tones: Sequence[Tone], mood: FearGreedReading | None) -> str:
    parts = [
        f"{tone.channel} {_word(tone.polarity)} ({tone.mean:+.2f}, {len(tone.scored)} stories)"
        for tone in tones
    ]
    if mood:
        parts.append(f"fear and greed {mood.value:.0f} ({mood.zone})")
    return "Sentiment: " + "; ".join(parts) + "."


def _word(polarity: float) -> str:
    return "positive" if polarity > 0.15 else "negative" if polarity < -0.15 else "neutral"
