"""Folds for cross-validation (NV-077…081).

Belongs here: the validator and its two ways. Does not belong here: the one division that models are promoted by
(``assign``). Both ways take a seed, so that they give the same folds again (T18).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurovision_assets.training.splits.assign import Operated, groups_of
from resources.errors import PermanentFailure

Indices = NDArray[np.int64]
Fold = tuple[Indices, Indices]
"""Places of the operations to train and to test on."""
SEED = 42


@dataclass(frozen=True)
class SurgicalCrossValidator:
    """Divides operations into folds that share no surgeon and no patient, or no operation type.

    Attributes:
        n_splits: number of folds.
        group_by: what no two folds share. Grouped by surgeon or patient, operation types are spread as evenly as the
            groups let them (scikit-learn's StratifiedGroupKFold); grouped by type there is nothing to spread.
        seed: decides between equally good divisions.
    """

    n_splits: int = 5
    group_by: Literal["surgeon", "patient", "operation_type"] = "surgeon"
    seed: int = SEED

    def split(self, operations: Sequence[Operated]) -> list[Fold]:
        """One fold after the other; every operation is tested once.

        Raises:
            PermanentFailure: there are fewer groups than folds.
        """
        from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

        groups = self._groups(operations)
        found = len(set(groups))
        if found < self.n_splits:
            raise PermanentFailure(
                f"{len(operations)} operations make {found} groups by {self.group_by}, not {self.n_splits} or more.",
                subject="cross-validation",
                remedy="Take fewer folds, or another group_by.",
            )
        places, kinds = np.zeros((len(operations), 1)), [one.operation_type for one in operations]
        if self.group_by == "operation_type" or max(kinds.count(kind) for kind in set(kinds)) < self.n_splits:
            folder = GroupKFold(self.n_splits, shuffle=True, random_state=self.seed)
        else:
            folder = StratifiedGroupKFold(self.n_splits, shuffle=True, random_state=self.seed)
        return [(train, test) for train, test in folder.split(places, kinds, groups)]

    def get_stratified_splits(
        self, operations: Sequence[Operated], stratify_by: Literal["operation_type"] = "operation_type"
    ) -> list[Fold]:
        """Folds with equal numbers of each type, ungrouped: n // k of each, shuffled, and the rest in the last fold."""
        rng = np.random.default_rng(self.seed)
        tested: list[list[int]] = [[] for _ in range(self.n_splits)]
        kinds = [getattr(one, stratify_by) for one in operations]
        for kind in sorted(set(kinds)):
            places = rng.permutation([place for place, each in enumerate(kinds) if each == kind]).tolist()
            size = len(places) // self.n_splits
            for fold in range(self.n_splits):
                end = len(places) if fold == self.n_splits - 1 else (fold + 1) * size
                tested[fold] += places[fold * size : end]
        everything = np.arange(len(operations))
        return [
            (np.setdiff1d(everything, np.array(test, dtype=np.int64)), np.sort(np.array(test, dtype=np.int64)))
            for test in tested
        ]

    def _groups(self, operations: Sequence[Operated]) -> list[str | int]:
        if self.group_by == "operation_type":
            return [one.operation_type for one in operations]
        number: dict[int, int] = {}
        for group, places in enumerate(groups_of(operations, self.group_by)):
            number.update(dict.fromkeys(places, group))
        return [number[place] for place in range(len(operations))]
