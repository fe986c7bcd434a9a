"""The dependency check of ``make lint`` finds what it should."""

from __future__ import annotations

from tests.lint.dependencies import problems


def test_pinned_and_installed_alike_is_fine() -> None:
    installed = {"redis": "8.1.0", "typing-extensions": "4.16.0", "pip": "26.0"}
    constraints = "redis==8.1.0\ntyping_extensions==4.16.0\n"
    assert problems(constraints, installed, ["redis>=6.4", "typing-extensions>=4"]) == []


def test_each_fault_is_named() -> None:
    found = problems("redis>=8\nclick==8.2.0\n", {"click": "8.3.0", "rich": "15.0.0"}, ["rich"])
    assert found == [
        "constraints.txt: 'redis>=8' is not an exact pin",
        "click 8.3.0 is installed, constraints.txt has 8.2.0",
        "rich 15.0.0 is installed and not pinned in constraints.txt",
        "pyproject.toml: 'rich' has no lower bound",
    ]
