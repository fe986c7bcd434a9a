"""How well and how fast headlines are scored, on headlines labelled by people.

Run it from the root of the repository: ``python tests/bench/bench_sentiment.py``. It reads
``sentiment/cryptolin_headlines.csv`` in $SIGMAX_SHARED_DATA (default ``../shared/data``).

Nothing in the lexicon is fitted, so cross-validation only shows the spread: each headline is scored
by the same rules whichever fold it is in. The lexicon's words were chosen with word counts and
errors of the half "A" of the headlines (by hash of the id) in view, and after reading a random
sample of both; the errors of half "B" were never looked at.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, pstdev
from time import perf_counter

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from sigmax_tasks.research.sentiment import score_text

REPO = Path(__file__).resolve().parents[2]
SIDES = (-1, 0, 1)
FOLDS = 5


def side(score: float) -> int:
    return 1 if score > 0.05 else -1 if score < -0.05 else 0


def f1_scores(truth: Sequence[int], said: Sequence[int]) -> list[float]:
    """F1 of negative, neutral and positive."""
    found = []
    for wanted in SIDES:
        both = sum(t == s == wanted for t, s in zip(truth, said, strict=True))
        all_of_it = list(truth).count(wanted) + list(said).count(wanted)
        found.append(2 * both / all_of_it if all_of_it else 0.0)
    return found


def report(name: str, truth: Sequence[int], said: Sequence[int]) -> None:
    negative, neutral, positive = f1_scores(truth, said)
    sided = [(t, s) for t, s in zip(truth, said, strict=True) if t and s]
    right = sum(t == s for t, s in sided) / len(sided)
    accuracy = fmean(t == s for t, s in zip(truth, said, strict=True))
    print(
        f"{name:<22} {len(truth):5} headlines  macro-F1 {fmean((negative, neutral, positive)):.3f}"
        f"  (negative {negative:.3f}, neutral {neutral:.3f}, positive {positive:.3f})"
        f"  accuracy {accuracy:.3f}, where both take a side {right:.3f}"
    )


def confusion(truth: Sequence[int], said: Sequence[int]) -> None:
    print(f"\n{'people | lexicon':<18}{'negative':>10}{'neutral':>10}{'positive':>10}")
    for wanted, name in zip(SIDES, ("negative", "neutral", "positive"), strict=True):
        row = [
            sum(t == wanted and s == got for t, s in zip(truth, said, strict=True)) for got in SIDES
        ]
        print(f"{name:<18}" + "".join(f"{count:>10}" for count in row))


def bucket(identifier: str, count: int) -> int:
    return int(hashlib.sha256(identifier.encode()).hexdigest(), 16) % count


def main() -> None:
    folder = Path(os.environ.get("SIGMAX_SHARED_DATA", REPO.parent / "shared" / "data"))
    labelled = folder / "sentiment/cryptolin_headlines.csv"
    if not labelled.is_file():
        print(f"not measured: no {labelled}; SIGMAX_SHARED_DATA names the folder of recordings")
        return
    with labelled.open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth = [int(row["label"]) for row in rows]
    said = [side(score_text(row["headline"])) for row in rows]
    vader = SentimentIntensityAnalyzer()
    plain = [side(vader.polarity_scores(row["headline"])["compound"]) for row in rows]
    report("VADER alone", truth, plain)
    report("lexicon over VADER", truth, said)
    for half, name in ((0, "  half A (seen)"), (1, "  half B (check)")):
        chosen = [i for i, row in enumerate(rows) if bucket(row["id"], 2) == half]
        report(name, [truth[i] for i in chosen], [said[i] for i in chosen])
    folds = []
    for fold in range(FOLDS):
        chosen = [i for i, row in enumerate(rows) if bucket(f"fold {row['id']}", FOLDS) == fold]
        folds.append(fmean(f1_scores([truth[i] for i in chosen], [said[i] for i in chosen])))
    print(
        f"{FOLDS} folds: macro-F1 {fmean(folds):.3f} +- {pstdev(folds):.3f}"
        f" ({', '.join(f'{value:.3f}' for value in folds)})"
    )
    confusion(truth, said)
    start = perf_counter()
    for row in rows:
        score_text(row["headline"])
    print(f"\n{(perf_counter() - start) / len(rows) * 1e6:.0f} microseconds a headline")


if __name__ == "__main__":
    main()
