"""Renders the page of a dossier: one file, with its styles and its script, that loads nothing.

Jinja escapes whatever a template prints, and control characters are taken out before. The policy
in the page lets a browser run the one script and the one style sheet whose hashes it names, and
fetch nothing.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from sigmax_tasks.models.dossier import Dossier
from sigmax_tasks.report.page import build_page
from sigmax_tasks.report.text import clean_text

_LONGEST_TEXT = 4000


def report_html(dossier: Dossier) -> str:
    """The whole page; the same text for the same dossier."""
    return page_template("report.html.j2").render(
        page=build_page(dossier), **page_parts("report.css")
    )


def page_template(name: str) -> Template:
    """A template of ours that escapes whatever it prints."""
    return _environment().get_template(name)


def page_parts(*styles: str) -> dict[str, object]:
    """Style sheet, script and the policy that allows these two and nothing else."""
    style, script = "".join(map(_asset, styles)), _asset("report.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    return {
        "policy": policy,
        "style": Markup(style),  # noqa: S704  # our own files
        "script": Markup(script),  # noqa: S704  # our own file
    }


def harmless(value: object) -> object:
    """Text without control characters; markup of our own and numbers as they are."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean_text(value, limit=_LONGEST_TEXT)
    return value


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("sigmax_tasks.report"),
        autoescape=True,
        finalize=harmless,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _asset(name: str) -> str:
    return files("sigmax_tasks.report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
