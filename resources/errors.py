"""The three kinds of failure that the platform tells apart.

Belongs here: the exceptions that cross a room's border. Does not belong here: retry loops (they look at the kind),
texts for particular objects (they are written where the object is known).
"""

from __future__ import annotations


class NeuroVisionError(Exception):
    """A failure that a person must be able to act on.

    Args:
        problem: what is wrong, one sentence.
        subject: the object it is wrong with (an object key, a video_id, a model, a setting).
        remedy: what to do about it, one sentence.
    """

    def __init__(self, problem: str, *, subject: str, remedy: str) -> None:
        super().__init__(problem, subject, remedy)
        self.problem = problem
        self.subject = subject
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem} {self.remedy}"


class PermanentFailure(NeuroVisionError):
    """The same input will fail again (corrupt file, unknown codec, broken contract): never retried."""


class TransientFailure(NeuroVisionError):
    """Another try may succeed (network, a server that restarts, a full disk that is being cleaned)."""


class ConfigurationError(NeuroVisionError):
    """A setting, secret, profile or model is missing or wrong: said before any work starts."""
