"""The privacy stage: clean messages, counts, and warnings of compliance words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sigmax_tasks.models.observations import Missing, Observation, TextItem, Texts
from sigmax_tasks.models.policy import PrivacyPolicy
from sigmax_tasks.models.research import Finding, PhraseCount
from sigmax_tasks.stages.chain import run_chain
from sigmax_tasks.stages.privacy import Redactor, phrases_in, phrases_in_observations
from tests.unit.stages.builders import (
    AS_OF,
    bundle,
    evidence,
    finding,
    lineage,
    outcome,
    policy,
    profile,
    shipped_policy,
)

KEY = "sk-abcdef1234567890ABCDEF"
PRIVACY = PrivacyPolicy()


def item(title: str = "Title", body: str = "", url: str = "", at: datetime = AS_OF) -> TextItem:
    return TextItem(outlet="outlet", title=title, body=body, url=url, published_at=at)


def texts(*items: TextItem, endpoint: str = "/rss") -> Observation:
    return Observation(
        lineage=lineage("news", endpoint=endpoint), data=Texts(channel="news", items=items)
    )


def test_every_free_text_of_a_finding_is_cleaned_and_nothing_else_is_touched() -> None:
    claim = evidence("sentiment", "one", "news").model_copy(update={"claim": f"key {KEY}"})
    dirty = finding(
        "technical",
        evidence_items=[claim],
        labels={"note": "mail a@b.co", "trend": "up"},
        missing=(Missing(source="news", need="texts", reason=f"GET /x?apikey={KEY} failed"),),
    ).model_copy(update={"summary": "ring +14155550123"})
    redactor = Redactor(PRIVACY)
    clean = redactor.finding(dirty)
    assert clean.summary == "ring [phone]"
    assert clean.evidence[0].claim == "key [secret]"
    assert clean.labels == {"note": "mail [email]", "trend": "up"}
    assert clean.missing[0].reason == "GET /x?apikey=[secret] failed"
    assert redactor.counts == {"phone": 1, "secret": 2, "email": 1}
    same = {"metrics", "lineage", "score", "strength", "as_of", "symbol", "task_id"}
    assert clean.model_dump(include=same) == dirty.model_dump(include=same)
    assert Redactor(PRIVACY).finding(clean) == clean
    assert Finding.model_validate_json(clean.model_dump_json()) == clean


def test_headlines_posts_and_addresses_are_cleaned() -> None:
    given_ = texts(
        item(
            f"Leak: {KEY}",
            "write to a@b.co or +14155550123",
            f"https://u:p@x.example/4111111111111111?token={KEY}",
        ),
        endpoint=f"/v1/news?api_key={KEY}&limit=10",
    )
    redactor = Redactor(PRIVACY)
    (clean,) = redactor.observations([given_])
    assert isinstance(clean.data, Texts)
    assert clean.data.items[0].title == "Leak: [secret]"
    assert clean.data.items[0].body == "write to [email] or [phone]"
    # The long number of an address is the id of a page.
    assert clean.data.items[0].url == "https://***@x.example/4111111111111111?token=[secret]"
    assert clean.lineage.endpoint == "/v1/news?api_key=[secret]&limit=10"
    assert clean.lineage.payload_sha256 == given_.lineage.payload_sha256
    assert redactor.counts == {"secret": 4, "email": 1, "phone": 1}


@pytest.mark.parametrize("kind", ["email", "phone", "card", "iban"])
def test_the_kinds_of_personal_data_are_those_of_the_policy(kind: str) -> None:
    by_kind = {
        "email": "a@b.co",
        "phone": "+14155550123",
        "card": "4111111111111111",
        "iban": "DE89370400440532013000",
    }
    text = " ; ".join(by_kind.values())
    redactor = Redactor(PrivacyPolicy.model_validate({"personal_data": [kind]}))
    assert redactor.text(text) == text.replace(by_kind[kind], f"[{kind}]")
    assert redactor.counts == {kind: 1}


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="personal_data"):
        PrivacyPolicy.model_validate({"personal_data": ["names"]})


PIECES = st.sampled_from(["a@b.co ", "x@y.org", KEY, " ", "abc", "+14155550123", "http://u@h/ "])


@given(st.lists(PIECES, max_size=120).map("".join))
@settings(max_examples=200, deadline=None)
def test_texts_keep_the_length_that_their_message_allows(text: str) -> None:
    """A mark may be longer than what it stands for; a kept message must be readable again."""
    (clean,) = Redactor(PRIVACY).observations(
        [texts(item(text[:500] or "x", text[:2000], text[:500]))]
    )
    assert Observation.model_validate_json(clean.model_dump_json()) == clean
    again = Redactor(PRIVACY)
    assert again.observations([clean]) == (clean,)
    assert again.counts == {}


@pytest.mark.parametrize(
    "text",
    [
        "A GUARANTEED RETURN of 5 %",
        "guaranteed   returns",
        "guaranteed-return",
        "guar\u200banteed return",
        "\uff27uaranteed return",
        "Guaranteed\nreturn",
    ],
)
def test_a_phrase_is_found_however_it_is_written(text: str) -> None:
    assert phrases_in([text], PRIVACY) == (PhraseCount(phrase="guaranteed return", texts=1),)


@pytest.mark.parametrize(
    "text", ["guaranteed a return", "unguaranteed return", "guaranteed returning", "pump", ""]
)
def test_other_words_are_no_phrase(text: str) -> None:
    assert phrases_in([text], PRIVACY) == ()


def test_texts_are_counted_and_not_words() -> None:
    given_ = [
        texts(item("pump group pump group"), item("x", "join the Pump Group")),
        texts(item("Insider information leaks")),
    ]
    assert phrases_in_observations(given_, PRIVACY) == (
        PhraseCount(phrase="insider information", texts=1),
        PhraseCount(phrase="pump group", texts=2),
    )


def flagged(**changes: Any) -> tuple[str, ...]:
    read = (PhraseCount(phrase="pump group", texts=2), PhraseCount(phrase="insider tip", texts=1))
    claim = evidence("keywords", "one", "news").model_copy(
        update={"claim": 'Keyword "pump group" in 2 stories'}
    )
    given_ = bundle(
        outcome(finding("sentiment"), compliance=read),
        outcome(finding("keywords", evidence_items=[claim])),
    )
    made = run_chain(given_, profile(), policy(**changes))
    return tuple(w for w in made.risk.warnings if w.startswith("compliance"))


def test_the_decision_warns_of_compliance_words() -> None:
    assert flagged() == (
        'compliance: "insider tip" in 1 text read by sentiment',
        'compliance: "pump group" in 2 texts read by sentiment and the finding of keywords',
    )


def test_only_the_phrases_of_the_policy_count() -> None:
    assert flagged(privacy__compliance_phrases=["insider tip"]) == (
        'compliance: "insider tip" in 1 text read by sentiment',
    )
    assert flagged(privacy__compliance_phrases=[]) == ()


def test_a_warning_changes_nothing_else_of_the_decision() -> None:
    plain = run_chain(bundle(), profile(), shipped_policy())
    read = (PhraseCount(phrase="pump group", texts=2),)
    warned = run_chain(
        bundle(outcome(finding("sentiment"), compliance=read)), profile(), shipped_policy()
    )
    assert warned.risk.warnings[:-1] == plain.risk.warnings
    assert warned.decision_hash != plain.decision_hash
    without = {"risk", "decision_hash"}
    assert warned.model_dump(exclude=without) == plain.model_dump(exclude=without)


@pytest.mark.parametrize("phrase", ["", "x", "--- ---", "x" * 61])
def test_a_phrase_without_words_is_refused(phrase: str) -> None:
    with pytest.raises(ValidationError):
        PrivacyPolicy.model_validate({"compliance_phrases": [phrase]})
