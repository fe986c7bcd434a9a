"""The keywords task: phrases, trend against a baseline, tone."""

from __future__ import annotations

import pytest
from family_inputs import check_finding, inputs, text, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from sigmax_tasks.models.research import Finding
from sigmax_tasks.research import sentiment
from sigmax_tasks.research.keywords import needs, research, trend_ratio
from sigmax_tasks.research.scoring import InsufficientDataError

NOW_HALVING = [
    text("Bitcoin halving drives rally", 1, "CoinDesk"),
    text("Analysts expect gains after bitcoin halving", 3, "Decrypt"),
    text("Investors cheer bitcoin halving day", 5, "The Block"),
]
BEFORE = [
    text(f"Bitcoin {topic}", 20 + 3 * i, "CoinDesk")
    for i, topic in enumerate(["custody", "Lightning wallet", "mining pool", "payments", "museum"])
]


def test_needs_are_those_of_sentiment_so_that_one_fetch_serves_both() -> None:
    assert needs("BTC/USDT", ())[0] in sentiment.needs("ETH/USDT", ())


def test_a_phrase_of_today_is_trending() -> None:
    finding = research(inputs("keywords", texts(NOW_HALVING + BEFORE)))
    check_finding(finding, "keywords")
    assert "halving" in finding.labels["trending"]
    assert "halving" in finding.labels["keywords"].split(";")[0]
    first = finding.evidence[0]
    assert first.untrusted_text
    assert first.polarity > 0
    assert first.reliability <= 0.2
    assert finding.metric("keyword_1_stories") == 3
    assert finding.metric("keyword_1_trend") == pytest.approx((3.5 / 4) / (0.5 / 6))


def test_the_same_phrase_all_week_is_not_trending() -> None:
    steady = [text(t.title, 30 + i, t.outlet) for i, t in enumerate(NOW_HALVING)]
    steady += [
        text(f"Bitcoin halving {word} view", 60 + i) for i, word in enumerate(["calm", "old"])
    ]
    finding = research(inputs("keywords", texts(NOW_HALVING + steady)))
    assert finding.labels["trending"] == "none"


def test_trend_ratio_by_hand() -> None:
    assert trend_ratio(3, 3, 0, 5) == pytest.approx((3.5 / 4) / (0.5 / 6))
    assert trend_ratio(1, 10, 10, 100) == pytest.approx((1.5 / 11) / (10.5 / 101))
    assert trend_ratio(3, 3, 0, 0) is None
    assert trend_ratio(0, 0, 3, 3) is None


def test_the_name_of_the_asset_is_no_keyword() -> None:
    finding = research(inputs("keywords", texts(NOW_HALVING + BEFORE)))
    assert not {"bitcoin", "btc"} & set(finding.labels["keywords"].split("; "))


def test_disagreement_with_sentiment_is_stated_and_weakens() -> None:
    up = sentiment.research(inputs("sentiment", texts(NOW_HALVING)))
    down = sentiment.research(inputs("sentiment", texts([text("Bitcoin crash", 1)])))

    def with_upstream(finding: Finding) -> Finding:
        return research(
            inputs("keywords", texts(NOW_HALVING + BEFORE), upstream={"sentiment": finding})
        )

    assert with_upstream(up).labels["agrees_with_sentiment"] == "yes"
    assert with_upstream(down).labels["agrees_with_sentiment"] == "no"
    assert with_upstream(down).strength == pytest.approx(0.7 * with_upstream(up).strength)


def test_too_few_stories_is_an_error() -> None:
    with pytest.raises(InsufficientDataError, match="only 2 relevant news stories"):
        research(inputs("keywords", texts(NOW_HALVING[:2])))
    with pytest.raises(InsufficientDataError):
        research(inputs("keywords"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=3, max_size=12), st.randoms())
def test_any_titles_give_a_sound_finding_whatever_their_order(titles, random) -> None:
    found = [text(f"Bitcoin {title}", i * 3) for i, title in enumerate(titles)]
    shuffled = list(found)
    random.shuffle(shuffled)
    try:
        first = research(inputs("keywords", texts(found)))
    except InsufficientDataError:
        return
    check_finding(first, "keywords")
    assert research(inputs("keywords", texts(shuffled))) == first
