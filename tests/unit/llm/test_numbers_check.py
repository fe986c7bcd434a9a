"""Numbers of a claim against those of the evidence, at the precision that the claim shows."""

from __future__ import annotations

import pytest

from sigmax_tasks.llm.numbers_check import names_in, numbers_in, unfounded_numbers

CLAIM = (
    "4h trend down: score -0.90, ADX(14) 39.4; 1.31G USD (+5.0% of all) moved; "
    "430.05k transactions on 2025-03-13, M2 20,906.30"
)
FIGURES = (0.0314, -5.712, 50_528.37)
ALLOWED = (*numbers_in(CLAIM), *FIGURES)


@pytest.mark.parametrize(
    "text",
    [
        "no number at all, and one side is enough",
        "ADX(14) at 39.4 and a score of -0.9",
        "ADX near 39 on the 4h chart",
        "the fall of 5.71 is the yearly 5.7",
        "3.1 % more, or 3%",
        "1.3bn USD, that is 1.31 billion or 1,310,000,000",
        "430k transactions (430,050)",
        "since 2025-03-13, M2 grew to 20,906",
        "the average at 50,528.4",
        "\u221239.4 with a typographic minus",
        "\u0663\u0669.\u0664 in other digits",
    ],
)
def test_a_number_of_the_evidence_may_be_rounded(text: str) -> None:
    assert unfounded_numbers(text, ALLOWED, names_in(CLAIM)) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ADX at 45", "45"),
        ("ADX at 39.5", "39.5"),
        ("1.4bn moved", "1.4bn"),
        ("a target of $80,000", "80,000"),
        ("80k soon", "80k"),
        ("ten percent up", "ten percent"),
        ("a five-fold rise", "five-fold"),
        ("twenty-five per cent", "twenty-five per cent"),
        ("USD500 a coin", "USD500"),
        ("x3 from here", "x3"),
        ("the 12h chart", "12"),
        ("\uff15\uff15 coins", "55"),
        ("1e6 coins", "1e6"),
        ("4 percent", "4"),
    ],
)
def test_any_other_number_is_found(text: str, found: str) -> None:
    assert unfounded_numbers(text, ALLOWED, names_in(CLAIM))[0] == found


def test_digits_of_a_name_are_no_number() -> None:
    assert 4.0 not in numbers_in("the 4h trend")
    assert names_in("4h, us10y, ema_20 and 12") == {"4h", "us10y", "ema_20"}


def test_a_long_row_of_digits_is_one_number_and_quick() -> None:
    (found,) = unfounded_numbers("9" * 100_000, ALLOWED)
    assert found.startswith("999")
