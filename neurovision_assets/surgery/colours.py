"""Colours that people with colour-blindness can tell apart.

Belongs here: which colour means what. Does not belong here: drawing.

Phases use Paul Tol's muted scheme with greys, tissues his light scheme (SRON/EPS/TN/09-002, 2021); instruments and
events the palette of Okabe and Ito (2008). Neighbouring phases of the usual order also differ in lightness.
"""

from __future__ import annotations

PHASE_COLOURS = {
    "preparation": "#BBBBBB",
    "trocar-placement": "#332288",
    "adhesiolysis": "#DDCC77",
    "calot-triangle-dissection": "#117733",
    "clipping-and-cutting": "#88CCEE",
    "gallbladder-dissection": "#882255",
    "gallbladder-packaging": "#44AA99",
    "cleaning-and-coagulation": "#CC6677",
    "gallbladder-extraction": "#999933",
    "drain-placement": "#AA4499",
    "port-closure": "#666666",
}
INSTRUMENT_COLOURS = {
    "grasper": "#56B4E9",
    "bipolar": "#F0E442",
    "hook": "#E69F00",
    "scissors": "#CC79A7",
    "clipper": "#009E73",
    "irrigator": "#0072B2",
    "specimen-bag": "#D55E00",
}
STRUCTURE_COLOURS = {
    "abdominal-wall": "#DDDDDD",
    "liver": "#77AADD",
    "gastrointestinal-tract": "#AAAA00",
    "fat": "#EEDD88",
    "connective-tissue": "#99DDFF",
    "blood": "#EE8866",
    "hepatic-vessels": "#FFAABB",
    "gallbladder": "#BBCC33",
}
EVENT_COLOURS = {
    "bleeding": "#D55E00",
    "smoke": "#8C8C8C",
    "clip-applied": "#009E73",
    "instrument-exchange": "#56B4E9",
    "idle": "#B0A070",
    "phase-out-of-order": "#CC79A7",
    "unusually-long-phase": "#E69F00",
    "out-of-body": "#0072B2",
}
SPARE_COLOURS = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB")
"""Paul Tol's bright scheme, for names that a user's own model brings."""

_COLOURS = {
    "phase": PHASE_COLOURS,
    "instrument": INSTRUMENT_COLOURS,
    "structure": STRUCTURE_COLOURS,
    "event": EVENT_COLOURS,
}
DARK_INK, LIGHT_INK = "#0C1419", "#FFFFFF"


def colour(kind: str, name: str) -> str:
    """The colour of a phase, instrument, structure or event; an unknown name always gets the same spare colour."""
    return _COLOURS[kind].get(name) or SPARE_COLOURS[sum(name.encode()) % len(SPARE_COLOURS)]


def rgb(colour_hex: str) -> tuple[int, int, int]:
    """`#RRGGBB` as three numbers, 0 to 255."""
    return int(colour_hex[1:3], 16), int(colour_hex[3:5], 16), int(colour_hex[5:7], 16)


def luminance(colour_hex: str) -> float:
    """Relative luminance of WCAG 2.2, 0 to 1."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in rgb(colour_hex))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink_on(colour_hex: str) -> str:
    """The text colour of more contrast on a ground (WCAG 2.2 contrast ratio)."""
    ground = luminance(colour_hex) + 0.05
    dark = ground / (luminance(DARK_INK) + 0.05)
    return DARK_INK if dark >= (luminance(LIGHT_INK) + 0.05) / ground else LIGHT_INK
