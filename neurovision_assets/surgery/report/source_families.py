"""The origins of figures as they stand on paper: those that differ in a number alone share a line.

Belongs here: which origins are one family. Does not belong here: the origins (``sources``), how a line looks
(``pdf_story``). A two-hour operation has a thousand origins, thirty pages of them, and each of its events says by its
own number which row it is; page and workbook have them one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from neurovision_assets.surgery.report.model import Source

NO_NUMBER = -1


@dataclass(frozen=True)
class Family:
    """Origins of one kind.

    Attributes:
        figure: the figures' ids, ``event.0–472``.
        where: column and value that select the rows; ``0–472`` where each figure has its own.
        source: stage, table and columns; rows and frames of all together.
    """

    figure: str
    where: Mapping[str, str]
    source: Source


def families(sources: Mapping[str, Source]) -> list[Family]:
    """All origins, by id; figures of rows that follow one another are one family.

    Args:
        sources: by the figure's id; what follows its last dot is a number where the figure is one row of many.
    """
    groups: list[list[str]] = []
    for figure in sorted(sources, key=_numbered):
        if groups and _follows(groups[-1][-1], figure, sources):
            groups[-1].append(figure)
        else:
            groups.append([figure])
    return [_family(group, sources) for group in groups]


def _numbered(figure: str) -> tuple[str, int]:
    stem, _, last = figure.rpartition(".")
    return (stem, int(last)) if last.isdecimal() else (figure, NO_NUMBER)


def _follows(before: str, figure: str, sources: Mapping[str, Source]) -> bool:
    (stem, number), (other_stem, next_number) = _numbered(before), _numbered(figure)
    return (
        number != NO_NUMBER
        and (stem, number + 1) == (other_stem, next_number)
        and _kind(sources[before], number) == _kind(sources[figure], next_number)
    )


def _kind(source: Source, number: int) -> tuple[object, ...]:
    """What members of a family have in common: everything but their number."""
    where = {name: None if value == number else value for name, value in source.where.items()}
    return source.stage, source.table, source.columns, where


def _family(figures: Sequence[str], sources: Mapping[str, Source]) -> Family:
    own = [sources[figure] for figure in figures]
    (stem, first), (_, last) = _numbered(figures[0]), _numbered(figures[-1])
    spread = f"{first}–{last}"
    where = {name: str(value) if len(own) == 1 or value != first else spread for name, value in own[0].where.items()}
    together = own[0].model_copy(
        update={
            "row_count": sum(one.row_count for one in own),
            "first_frame": min((one.first_frame for one in own if one.first_frame is not None), default=None),
            "last_frame": max((one.last_frame for one in own if one.last_frame is not None), default=None),
        }
    )
    return Family(figures[0] if len(own) == 1 else f"{stem}.{spread}", where, together)
