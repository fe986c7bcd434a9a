"""The comments of the shipped configuration files, by key.

A key is documented by the comment right above it, by its line in a list ("Keys of a profile:") in
the comment of a section around it or at the top of the file, by the comment above the keys that it
stands together with, or by that of the section it is a part of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from sigmax_tasks.places import shipped_folder
from sigmax_tasks.settings.layers import FILES, PREFIXED

_LISTED = re.compile(r"^\s*#\s{2,}(?P<name>[\w.]+(?:, [\w.]+)*)\s{2,}(?P<text>\S.*)$")
_CONTINUED = re.compile(r"^\s*#\s{8,}(?P<text>\S.*)$")


@dataclass(frozen=True)
class KeyNote:
    """Where a key stands and what is said about it. ``line`` counts from 1.

    ``own`` is False where only a section around the key is documented.
    """

    key: str
    file: Path
    line: int
    comment: str
    own: bool


@dataclass(frozen=True)
class _Key:
    path: tuple[str, ...]
    line: int
    end: int
    parent: int | None


@dataclass(frozen=True)
class _File:
    path: Path
    prefix: tuple[str, ...]

    @cached_property
    def lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines()

    @cached_property
    def keys(self) -> list[_Key]:
        root = yaml.compose(self.path.read_text(encoding="utf-8"), yaml.SafeLoader)
        found: list[_Key] = []
        self._collect(root, self.prefix, None, found)
        return found

    def _collect(
        self, node: object, path: tuple[str, ...], parent: int | None, found: list[_Key]
    ) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for name, value in node.value:
            key = _Key((*path, str(name.value)), name.start_mark.line, value.end_mark.line, parent)
            found.append(key)
            self._collect(value, key.path, len(found) - 1, found)

    def above(self, line: int) -> list[str]:
        """The comment lines right above a line."""
        first = line
        while first > 0 and self.lines[first - 1].lstrip().startswith("#"):
            first -= 1
        return self.lines[first:line]

    @cached_property
    def header(self) -> list[str]:
        found = []
        for text in self.lines:
            if text.strip() and not text.startswith("#"):
                break
            found.append(text)
        return found

    def note(self, index: int) -> KeyNote:
        key = self.keys[index]
        own = _plain(self.above(key.line)) or self._trailing(key) or self._listed(index)
        comment = own or self._neighbour(index)
        around = key.parent
        while not comment and around is not None:
            comment = _plain(self.above(self.keys[around].line))
            around = self.keys[around].parent
            if comment:
                return KeyNote(".".join(key.path), self.path, key.line + 1, comment, own=False)
        return KeyNote(".".join(key.path), self.path, key.line + 1, comment, own=bool(comment))

    def _trailing(self, key: _Key) -> str:
        _, sign, text = self.lines[key.line].partition("  # ")
        return text.strip() if sign else ""

    def _listed(self, index: int) -> str:
        """The key's line in a list of keys, nearest section first."""
        key = self.keys[index]
        around = key.parent
        blocks = []
        while around is not None:
            blocks.append(self.above(self.keys[around].line))
            around = self.keys[around].parent
        for block in (*blocks, self.header):
            for name, text in _listed_in(block):
                dotted = ".".join(key.path)
                if any(dotted.endswith(f".{each}") for each in name.split(", ")):
                    return text
        return ""

    def _neighbour(self, index: int) -> str:
        """The comment of the key that stands directly above, with no empty line between."""
        key = self.keys[index]
        siblings = [k for k in self.keys[:index] if k.parent == key.parent and k.line < key.line]
        if not siblings or not self.lines[key.line - 1].strip():
            return ""
        before = self.keys.index(siblings[-1])
        return _plain(self.above(siblings[-1].line)) or self._neighbour(before)


def key_notes() -> Iterator[KeyNote]:
    """One for each key and section of the shipped files."""
    for name in FILES:
        prefix = (name,) if name in PREFIXED else ()
        file = _File(shipped_folder() / f"{name}.yaml", prefix)
        for index in range(len(file.keys)):
            yield file.note(index)


def _plain(block: list[str]) -> str:
    """A comment without its signs and its lists of keys."""
    kept = []
    in_list = False
    for line in block:
        if _LISTED.match(line):
            in_list = True
        elif not (in_list and _CONTINUED.match(line)):
            in_list = False
            kept.append(line.lstrip().removeprefix("#").strip())
    return " ".join(" ".join(kept).split())


def _listed_in(block: list[str]) -> Iterator[tuple[str, str]]:
    name, text = "", ""
    for line in block:
        listed, more = _LISTED.match(line), _CONTINUED.match(line)
        if listed:
            if name:
                yield name, text
            name, text = listed["name"], listed["text"]
        elif more and name:
            text = f"{text} {more['text']}"
        elif name:
            yield name, text
            name = ""
    if name:
        yield name, text
