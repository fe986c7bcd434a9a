"""Chunks: what is kept, what is done again, and what a change costs."""

from __future__ import annotations

import json
from pathlib import Path

import fakeredis
import pytest

from sigmax_tasks.errors import EvaluationError
from sigmax_tasks.evaluation.blocks import blocks_of, check_size, steps_between
from sigmax_tasks.evaluation.board import Board, Setup
from sigmax_tasks.evaluation.chunk import work
from sigmax_tasks.evaluation.kept import Kept
from sigmax_tasks.evaluation.models import ChunkAnswer, Question
from sigmax_tasks.evaluation.outline import Wish, outline
from sigmax_tasks.evaluation.packing import pack_blocks, unpack_joined
from sigmax_tasks.evaluation.recorded_desk import RecordedDesk
from sigmax_tasks.evaluation.variants import Variant, note_variant
from sigmax_tasks.settings import Settings, load_settings

from .builders import at

ID = "0123456789abcdef"


def wish(folder: Path, last: str = "2022-06-20", profile: str = "balanced") -> Wish:
    return Wish(
        ("BTC/USDT",), at("2022-06-15"), at(last), 86_400, profile, folder, only_recorded=True
    )


def answered(settings: Settings, folder: Path) -> tuple[Question, ChunkAnswer]:
    question = outline(wish(folder), settings).questions[0]
    return question, work(question, settings, RecordedDesk(settings.sources, folder))


def test_blocks_are_cut_at_the_same_moments_whatever_the_span() -> None:
    steps = steps_between(at("2024-01-01"), at("2024-02-10"), 86_400)
    later = steps_between(at("2024-01-09"), at("2024-02-10"), 86_400)
    first, second = (list(blocks_of(s, 86_400, 16)) for s in (steps, later))
    assert [step for block in first for step in block] == list(steps)
    assert set(second[1:]) <= set(first)
    assert all(len(block) <= 16 for block in first)


def test_too_much_and_nothing_at_all_are_refused() -> None:
    with pytest.raises(EvaluationError, match="no step"):
        check_size(1, 0)
    with pytest.raises(EvaluationError, match="the most at once"):
        check_size(200, 100_000)


def test_a_changed_weight_keeps_the_findings_and_a_changed_source_does_not(
    recordings: Path, settings: Settings
) -> None:
    weight = "decision.profiles.balanced.buy_threshold=0.08"
    other = load_settings(None, (weight,), environ={}).settings
    source = load_settings(None, ("quote_alternatives.USDT=[USD]",), environ={}).settings
    before, after, apart = (
        outline(wish(recordings), chosen).questions[0] for chosen in (settings, other, source)
    )
    assert before.task_keys == after.task_keys
    assert before.decisions_key != after.decisions_key
    assert not set(before.task_keys.values()) & set(apart.task_keys.values())


def test_another_profile_shares_the_findings_of_the_tasks_it_shares(
    recordings: Path, settings: Settings
) -> None:
    balanced = outline(wish(recordings), settings).questions[0].task_keys
    conservative = outline(wish(recordings, profile="conservative"), settings).questions[0]
    shared = balanced.keys() & conservative.task_keys.keys()
    assert shared
    assert all(balanced[name] == conservative.task_keys[name] for name in shared)


def test_kept_findings_are_used_and_give_the_same_decisions(
    recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    question, answer = answered(settings, recordings)
    assert answer.decisions is not None
    assert {block.task_id for block in answer.blocks} == set(question.task_keys)
    kept = Kept(tmp_path, 10)
    kept.prepare()
    assert kept.decisions(question.decisions_key) is None
    kept.keep(answer.blocks, answer.decisions)
    assert kept.decisions(question.decisions_key) == answer.decisions

    class NoDesk:
        def gather(self, *_: object) -> object:
            raise AssertionError("nothing needs to be fetched")

    known = unpack_joined(kept.findings(question.task_keys.values()))
    again = work(question, settings, NoDesk(), known)  # type: ignore[arg-type]
    assert again.blocks == ()
    assert again.decisions is not None
    assert again.decisions.decisions == answer.decisions.decisions
    assert again.decisions.without == answer.decisions.without


def test_a_damaged_file_is_worked_out_again_and_the_longest_unused_go_first(
    recordings: Path, settings: Settings, tmp_path: Path
) -> None:
    question, answer = answered(settings, recordings)
    assert answer.decisions is not None
    kept = Kept(tmp_path, 0.000_001)
    kept.prepare()
    kept.keep(answer.blocks, answer.decisions)
    key = answer.blocks[0].key
    (tmp_path / "findings" / key).write_text("not what it was")
    readable = unpack_joined(kept.findings(question.task_keys.values()))
    assert {block.key for block in readable} == {b.key for b in answer.blocks} - {key}
    kept.prune()
    assert kept.decisions(question.decisions_key) is None


def test_the_first_answer_counts_and_is_collected_once(
    recordings: Path, settings: Settings
) -> None:
    board = Board(fakeredis.FakeRedis(decode_responses=True), ID)
    question, answer = answered(settings, recordings)
    assert board.setup() is None
    board.open(Setup("{}", "hash", str(recordings), "digest"))
    board.ask(3, question, pack_blocks(answer.blocks))
    assert board.question(3) == question
    assert unpack_joined(board.known(3)) == answer.blocks
    assert board.answer(3, answer)
    assert not board.answer(3, ChunkAnswer(error="late"))
    assert board.answered(3)
    assert board.collect() == {3: answer}
    assert board.collect() == {}
    assert board.question(3) is None
    board.close()
    assert board.setup() is None
    with pytest.raises(ValueError, match="not the id"):
        Board(fakeredis.FakeRedis(decode_responses=True), "sigmax:*")


def test_variants_on_the_same_data_are_counted_once_each(tmp_path: Path) -> None:
    ledger = tmp_path / "variants.jsonl"
    assert note_variant(ledger, Variant("d", "a", 0.05)) == (1, None)
    assert note_variant(ledger, Variant("d", "a", 0.05)) == (1, None)
    assert note_variant(ledger, Variant("other", "a", 0.05)) == (1, None)
    count, variance = note_variant(ledger, Variant("d", "b", 0.01))
    assert count == 2
    assert variance == pytest.approx(0.0008)
    assert len(ledger.read_text().splitlines()) == 3
    ledger.write_text(json.dumps({"data": "d"}) + "\n")
    with pytest.raises(EvaluationError, match="line 1"):
        note_variant(ledger, Variant("d", "c", None))


def test_a_symbol_without_recordings_is_an_error_that_names_it(
    recordings: Path, settings: Settings
) -> None:
    nothing = Wish(
        ("ADA/USDT",), at("2022-06-15"), at("2022-06-20"), 86_400, "balanced", recordings
    )
    with pytest.raises(EvaluationError, match="ADA/USDT"):
        outline(nothing, settings)
