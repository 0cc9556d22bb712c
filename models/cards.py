"""Writes measured figures: `scores.json` of every model, and the tables in its `MODEL_CARD.md`.

Belongs here: the spelling of figures. Does not belong here: measuring them; the rest of a card is written by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

BEGIN: Final = "<!-- figures: written by models.build -->"
END: Final = "<!-- end of figures -->"


def write_scores(folder: Path, scores: dict[str, Any]) -> None:
    """Write the scores beside the model, and as tables between the two marks of its card.

    Args:
        folder: the model's.
        scores: groups of figures as `Scores.as_json` gives them, below titles to any depth.

    Raises:
        ValueError: the card has no such marks.
    """
    (folder / "scores.json").write_text(json.dumps(_rounded(scores), indent=2) + "\n")
    card = folder / "MODEL_CARD.md"
    head, begin, rest = card.read_text().partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{card} lacks the marks '{BEGIN}' and '{END}'")
    card.write_text(f"{head}{BEGIN}\n{_tables(_rounded(scores))}\n{END}{tail}")


def _tables(scores: dict[str, Any], heading: str = "") -> str:
    """A table for each group of figures that has a protocol, with its statement above."""
    if "protocol" in scores:
        rows = "".join(f"| {name} | {value} |\n" for name, value in _flat(scores) if name not in {"protocol", "how"})
        statement = f"{scores['how']} (`{scores['protocol']}`)"
        return f"\n**{heading}.** {statement}\n\n| figure | value |\n|---|---|\n{rows}"
    names = {key: f"{heading}, {key}" if heading else key for key in scores}
    return "".join(_tables(inner, names[key].replace("_", " ")) for key, inner in scores.items())


def _flat(figures: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for name, value in figures.items():
        label = f"{prefix}{name}".replace("_", " ")
        rows += _flat(value, f"{name}: ") if isinstance(value, dict) else [(label, _shown(value))]
    return rows


def _shown(value: Any) -> Any:
    return "not defined" if value is None else value


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
