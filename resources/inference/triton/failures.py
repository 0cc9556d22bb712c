"""What can go wrong between client and server, told apart by what helps.

Belongs here: the kinds, and how Triton's own errors are sorted into them. Does not belong here: what is done about
each (``connection``, ``model``). None of them leaves the package.
"""

from __future__ import annotations

from typing import Final


class ServerFailure(Exception):
    """The server did not answer a request as it should; the text is one sentence of its own."""


class Unreachable(ServerFailure):
    """No answer in time, no connection, a full queue: the same request may be answered a moment later."""


class NotServed(ServerFailure):
    """The server does not have the model or the version."""


class RegionLost(ServerFailure):
    """The server knows nothing of a shared memory region: it was restarted."""


class Crashed(ServerFailure):
    """The model's own process died; the server goes on and calls the model ready."""


class Refused(ServerFailure):
    """The server understood and said no: asking again would change nothing."""


_BY_WORDS: Final = (
    (RegionLost, ("unable to find system shared memory region", "unable to find shared memory region")),
    (Crashed, ("stub process", "stub is not healthy", "model instance is not healthy")),
    (NotServed, ("unknown model", "is not found", "not at ready state", "has no available versions")),
    (Unreachable, ("maximum queue size", "request timeout expired", "server is stopping")),
)
"""Triton 2.51 gives the same codes to different matters; its words tell them apart."""
_PASSING_CODES: Final = frozenset(
    {
        "StatusCode.UNAVAILABLE",
        "StatusCode.DEADLINE_EXCEEDED",
        "StatusCode.ABORTED",
        "StatusCode.CANCELLED",
        "408",
        "429",
        "499",
        "502",
        "503",
        "504",
    }
)


def sorted_out(message: str | None, status: str | None) -> ServerFailure:
    """The kind of an error that the server or the client library gave.

    Args:
        message: its text.
        status: gRPC's code as text or HTTP's as a number, None where there is none.
    """
    lines = (message or "").strip().splitlines()
    text = (lines[0] if lines else "no reason given").rstrip(".")
    low = text.lower()
    for kind, words in _BY_WORDS:
        if any(word in low for word in words):
            return kind(text)
    return Unreachable(text) if status in _PASSING_CODES else Refused(text)
