"""The address of a broker: what is allowed in it, and TLS, which always checks the other side."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.redact import redact_url

URL_SCHEMES: Final = ("redis://", "rediss://", "unix://")
_TLS: Final = "rediss"
_REQUIREMENT: Final = "ssl_cert_reqs"
_REQUIRED: Final = ("required", "CERT_REQUIRED")
_FILES: Final = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def checked_broker_url(url: str) -> str:
    """``url`` as every library of ours reads it; :class:`ConfigurationError` for one that is odd.

    With ``rediss://`` certificate and host name are always checked, against the certification
    authorities of the system or of ``?ssl_ca_certs=FILE``; ``ssl_certfile`` and ``ssl_keyfile``
    name a certificate of our own. An address that would not check is refused.
    """
    if not url.startswith(URL_SCHEMES):
        raise ConfigurationError(
            f"broker {redact_url(url)!r} is not a Redis address",
            advice="write it like redis://:password@host:6379/0",
        )
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    if parts.scheme != _TLS:
        if tls:
            raise ConfigurationError(
                f"broker {_place(url)} has TLS options ({', '.join(sorted(tls))}) but no TLS",
                advice="write rediss:// for TLS",
            )
        return url
    unknown = sorted(set(tls) - {*_FILES, _REQUIREMENT})
    if unknown:
        raise ConfigurationError(
            f"broker {_place(url)} has the option {unknown[0]}, which is not allowed",
            advice=f"allowed are {', '.join(_FILES)}; host name and certificate are always checked",
        )
    if tls.get(_REQUIREMENT, _REQUIRED[0]) not in _REQUIRED:
        raise ConfigurationError(
            f"broker {_place(url)} asks for TLS without a check of the certificate",
            advice="leave ssl_cert_reqs out, and name the authority with ?ssl_ca_certs=FILE",
        )
    for name in _FILES:
        if name in tls and not Path(tls[name]).is_file():
            raise ConfigurationError(
                f"the file {tls[name]!r} that broker {_place(url)} names in {name} is not there",
                advice="give the path of a PEM file that this user may read",
            )
    options[_REQUIREMENT] = _REQUIRED[0]
    return urlunsplit(parts._replace(query=urlencode(options, safe="/")))


def celery_tls(url: str) -> dict[str, Any] | None:
    """Celery's ``broker_use_ssl`` for a checked address; None without TLS. Flower needs it."""
    parts = urlsplit(url)
    if parts.scheme != _TLS:
        return None
    options = dict(parse_qsl(parts.query))
    found: dict[str, Any] = {name: options[name] for name in _FILES if name in options}
    return found | {_REQUIREMENT: ssl.CERT_REQUIRED}


def _place(url: str) -> str:
    return repr(redact_url(url.partition("?")[0]))
