"""The words of the simulator: phases, anatomy classes, instruments, kinds of event and disturbance.

Belongs here: names in their fixed order (the order is the class id everywhere). Does not belong here: how
often anything happens (`fitted`) or what it looks like.
"""

from __future__ import annotations

from typing import Final

PHASES: Final = (
    "preparation",
    "trocar-placement",
    "adhesiolysis",
    "calot-triangle-dissection",
    "clipping-and-cutting",
    "gallbladder-dissection",
    "gallbladder-packaging",
    "cleaning-and-coagulation",
    "gallbladder-extraction",
    "drain-placement",
    "port-closure",
)
"""The 11 phases of the default taxonomy: the seven of Cholec80 under their names, and four around them."""

CHOLEC80_PHASES: Final = (
    "preparation",
    "calot-triangle-dissection",
    "clipping-and-cutting",
    "gallbladder-dissection",
    "gallbladder-packaging",
    "cleaning-and-coagulation",
    "gallbladder-extraction",
)
"""The 7 phases that Cholec80 (Twinanda et al. 2017) labels, in the order of its class ids 0..6."""

WALL_PHASES: Final = ("trocar-placement", "port-closure")
"""Phases in which work goes on at the abdominal wall, usually without any of the seven instruments."""
BAG_PHASES: Final = ("gallbladder-packaging", "gallbladder-extraction")
"""Phases in which the specimen bag takes the working hand's port."""

BACKGROUND: Final = 0
ANATOMY: Final = (
    "abdominal-wall",
    "liver",
    "gastrointestinal-tract",
    "fat",
    "connective-tissue",
    "blood",
    "hepatic-vessels",
    "gallbladder",
)
"""Anatomy classes; the class id is the place in this tuple plus one, 0 is background."""

INSTRUMENTS: Final = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen-bag")
"""The seven tools of Cholec80."""

EVENTS: Final = ("bleeding", "smoke", "clip-applied", "instrument-exchange", "idle", "out-of-body")

DISTURBANCES: Final = ("blur", "over-exposure", "fog")
"""What spoils the picture without being an event of the operation."""


def anatomy_id(name: str) -> int:
    """Class id (1..8) of an anatomy class.

    Raises:
        ValueError: The name is not one of `ANATOMY`.
    """
    return ANATOMY.index(name) + 1
