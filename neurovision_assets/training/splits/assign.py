"""Train, validation and test: every operation in one of them, what belongs together on one side (NV-014, NV-020…022).

Belongs here: groups, the division, what it could not do. Does not belong here: folds (``folds``), files, checks.

Two demands meet (T18). Grouping is a law: operations of one patient, of one recording under two names, and with
``group_by: surgeon`` of one surgeon, are never divided. Ratios and equal shares of operation types are wishes: the
division that is nearest to them, in squared numbers of operations, is taken. How far it is from them is told; a split
that would stay empty is an error.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from neurovision_assets.training.params import SplitsParams
from resources.errors import PermanentFailure

EMPTY_PENALTY = 1e6
"""More than any deviation in numbers of operations: an empty split is avoided where it can be."""
UNANNOTATED_PENALTY = 1e3
"""A split without boxes can judge no detector: worse than some deviation, better than an empty split."""
GROUPS_TO_SPREAD = 3
"""A kind of annotations that fewer groups have cannot be in every split."""
SWAPPED_GROUPS = 300
"""Pairs of groups are tried up to so many groups; with more of them, moves alone come near enough."""


@dataclass(frozen=True)
class Operated:
    """What a division looks at.

    Attributes:
        operation: its name.
        patient: pseudonym.
        surgeon: pseudonym.
        operation_type: what was operated.
        recording: digest of its pictures, None without any.
        annotated: kinds of annotations that it has.
    """

    operation: str
    patient: str
    surgeon: str
    operation_type: str
    recording: str | None = None
    annotated: frozenset[str] = frozenset()

    def ties(self, group_by: str) -> list[tuple[str, str]]:
        """What ties it to other operations."""
        found = [("patient", self.patient)]
        if group_by == "surgeon":
            found.append(("surgeon", self.surgeon))
        if self.recording is not None:
            found.append(("recording", self.recording))
        return found


@dataclass(frozen=True)
class Division:
    """The result.

    Attributes:
        split_of: split by operation.
        groups: operations that had to stay together.
        counts: operations of each type by split.
        wished: the same numbers as the ratios ask for.
    """

    split_of: dict[str, str]
    groups: tuple[tuple[str, ...], ...]
    counts: dict[str, dict[str, int]]
    wished: dict[str, dict[str, float]]

    def shortfalls(self) -> list[str]:
        """Where more than one operation is missing or too many, a sentence each."""
        return [
            f"{split} has {self.counts[split].get(kind, 0)} of {kind}, {wished:.1f} were wished for"
            for split, kinds in self.wished.items()
            for kind, wished in kinds.items()
            if abs(self.counts[split].get(kind, 0) - wished) > 1
        ]


def divide(operations: Sequence[Operated], params: SplitsParams, earlier: Mapping[str, str] | None = None) -> Division:
    """Divide operations; the same ones in any order give the same division.

    Args:
        operations: all that there are.
        params: ratios, seed, groups.
        earlier: split by operation in the version before this one.

    Raises:
        PermanentFailure: there are fewer groups than splits, or a split would be empty.
    """
    ordered = sorted(operations, key=lambda one: one.operation)
    groups = groups_of(ordered, params.group_by)
    _require_groups(ordered, groups, params)
    names = list(params.ratios)
    fixed = _placed_earlier([[ordered[i].operation for i in group] for group in groups], earlier or {}, names)
    placed = _Search(
        _Table.of(ordered, groups), np.array(list(params.ratios.values())), params.random_seed, fixed
    ).run()
    if empty := sorted(set(range(len(names))) - set(placed)):
        raise PermanentFailure(
            f"The split '{names[empty[0]]}' would be empty: what was in it belongs with operations of another one.",
            subject="splits",
            remedy="Import operations of more patients.",
        )
    split_of = {ordered[i].operation: names[place] for group, place in zip(groups, placed, strict=True) for i in group}
    totals = Counter(one.operation_type for one in ordered)
    return Division(
        split_of=split_of,
        groups=tuple(tuple(ordered[i].operation for i in group) for group in groups),
        counts={
            name: dict(Counter(o.operation_type for o in ordered if split_of[o.operation] == name)) for name in names
        },
        wished={name: {kind: ratio * totals[kind] for kind in sorted(totals)} for name, ratio in params.ratios.items()},
    )


def _require_groups(operations: Sequence[Operated], groups: Sequence[Sequence[int]], params: SplitsParams) -> None:
    if len(groups) < len(params.ratios):
        largest = max(map(len, groups), default=0)
        weaker = ", or group by patient alone: splits.group_by: patient" if params.group_by == "surgeon" else ""
        raise PermanentFailure(
            f"{len(operations)} operations make {len(groups)} groups that must not be divided (one has {largest}), "
            f"and there are {len(params.ratios)} splits.",
            subject="splits",
            remedy=f"Import operations of more patients{weaker}.",
        )


def _placed_earlier(
    groups: Sequence[Sequence[str]], earlier: Mapping[str, str], names: Sequence[str]
) -> dict[int, int]:
    """Split by group that is known already; of two, the one that is learned from first."""
    found = {
        place: [names.index(earlier[operation]) for operation in group if operation in earlier]
        for place, group in enumerate(groups)
    }
    return {place: min(splits) for place, splits in found.items() if splits}


@dataclass(frozen=True)
class _Table:
    """How many operations of each group have what should be spread evenly.

    Attributes:
        counts: [groups, columns]: a column an operation type and a kind of annotations, the last one for all.
        spread: columns of which every split should have something, because enough groups have it.
    """

    counts: npt.NDArray[np.float64]
    spread: list[int]

    @classmethod
    def of(cls, operations: Sequence[Operated], groups: Sequence[Sequence[int]]) -> _Table:
        kinds = sorted({one.operation_type for one in operations})
        annotated = sorted({kind for one in operations for kind in one.annotated})
        columns = [[one.operation_type == kind for one in operations] for kind in kinds]
        columns += [[kind in one.annotated for one in operations] for kind in annotated]
        has = np.array([*columns, [True] * len(operations)], dtype=float).T
        counts = np.array([has[list(group)].sum(axis=0) for group in groups])
        first = len(kinds)
        enough = (counts[:, first:-1] > 0).sum(axis=0) >= GROUPS_TO_SPREAD
        return cls(counts, [first + column for column in np.flatnonzero(enough).tolist()])


def groups_of(operations: Sequence[Operated], group_by: str) -> list[list[int]]:
    """Places of operations that are tied to each other, directly or through others."""
    tied: Mapping[tuple[str, str], list[int]] = defaultdict(list)
    for place, one in enumerate(operations):
        for tie in one.ties(group_by):
            tied[tie].append(place)
    leader = list(range(len(operations)))

    def first_of(place: int) -> int:
        while leader[place] != place:
            place = leader[place]
        return place

    for places in tied.values():
        for place in places[1:]:
            low, high = sorted((first_of(places[0]), first_of(place)))
            leader[high] = low
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(operations)):
        groups[first_of(place)].append(place)
    return list(groups.values())


class _Search:
    """Largest groups first to where they fit best, then single moves and swaps until none helps."""

    def __init__(self, table: _Table, ratios: npt.NDArray[np.float64], seed: int, fixed: Mapping[int, int]) -> None:
        self._table, self._spread = table.counts, table.spread
        order = np.random.default_rng(seed).permutation(len(self._table))
        free = [group for group in order.tolist() if group not in fixed]
        self._order = sorted(free, key=lambda group: -self._table[group, -1])
        self._wished = ratios[:, None] * self._table.sum(axis=0)
        self._counts = np.zeros_like(self._wished)
        self._placed = np.zeros(len(self._table), dtype=int)
        for group, split in fixed.items():
            self._put(group, split)

    def run(self) -> list[int]:
        """Split of every group."""
        for group in self._order:
            self._put(group, min(range(len(self._wished)), key=lambda split: self._cost_with(group, split)))
        while self._improves(self._moves()) or (len(self._table) <= SWAPPED_GROUPS and self._improves(self._swaps())):
            pass
        return [int(split) for split in self._placed]

    def _put(self, group: int, split: int) -> None:
        self._placed[group] = split
        self._counts[split] += self._table[group]

    def _cost(self) -> float:
        """Squared deviation of types, annotations and totals, and a penalty for splits without any."""
        missing = EMPTY_PENALTY * (self._counts[:, -1] == 0).sum()
        missing += UNANNOTATED_PENALTY * (self._counts[:, self._spread] == 0).sum()
        return float(((self._counts - self._wished) ** 2).sum() + missing)

    def _cost_with(self, group: int, split: int) -> float:
        self._counts[split] += self._table[group]
        cost = self._cost()
        self._counts[split] -= self._table[group]
        return cost

    def _moves(self) -> Iterable[list[tuple[int, int]]]:
        for group in self._order:
            yield from ([(group, split)] for split in range(len(self._wished)) if split != self._placed[group])

    def _swaps(self) -> Iterable[list[tuple[int, int]]]:
        for one, other in combinations(self._order, 2):
            if self._placed[one] != self._placed[other]:
                yield [(one, int(self._placed[other])), (other, int(self._placed[one]))]

    def _improves(self, changes: Iterable[list[tuple[int, int]]]) -> bool:
        """Make the first change that lowers the cost."""
        before = self._cost()
        for change in changes:
            back = [(group, int(self._placed[group])) for group, _ in change]
            self._make(change)
            if self._cost() < before - 1e-9:
                return True
            self._make(back)
        return False

    def _make(self, change: list[tuple[int, int]]) -> None:
        for group, split in change:
            self._counts[self._placed[group]] -= self._table[group]
            self._put(group, split)
