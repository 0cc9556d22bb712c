"""CholecT50's layout (Nwoye et al., Rendezvous, 2022): one JSON a video, a row for each instrument in each second.

A row is [triplet, instrument, score, x, y, w, h, verb, target, score, x, y, w, h, phase], boxes relative to the picture
and of the instrument's tip, -1 for what is not there. The specimen bag is none of its instruments. Verbs and targets
follow from instrument, phase and event by the table `ACTIONS`, by hand: the simulator knows what is done only as far as
it is drawn.

Belongs here: names, ids and files of CholecT50. Does not belong here: what is true.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from simulator.layouts.cholec80 import of_seven
from simulator.render import FrameTruth, InstrumentTruth
from simulator.vocabulary import CHOLEC80_PHASES

INSTRUMENTS: Final = ("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator")
VERBS: Final = (
    *("grasp", "retract", "dissect", "coagulate", "clip", "cut"),
    *("aspirate", "irrigate", "pack", "null_verb"),
)
TARGETS: Final = (
    *("gallbladder", "cystic_plate", "cystic_duct", "cystic_artery", "cystic_pedicle", "blood_vessel", "fluid"),
    *("abdominal_wall_cavity", "liver", "adhesion", "omentum", "peritoneum", "gut", "specimen_bag", "null_target"),
)
PHASE_SPELLING: Final = {"calot-triangle-dissection": "carlot-triangle-dissection"}
"""The data set's own spelling."""

DONE_WITH: Final[dict[str, dict[str, str]]] = {
    "grasper": {
        "dissect": "cystic_plate gallbladder omentum",
        "grasp": "cystic_artery cystic_duct cystic_pedicle cystic_plate gallbladder gut liver omentum peritoneum "
        "specimen_bag",
        "pack": "gallbladder",
        "retract": "cystic_duct cystic_pedicle cystic_plate gallbladder gut liver omentum peritoneum",
    },
    "bipolar": {
        "coagulate": "abdominal_wall_cavity blood_vessel cystic_artery cystic_duct cystic_pedicle cystic_plate "
        "gallbladder liver omentum peritoneum",
        "dissect": "adhesion cystic_artery cystic_duct cystic_plate gallbladder omentum",
        "grasp": "cystic_plate liver specimen_bag",
        "retract": "cystic_duct cystic_pedicle gallbladder liver omentum",
    },
    "hook": {
        "coagulate": "blood_vessel cystic_artery cystic_duct cystic_pedicle cystic_plate gallbladder liver omentum",
        "cut": "blood_vessel peritoneum",
        "dissect": "blood_vessel cystic_artery cystic_duct cystic_plate gallbladder omentum peritoneum",
        "retract": "gallbladder liver",
    },
    "scissors": {
        "coagulate": "omentum",
        "cut": "adhesion blood_vessel cystic_artery cystic_duct cystic_plate liver omentum peritoneum",
        "dissect": "cystic_plate gallbladder omentum",
    },
    "clipper": {"clip": "blood_vessel cystic_artery cystic_duct cystic_pedicle cystic_plate"},
    "irrigator": {
        "aspirate": "fluid",
        "dissect": "cystic_duct cystic_pedicle cystic_plate gallbladder omentum",
        "irrigate": "abdominal_wall_cavity cystic_pedicle liver",
        "retract": "gallbladder liver omentum",
    },
}
"""The verbs and targets that the data set knows for each instrument, in the order of its triplet ids."""

NOTHING: Final = ("null_verb", "null_target")
TRIPLETS: Final = (
    *(
        (instrument, verb, target)
        for instrument, verbs in DONE_WITH.items()
        for verb, targets in verbs.items()
        for target in targets.split()
    ),
    *((instrument, *NOTHING) for instrument in INSTRUMENTS),
)
"""All 100 triplets; the id is the place."""

