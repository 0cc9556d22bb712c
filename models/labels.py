"""The names that the default models speak, in the order of their output channels.

Belongs here: phases, instruments and tissue classes of the default models. Does not belong here: taxonomies of other
hospitals (data: `phase_segmenter/taxonomies/*.yaml`) and the labels of a user's own model (its `labels.txt`).
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
"""Phases of a cholecystectomy: the seven of Cholec80 (Twinanda et al. 2017) under their names, and four around them."""

INSTRUMENTS: Final = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator", "specimen-bag")
"""The seven tools of Cholec80."""

ANATOMY: Final = (
    "background",
    "abdominal-wall",
    "liver",
    "gastrointestinal-tract",
    "fat",
    "connective-tissue",
    "blood",
    "hepatic-vessels",
    "gallbladder",
)
"""CholecSeg8k (Hong et al. 2020) merged to eight tissues, with everything else, instruments included, as background."""
