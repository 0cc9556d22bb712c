"""How long phases last, in what order they come, and which instruments are used in them.

Belongs here: numbers, each with where it comes from. Fitted ones are printed by `python -m simulator.fit` from
the labels of Cholec80 operations 41 to 60 and of CholecT50 VID70 and VID74; the labels stay outside. Numbers set
by hand say so. Does not belong here: code that samples from them.
"""

from __future__ import annotations

from typing import Final

LOG_SECONDS_MEAN: Final = (4.719, 6.800, 4.996, 6.485, 4.460, 5.247, 4.379)
"""Fitted: mean of the log seconds of each Cholec80 phase."""

LOG_SECONDS_COVARIANCE: Final = (
    (0.466, 0.172, 0.171, 0.030, 0.119, 0.062, -0.024),
    (0.172, 0.306, 0.206, 0.108, 0.020, 0.021, 0.086),
    (0.171, 0.206, 0.558, 0.173, -0.077, 0.154, 0.079),
    (0.030, 0.108, 0.173, 0.453, -0.017, 0.298, 0.169),
    (0.119, 0.020, -0.077, -0.017, 0.125, -0.051, 0.065),
    (0.062, 0.021, 0.154, 0.298, -0.051, 0.688, 0.134),
    (-0.024, 0.086, 0.079, 0.169, 0.065, 0.134, 0.340),
)
"""Fitted: covariance of the log seconds."""

CLEANING_ABSENT_RATE: Final = 0.05
"""Fitted: 1 of 20 operations has no cleaning phase."""

CLEANING_FIRST_RATE: Final = 0.158
"""Fitted: in 3 of 19 operations cleaning comes before packaging."""

RETURN_RATE: Final = 0.08
"""By hand: share of operations that go back from clipping to dissecting the triangle (0 of the 20 labelled
ones do, so that the truth is most likely below 0.14)."""

EXTRA_PHASES: Final = {
    "trocar-placement": (0.55, 0.050),
    "adhesiolysis": (0.45, 0.090),
    "drain-placement": (0.45, 0.050),
    "port-closure": (0.60, 0.045),
}
"""By hand: phases without labels: how often they occur, and their median share of the operation."""

EXTRA_LOG_SPREAD: Final = 0.35
"""By hand: standard deviation of the log share of an extra phase."""

OTHER_TYPES: Final[dict[str, dict[str, float]]] = {
    "laparoscopic-adhesiolysis": {
        "trocar-placement": 0.10,
        "preparation": 0.16,
        "adhesiolysis": 0.52,
        "cleaning-and-coagulation": 0.12,
        "port-closure": 0.10,
    },
    "diagnostic-laparoscopy": {"trocar-placement": 0.20, "preparation": 0.60, "port-closure": 0.20},
}
"""By hand: phases of the other types of operation in their order, with the median share of each."""

SHORTEST_PHASE_SHARE: Final = 0.008
"""By hand: no phase takes less of an operation (the shortest labelled one takes 0.0098)."""

SEEN_TOGETHER: Final[dict[str, dict[tuple[str, ...], int]]] = {
    "preparation": {("grasper",): 8, ("grasper", "grasper"): 6},
    "calot-triangle-dissection": {
        ("bipolar",): 47,
        ("bipolar", "grasper"): 11,
        ("hook",): 7,
        ("grasper",): 4,
        ("grasper", "grasper"): 2,
    },
    "clipping-and-cutting": {
        ("scissors",): 47,
        ("clipper",): 45,
        ("grasper", "scissors"): 14,
        ("clipper", "grasper"): 5,
        ("grasper",): 3,
    },
    "gallbladder-dissection": {
        ("irrigator",): 122,
        ("bipolar",): 79,
        ("grasper",): 17,
        ("hook",): 13,
        ("bipolar", "grasper"): 12,
        ("grasper", "irrigator"): 12,
        ("grasper", "grasper"): 3,
    },
    "gallbladder-packaging": {("grasper",): 34, ("grasper", "grasper"): 13},
    "cleaning-and-coagulation": {("bipolar", "grasper"): 34, ("grasper",): 33},
    "gallbladder-extraction": {("irrigator",): 26, ("grasper",): 7, ("grasper", "irrigator"): 1},
}
"""Fitted: seconds in which just these instruments were seen, per phase (two operations)."""

SEEN_TOGETHER_BY_HAND: Final[dict[str, dict[tuple[str, ...], float]]] = {
    "preparation": {("grasper",): 0.6, ("grasper", "grasper"): 0.4},
    "trocar-placement": {(): 0.8, ("grasper",): 0.2},
    "adhesiolysis": {
        ("grasper", "scissors"): 0.45,
        ("grasper", "hook"): 0.35,
        ("bipolar", "grasper"): 0.15,
        ("grasper", "grasper"): 0.05,
    },
    "calot-triangle-dissection": {
        ("grasper", "hook"): 0.75,
        ("bipolar", "grasper"): 0.1,
        ("grasper", "grasper"): 0.1,
        ("grasper", "irrigator"): 0.05,
    },
    "clipping-and-cutting": {("clipper", "grasper"): 0.5, ("grasper", "scissors"): 0.5},
    "gallbladder-dissection": {
        ("grasper", "hook"): 0.8,
        ("bipolar", "grasper"): 0.1,
        ("grasper", "grasper", "hook"): 0.1,
    },
    "gallbladder-packaging": {("grasper",): 0.5, ("grasper", "grasper"): 0.5},
    "cleaning-and-coagulation": {
        ("grasper", "irrigator"): 0.5,
        ("bipolar", "grasper"): 0.3,
        ("bipolar", "irrigator"): 0.2,
    },
    "gallbladder-extraction": {("grasper",): 1.0},
    "drain-placement": {("grasper",): 0.6, ("grasper", "grasper"): 0.4},
    "port-closure": {(): 0.7, ("grasper",): 0.3},
}
"""By hand: shares of the usual sets of instruments. Two operations are too few to fit, and one of the two
dissects with the bipolar alone, which is rare; the sampler takes either table with equal chance."""

EVENTS_PER_FULL_PHASE: Final = {
    "adhesiolysis": 0.5,
    "calot-triangle-dissection": 1.1,
    "clipping-and-cutting": 0.4,
    "gallbladder-dissection": 1.3,
}
"""By hand: mean number of bleedings in a phase."""

COMPRESSED_OPERATION_S: Final = 240.0
"""Length at which spans of instruments and events have the seconds written in `schedule`; a real operation takes
42 minutes on average, and longer plans keep those seconds and have more spans."""
