"""The HTML page of a run: what it shows, that it is harmless, and that it loads nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from sigmax_tasks.models.decision import Action, Calibration, Previous
from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.models.research import TaskStatus
from sigmax_tasks.report.html import report_html
from sigmax_tasks.report.page import build_page
from tests.unit.report.builders import AS_OF, make_dossier, make_record
from tests.unit.report.page_builders import (
    ENDPOINT,
    SHOWN_HEADLINE,
    make_full_dossier,
    without_technical,
)

SECTIONS = (
    "decision", "change", "price", "score", "debate", "validation", "gaps", "risk", "sizing",
    "research", "cost", "evidence", "lineage", "run",
)  # fmt: skip
LOADING = {"src", "srcset", "data", "action", "formaction", "poster", "background", "xlink:href"}
VOID = {"meta", "link", "br", "img", "input", "hr", "wbr"}


class Parsed(HTMLParser):
    """Tags, attributes, ids, the text of the page, rows of tables; unclosed tags are errors."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.rows: list[tuple[dict[str, str | None], list[str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self._cell = False
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value or "")
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self.rows.append((dict(attrs), []))
        if tag in {"td", "th"} and self.rows:
            self._cell = True
            self.rows[-1][1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()
        if tag in {"td", "th"}:
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in {"script", "style"}:
            return
        self.texts.append(data)
        if self._cell:
            self.rows[-1][1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def row(self, attribute: str, value: str) -> list[str]:
        """The cells of the row with that attribute."""
        return next(
            [" ".join(cell.split()) for cell in cells]
            for attrs, cells in self.rows
            if attrs.get(attribute) == value
        )


@pytest.fixture(scope="module")
def dossier() -> Dossier:
    return make_full_dossier()


@pytest.fixture(scope="module")
def page(dossier: Dossier) -> str:
    return report_html(dossier)


@pytest.fixture(scope="module")
def parsed(page: str) -> Parsed:
    return Parsed(page)


def test_all_sections_are_there_and_ids_are_unique(parsed: Parsed) -> None:
    assert set(SECTIONS) <= set(parsed.ids)
    assert len(parsed.ids) == len(set(parsed.ids))
    links = {value[1:] for tag, name, value in parsed.attributes if (tag, name) == ("a", "href")}
    assert links <= set(parsed.ids)


def test_text_from_outside_is_shown_as_text_everywhere(page: str, parsed: Parsed) -> None:
    assert "alert(1)</script>" not in page
    assert "<img" not in page.lower()
    assert "<b>" not in re.sub(r"<b>[-0-9.,a-z ]+</b>", "", page)
    assert parsed.tags.count("script") == 1 + 3  # the page's own, and candles of three time frames
    # claim, rebuttal, summary, gap, failure, two vetoes and the reason of the failed task
    assert page.count(SHOWN_HEADLINE) >= 8
    assert not any(name.startswith("on") for _, name, _ in parsed.attributes)


def test_control_characters_are_taken_out(page: str) -> None:
    assert not re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b\ufeff]", page)
    assert "[31m" not in page


def test_the_page_loads_nothing(page: str, parsed: Parsed) -> None:
    for tag, name, value in parsed.attributes:
        assert name not in LOADING, (tag, name)
        if name == "href":
            assert value.startswith(("#", "data:,")), value
        assert name != "style", "inline styles are against the page's own policy"
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    for word in ("fetch(", "XMLHttpRequest", "WebSocket", "eval(", "innerHTML"):
        assert word not in page


def test_the_policy_names_the_script_and_the_style_by_hash(page: str, parsed: Parsed) -> None:
    policy = next(
        v for t, n, v in parsed.attributes if (t, n) == ("meta", "content") and "src" in v
    )
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        content = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert len(content) == 1
        digest = base64.b64encode(hashlib.sha256(content[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_same_dossier_gives_the_same_page(page: str) -> None:
    assert report_html(make_full_dossier()) == page


def test_a_dossier_that_went_through_json_gives_the_same_page(dossier: Dossier, page: str) -> None:
    text = dossier.model_dump_json(exclude_computed_fields=True)
    assert report_html(Dossier.model_validate_json(text)) == page


def test_the_banner_says_where_the_data_come_from(parsed: Parsed) -> None:
    assert "SIMULATED DATA, seed 7, as of 2025-03-14 12:00 UTC" in parsed.text
    assert "no price, text or figure here is real" in parsed.text


@pytest.mark.parametrize(
    ("mode", "words"),
    [("live", "LIVE DATA, as of 2025-03-14 12:00 UTC"), ("replay", "REPLAY OF RECORDED DATA")],
)
def test_other_data_modes_have_their_own_banner(mode: str, words: str) -> None:
    page = report_html(make_full_dossier(data_mode=mode, simulated=False))
    assert words in page
    assert "SIMULATED" not in page
    assert f'class="mode-{mode}"' in page


def test_the_decision_is_shown_with_its_figures(parsed: Parsed) -> None:
    for words in (
        "BUY", "0.62", "8.4 %", "97,123.40", "94,010.00", "103,350.00", "-3.2 %", "+6.4 %", "72 h",
    ):  # fmt: skip
        assert words in parsed.text


def test_every_evidence_row_shows_the_numbers_of_the_dossier(
    dossier: Dossier, parsed: Parsed
) -> None:
    debate = dossier.record.decision.debate
    weights = {a.evidence_id: a.weight for c in (debate.bull, debate.bear) for a in c.arguments}
    items = [e for o in dossier.outcomes if o.finding for e in o.finding.evidence]
    assert len(items) > 8
    shown = [attrs for attrs, _ in parsed.rows if "data-evidence" in attrs]
    assert len(shown) == len(items)
    for item in items:
        cells = parsed.row("data-evidence", item.evidence_id)
        used = item.evidence_id in weights
        assert cells[0] == item.evidence_id
        assert cells[2:5] == [
            f"{item.polarity:+.2f}",
            f"{item.reliability:.2f}",
            f"{weights[item.evidence_id]:.4f}" if used else "",
        ]


def test_every_lineage_row_shows_the_facts_of_the_dossier(
    dossier: Dossier, page: str, parsed: Parsed
) -> None:
    lines = [item.lineage for group in dossier.observations.values() for item in group]
    shown = [attrs for attrs, _ in parsed.rows if "data-observation" in attrs]
    assert len(shown) == len(lines)
    for line in lines:
        cells = parsed.row("data-observation", line.observation_id)
        assert line.provider in cells[1]
        assert f"{line.observed_at:%Y-%m-%d %H:%M:%S}" == cells[2]
        assert f"{line.fetched_at:%Y-%m-%d %H:%M:%S}" == cells[3]
        assert cells[5] == "57.7 kB"
        assert cells[7] == line.payload_sha256[:12]
        assert f'title="{line.payload_sha256}"' in page
    ages = {parsed.row("data-observation", line.observation_id)[4] for line in lines}
    assert ages == {"0 s", "90 min"}
    assert parsed.row("data-observation", "texts:kraken:BTC/USDT:")[6] == "hit, 42 s old"


def test_credentials_in_an_endpoint_are_not_shown(page: str) -> None:
    assert "secret" not in page
    assert ENDPOINT.replace("user:secret", "***").replace("&", "&amp;") in page


def test_an_observation_that_two_tasks_share_is_one_row(dossier: Dossier) -> None:
    shared = dossier.observations["sentiment"]
    both = dossier.model_copy(update={"observations": {**dossier.observations, "keywords": shared}})
    rows = build_page(both).lineage
    assert len(rows) == len(build_page(dossier).lineage)
    assert ("sentiment", "keywords") in [row.tasks for row in rows]


def test_an_observation_that_no_finding_cites_is_marked(dossier: Dossier) -> None:
    rows = {row.observation_id: row for row in build_page(dossier).lineage}
    cited = {i.observation_id for o in dossier.outcomes if o.finding for i in o.finding.lineage}
    assert {key for key, row in rows.items() if row.used} == cited


def test_a_failed_technical_research_gives_no_chart_but_its_reason(dossier: Dossier) -> None:
    failed = without_technical(dossier)
    page = build_page(failed)
    assert page.price_tabs == ()
    assert page.price_problem == (
        "the technical research failed: no exchange answered <b>at all</b>"
    )
    html = report_html(failed)
    assert "No chart: the technical research failed" in html
    assert "&lt;b&gt;at all&lt;/b&gt;" in html
    assert set(SECTIONS) <= set(Parsed(html).ids)


def test_a_plan_without_technical_research_says_so(dossier: Dossier) -> None:
    others = tuple(o for o in dossier.outcomes if o.task_id != "technical")
    page = build_page(dossier.model_copy(update={"outcomes": others}))
    assert "has no technical research" in page.price_problem
    assert any("No outcome was kept of: technical" in line for line in page.timeline_lines)


def test_candles_that_were_not_kept_leave_the_levels(dossier: Dossier) -> None:
    page = build_page(dossier.model_copy(update={"observations": {}}))
    assert page.price_problem == "the candles of this run were not kept"
    assert page.levels


def test_a_dossier_with_next_to_nothing_still_gives_a_whole_page() -> None:
    bare = make_dossier(make_record())
    parsed = Parsed(report_html(bare))
    assert set(SECTIONS) <= set(parsed.ids)
    assert "No finding gave any." in parsed.text
    assert "No observation was kept." in parsed.text


def test_a_hold_without_a_price_has_no_levels() -> None:
    page = build_page(
        make_full_dossier(
            action=Action.HOLD,
            reference_price=None,
            stop_price=None,
            take_profit_price=None,
            size_fraction=0.0,
            vetoes=(),
        )
    )
    facts = {fact.label: fact for fact in page.facts}
    assert [facts[name].value for name in ("Reference", "Stop", "Target")] == ["n/a"] * 3
    assert page.size_bars == ()


def test_history_is_shown_where_there_is_some(dossier: Dossier) -> None:
    record = dossier.record.model_copy(
        update={
            "previous": Previous(
                run_id="20250313-120000-0badcafe",
                as_of=AS_OF,
                action=Action.SELL,
                confidence=0.41,
                score=-0.2,
                changes=("SELL became BUY",),
            ),
            "calibration": Calibration(n=40, hit_rate=0.55, brier=0.24),
        }
    )
    parsed = Parsed(report_html(dossier.model_copy(update={"record": record})))
    assert "SELL became BUY" in parsed.text
    assert "20250313-120000-0badcafe" in parsed.text
    assert "55.0 % of 40 decisions gained" in parsed.text


def test_vetoes_gaps_failures_and_alerts_are_shown(dossier: Dossier) -> None:
    research = dossier.record.research.model_copy(update={"alerts": ("failure rate 0.4",)})
    record = dossier.record.model_copy(update={"research": research, "partial": True})
    page = build_page(dossier.model_copy(update={"record": record}))
    assert page.vetoes == dossier.record.decision.vetoes
    assert page.failures == dossier.record.decision.validation.failures
    assert page.gaps == dossier.record.decision.validation.gaps
    assert page.notices == ("The run ended early, by finalize_run.", "failure rate 0.4")


def test_the_smallest_rule_decides_the_size(dossier: Dossier) -> None:
    bars = {bar.label: bar for bar in build_page(dossier).size_bars}
    assert bars["fractional Kelly"].value == "14.37 %"
    assert [label for label, bar in bars.items() if bar.decisive] == ["volatility target"]


def test_each_task_is_listed_with_its_status(dossier: Dossier) -> None:
    rows = {row.task_id: row for row in build_page(dossier).tasks}
    assert set(rows) == {task.task_id for task in dossier.record.plan.tasks}
    assert rows["onchain"].status == TaskStatus.FAILED
    assert rows["keywords"].reason == "skipped (over budget)"
    assert rows["technical"].critical
    assert not rows["sentiment"].critical


def test_hashes_and_versions_are_whole(dossier: Dossier, parsed: Parsed) -> None:
    record = dossier.record
    for words in (record.decision.decision_hash, record.settings_hash, *record.versions.values()):
        assert words in parsed.text


def test_the_page_stays_small(page: str) -> None:
    assert len(page.encode()) < 600_000
