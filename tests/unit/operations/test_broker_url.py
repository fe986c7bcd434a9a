"""Addresses of brokers: TLS always checks, and no error shows a password."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from sigmax_tasks.application import make_app
from sigmax_tasks.broker_url import celery_tls, checked_broker_url
from sigmax_tasks.errors import ConfigurationError
from sigmax_tasks.settings import load_settings

PASSWORD = "hunter2-of-this-test"


@pytest.mark.parametrize(
    "url",
    [f"redis://:{PASSWORD}@127.0.0.1:1/0", "redis://127.0.0.1", "unix:///run/redis.sock?db=1"],
)
def test_addresses_without_tls_stay_as_they_are(url: str) -> None:
    assert checked_broker_url(url) == url
    assert celery_tls(url) is None


def test_tls_asks_for_the_certificate_in_every_library(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("x")
    url = checked_broker_url(f"rediss://:{PASSWORD}@host:6379/0?ssl_ca_certs={authority}")
    assert url.endswith(f"?ssl_ca_certs={authority}&ssl_cert_reqs=required")
    assert checked_broker_url(url) == url
    app = make_app(load_settings(environ={}).settings.runtime, url)
    wanted = {"ssl_ca_certs": str(authority), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert app.conf.broker_use_ssl == wanted, "for Flower"
    assert app.connection().ssl == wanted, "for workers"
    assert app.backend.connparams["ssl_cert_reqs"] is ssl.CERT_REQUIRED, "for results"
    assert app.connection().password == PASSWORD


@pytest.mark.parametrize(
    "text",
    [
        "rediss://:{p}@host/0?ssl_cert_reqs=none",
        "rediss://:{p}@host/0?ssl_cert_reqs=optional",
        "rediss://:{p}@host/0?ssl_check_hostname=False",
        "rediss://:{p}@host/0?ssl_keyfile=/no/such/file",
        "redis://:{p}@host/0?ssl_cert_reqs=required",
        "amqp://me:{p}@host/0",
        "http://me:{p}@host/0",
    ],
)
def test_what_would_not_be_checked_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        checked_broker_url(text.format(p=PASSWORD))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "overrides"),
    [
        ({"SIGMAX_BROKER_URL": f"redis:/:{PASSWORD}@host"}, ()),
        ({"SIGMAX_BROKER__URL": f"redis://:{PASSWORD} @host"}, ()),
        ({"SIGMAX_BROKER__URL": f"redis://:{{{PASSWORD}@host"}, ()),
        ({"SIGMAX_BROKER__URL": f"[redis://:{PASSWORD}@host"}, ()),
        ({}, (f"broker.url=me:{PASSWORD}@host",)),
        ({}, (f"redis://:{PASSWORD}@host",)),
    ],
)
def test_an_address_that_cannot_be_read_is_not_shown(
    environ: dict[str, str], overrides: tuple[str, ...]
) -> None:
    try:
        url = load_settings(overrides=overrides, environ=environ).settings.runtime.broker.url
    except ConfigurationError as error:
        assert PASSWORD not in str(error)
    else:
        assert url is not None, "read as an address after all"