ACTIONS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "grasper": {
        "preparation": ("retract", "gallbladder"),
        "adhesiolysis": ("retract", "gallbladder"),
        "calot-triangle-dissection": ("retract", "gallbladder"),
        "clipping-and-cutting": ("retract", "gallbladder"),
        "gallbladder-dissection": ("retract", "gallbladder"),
        "gallbladder-packaging": ("grasp", "specimen_bag"),
        "cleaning-and-coagulation": ("retract", "liver"),
        "gallbladder-extraction": ("grasp", "specimen_bag"),
    },
    "bipolar": {
        "adhesiolysis": ("dissect", "adhesion"),
        "calot-triangle-dissection": ("coagulate", "cystic_pedicle"),
        "gallbladder-dissection": ("coagulate", "gallbladder"),
        "cleaning-and-coagulation": ("coagulate", "liver"),
    },
    "hook": {
        "adhesiolysis": ("dissect", "omentum"),
        "calot-triangle-dissection": ("dissect", "cystic_duct"),
        "gallbladder-dissection": ("dissect", "gallbladder"),
    },
    "scissors": {"adhesiolysis": ("cut", "adhesion"), "clipping-and-cutting": ("cut", "cystic_duct")},
    "clipper": {"clipping-and-cutting": ("clip", "cystic_duct")},
    "irrigator": {
        "calot-triangle-dissection": ("aspirate", "fluid"),
        "gallbladder-dissection": ("aspirate", "fluid"),
        "cleaning-and-coagulation": ("aspirate", "fluid"),
        "gallbladder-extraction": ("aspirate", "fluid"),
    },
}
"""By hand: what an instrument does in a phase; in phases that are not named, nothing."""


def write(seen: Sequence[FrameTruth], number: int, folder: Path, size: tuple[int, int]) -> None:
    """Write the file; `seen` is the truth of every second from 0, `size` width and height of the pictures."""
    content = {
        "info": {"dataset": "simulated", "bbox format": "[x1,y1,bw,bh], relative to the picture"},
        "categories": _categories(),
        "video": number,
        "fps": 1,
        "num_frames": len(seen),
        "annotations": {str(second): list(_rows(truth, size)) for second, truth in enumerate(seen)},
    }
    path = folder / "labels" / f"VID{number:02d}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _categories() -> dict[str, dict[str, str]]:
    names: dict[str, Sequence[str]] = {
        "instrument": INSTRUMENTS,
        "verb": VERBS,
        "target": TARGETS,
        "phase": [PHASE_SPELLING.get(phase, phase) for phase in CHOLEC80_PHASES],
        "triplet": [",".join(triplet) for triplet in TRIPLETS],
    }
    return {kind: {str(number): name for number, name in enumerate(each)} for kind, each in names.items()}


def _rows(truth: FrameTruth, size: tuple[int, int]) -> Iterator[list[float]]:
    """A row for each instrument that is seen, one of nothing but the phase where there is none."""
    phase = CHOLEC80_PHASES.index(of_seven(truth.phase))
    known = [one for one in truth.instruments if one.instrument in INSTRUMENTS]
    if not known:
        yield [*([-1] * 14), phase]
    for one in known:
        verb, target = action(one, truth)
        triplet = TRIPLETS.index((one.instrument, verb, target))
        x_min, y_min, x_max, y_max = one.box_px
        box = [x_min / size[0], y_min / size[1], (x_max - x_min) / size[0], (y_max - y_min) / size[1]]
        instrument = [triplet, INSTRUMENTS.index(one.instrument), 1.0, *box]
        yield [*instrument, VERBS.index(verb), TARGETS.index(target), 1.0, -1.0, -1.0, -1.0, -1.0, phase]


def action(one: InstrumentTruth, truth: FrameTruth) -> tuple[str, str]:
    """Verb and target of an instrument in a picture."""
    if one.instrument == "clipper" and "clip-applied" not in truth.events:
        return NOTHING
    return ACTIONS[one.instrument].get(truth.phase, NOTHING)
