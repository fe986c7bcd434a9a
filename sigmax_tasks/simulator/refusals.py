"""What a provider says when it will not answer: the bodies of the injected faults."""

from __future__ import annotations

from typing import Any, Final

from sigmax_tasks.simulator.faults import Fault
from sigmax_tasks.simulator.protocols.reply import Reply, json_reply

_HTML: Final = (
    b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Checking</body></html>"
)
_BINANCE_BLOCK: Final = {
    "code": 0,
    "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in "
    "https://www.binance.com/en/terms. Please contact customer service if you believe you "
    "received this message in error.",
}
_CLOUD_BLOCK: Final = (
    b"{\n    error:The Amazon CloudFront distribution is configured to block access from your "
    b"country\n}"
)


def refusal(provider: str, fault: Fault) -> Reply | None:
    """The answer of a fault that needs no world."""
    match fault.kind:
        case "rate429" | "quota":
            headers = {"Retry-After": f"{fault.retry_after:g}"}
            reply = json_reply(_too_many(provider), 429)
            return Reply(429, reply.body, reply.content_type, headers)
        case "error":
            return json_reply({"error": "internal error", "status": fault.status}, fault.status)
        case "html_200":
            return Reply(200, _HTML, "text/html; charset=utf-8")
        case "geo_block" if provider.startswith("binance"):
            return json_reply(_BINANCE_BLOCK, 451)
        case "geo_block":
            return Reply(403, _CLOUD_BLOCK, "application/json")
        case _:
            return None


def _too_many(provider: str) -> dict[str, Any]:
    """The body each provider sends with a refusal for too many requests."""
    if provider == "kraken":
        return {"error": ["EAPI:Rate limit exceeded"]}
    if provider.startswith("binance"):
        return {"code": -1003, "msg": "Too many requests; current limit is reached."}
    if provider == "coingecko":
        return {"status": {"error_code": 429, "error_message": "You've exceeded the Rate Limit."}}
    if provider.startswith("bybit"):
        return {"retCode": 10006, "retMsg": "Too many visits!", "result": {}}
    if provider.startswith("okx"):
        return {"code": "50011", "msg": "Too Many Requests", "data": []}
    return {"error": "rate limit exceeded"}
