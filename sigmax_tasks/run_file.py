"""A finished run as one file: everything that its decision rests on, checksummed.

One line of ASCII JSON, ``{"format":"sigmax-run","schema_version":1,"sha256":HEX,"run":RUN}``. RUN
is a :class:`Dossier` with sorted keys and no spaces; HEX is the SHA-256 of exactly these bytes.
Two exports of a run are the same bytes. Passwords and keys that the settings or the address of the
data server may hold are not in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import ValidationError

from sigmax_tasks.errors import RunFileError
from sigmax_tasks.models.dossier import SCHEMA_VERSION, Dossier
from sigmax_tasks.redact import redact_url
from sigmax_tasks.whole_file import write_whole

FORMAT = "sigmax-run"
STANDARD_STREAM = "-"
MAX_FILE_BYTES = 200_000_000
_MAX_SETTINGS_DEPTH = 30
_SECRET_KEY = re.compile(r"(?:password|passwd|secret|token|api_?key)$", re.IGNORECASE)
_HEAD = re.compile(
    rb'\s{0,99}\{\s{0,99}"format"\s{0,9}:\s{0,9}"sigmax-run"\s{0,9},\s{0,99}'
    rb'"schema_version"\s{0,9}:\s{0,9}(\d{1,9})\b'
)
_EXACT_HEAD = re.compile(rb'\{"format":"sigmax-run","schema_version":\d{1,9},"sha256":"')
_BETWEEN = b'","run":'
_END = b"}\n"


def dump_run_file(dossier: Dossier) -> bytes:
    """The content of the file."""
    payload = _canonical(
        _without_secrets(dossier).model_dump(mode="json", exclude_computed_fields=True)
    )
    digest = hashlib.sha256(payload).hexdigest()
    head = f'{{"format":"{FORMAT}","schema_version":{dossier.schema_version},"sha256":"{digest}'
    content = head.encode() + _BETWEEN + payload + _END
    if len(content) > MAX_FILE_BYTES:
        raise RunFileError(
            f"run {dossier.record.run_id}",
            f"its file would be {len(content):,} bytes, more than {MAX_FILE_BYTES:,}",
        )
    return content


def load_run_file(content: bytes, where: str) -> Dossier:
    """The run in a file; :class:`RunFileError` for a changed byte, another format or version.

    ``where`` names the file in errors.
    """
    head = _HEAD.match(content[:1000])
    if head is None:
        raise RunFileError(
            where, "not a run of SIGMAX Tasks", advice="write one with: sigmax export RUN"
        )
    _check_version(int(head[1]), where)
    exact = _EXACT_HEAD.match(content)
    digest_end = exact.end() + 64 if exact else 0
    start = digest_end + len(_BETWEEN)
    intact = (
        exact is not None
        and content[digest_end:start] == _BETWEEN
        and content.endswith(_END)
        and content[exact.end() : digest_end]
        == hashlib.sha256(memoryview(content)[start : -len(_END)]).hexdigest().encode()
    )
    if not intact:
        raise RunFileError(
            where,
            "changed or cut off after it was written, its checksum does not fit",
            advice="copy or export it again",
        )
    try:
        dossier = Dossier.model_validate_json(content[start : -len(_END)])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the run"
        raise RunFileError(where, f"{place} is not as expected: {first['msg']}") from error
    _check_version(dossier.schema_version, where)
    _check_settings(dossier.settings, where)
    return dossier


def read_run_file(path: str) -> Dossier:
    """The run in the file of that path, or on standard input for ``-``; bounded in size."""
    if path == STANDARD_STREAM:
        return load_run_file(_read(sys.stdin.buffer, "standard input"), "standard input")
    file = Path(path)
    try:
        if not file.is_file():
            raise RunFileError(path, "no such file")
        with file.open("rb") as stream:
            return load_run_file(_read(stream, path), path)
    except OSError as error:
        raise RunFileError(path, f"cannot be read: {error.strerror}") from error


def write_run_file(dossier: Dossier, path: Path) -> None:
    """Write the file whole or not at all; an existing one is replaced."""
    content = dump_run_file(dossier)
    try:
        write_whole(path, content)
    except OSError as error:
        raise RunFileError(str(path), f"cannot be written: {error.strerror}") from error


def file_name(dossier: Dossier) -> str:
    """``20241115-093012-4f9c2a7b-BTC-USDT.json``: in a folder, files sort by time."""
    symbol = dossier.request.symbol.replace("/", "-")
    return f"{dossier.record.run_id}-{symbol}.json"


def is_folder(path: str) -> bool:
    """Whether a path that may not exist yet is meant as a folder."""
    return path.endswith(("/", os.sep)) or Path(path).is_dir()


def _read(stream: BinaryIO, where: str) -> bytes:
    content = stream.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise RunFileError(where, f"larger than {MAX_FILE_BYTES:,} bytes")
    return content


def _check_version(version: int, where: str) -> None:
    if version == SCHEMA_VERSION:
        return
    newer = version > SCHEMA_VERSION
    raise RunFileError(
        where,
        f"written in schema version {version}, and this SIGMAX Tasks reads version "
        f"{SCHEMA_VERSION}",
        advice="use a newer SIGMAX Tasks" if newer else "use the version that wrote it",
    )


def _check_settings(text: str, where: str) -> None:
    """The settings stand in the file as text of their own: an object, nested as far as ours."""
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunFileError(where, "its settings are not JSON") from error
    if not isinstance(settings, dict) or any(
        depth > _MAX_SETTINGS_DEPTH for depth in _depths(settings)
    ):
        raise RunFileError(where, "its settings are not those of a run")


def _depths(value: Any) -> Iterator[int]:
    level, depth = [value], 0
    while level and depth <= _MAX_SETTINGS_DEPTH + 1:
        yield depth
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]


def _without_secrets(dossier: Dossier) -> Dossier:
    request = dossier.request
    if request.source_root is not None:
        request = request.model_copy(update={"source_root": redact_url(request.source_root)})
    settings = _canonical(_harmless(json.loads(dossier.settings))).decode()
    return dossier.model_copy(update={"request": request, "settings": settings})


def _harmless(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _harmless(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [_harmless(inner, key) for inner in value]
    if isinstance(value, str):
        return "***" if _SECRET_KEY.search(key) else redact_url(value)
    return value


def _canonical(value: Any) -> bytes:
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")
