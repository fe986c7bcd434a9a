"""Text from the outside must not reach the terminal as anything but text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmax_tasks.report.text import clean_text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07Bitcoin", "Bitcoin"),
        ("\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x9b2Jgone", "gone"),
        ("\x1bPq payload\x1b\\after", "after"),
        ("a\x08\x08b\x00c", "abc"),
        ("line one\r\nline\ttwo\u2028three", "line one line two three"),
        ("price \u202e00.1\u202c up", "price 00.1 up"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("[bold red]markup[/] stays", "[bold red]markup[/] stays"),
        ("caf\u00e9 \u4e2d\u6587", "caf\u00e9 \u4e2d\u6587"),
        ("\x1b", ""),
        ("lone \ud800 surrogate", "lone surrogate"),
    ],
)
def test_sequences_and_control_characters_are_taken_out(hostile: str, shown: str) -> None:
    assert clean_text(hostile) == shown


def test_long_text_is_cut_with_a_sign() -> None:
    assert clean_text("x" * 50, limit=10) == "xxxxxxx..."
    assert clean_text("x" * 10, limit=10) == "x" * 10


@given(st.text(max_size=200))
def test_nothing_but_printable_text_is_left(text: str) -> None:
    shown = clean_text(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co"}
    assert shown == " ".join(shown.split())
    assert clean_text(shown) == shown
