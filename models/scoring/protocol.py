"""A figure's protocol: what was counted, over what, and what was left out.

Belongs here: the record that every scorer returns. Does not belong here: any formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]
"""Figures by name: numbers, or figures of classes by the class's name. None is a figure that is not defined."""


@dataclass(frozen=True)
class Protocol:
    """How figures were counted. Two figures may be compared when name and version are the same.

    Attributes:
        name: short and stable, `coco-boxes`.
        version: raised whenever the same answers would give other figures.
        statement: one or two sentences for people, with the source.
    """

    name: str
    version: int
    statement: str


@dataclass(frozen=True)
class Scores:
    """Figures with the protocol that they were computed by."""

    protocol: Protocol
    figures: Figures

    def as_json(self) -> dict[str, Any]:
        """Give the figures with `protocol` (name and version) and `how` (the statement) in front."""
        label = f"{self.protocol.name}/{self.protocol.version}"
        return {"protocol": label, "how": self.protocol.statement, **self.figures}
