"""Dividing operations: groups stay whole, ratios and types are met as nearly as groups allow, the same every time.

Belongs here: divisions and folds. Does not belong here: the files and assets they are written to.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neurovision_assets.training.params import SplitsParams
from neurovision_assets.training.splits.assign import Operated, divide, groups_of
from neurovision_assets.training.splits.folds import SurgicalCrossValidator
from resources.errors import PermanentFailure

CHOLECYSTECTOMY, ADHESIOLYSIS = "laparoscopic-cholecystectomy", "laparoscopic-adhesiolysis"


def operated(count: int, *, patients: int = 10_000, surgeons: int = 10_000, seed: int = 0) -> list[Operated]:
    rng = np.random.default_rng(seed)
    kinds = rng.choice([CHOLECYSTECTOMY, ADHESIOLYSIS], size=count, p=[0.7, 0.3])
    return [
        Operated(f"operation_{n:03d}", f"patient-{n % patients}", f"surgeon-{n % surgeons}", str(kind))
        for n, kind in enumerate(kinds)
    ]


def sides(operations: list[Operated], split_of: dict[str, str], attribute: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in operations:
        found.setdefault(getattr(one, attribute), set()).add(split_of[one.operation])
    return found


def test_ratios_and_types_are_met() -> None:
    operations = operated(100)
    division = divide(operations, SplitsParams())
    assert Counter(division.split_of.values()) == {"train": 70, "val": 15, "test": 15}
    totals = Counter(one.operation_type for one in operations)
    for split, ratio in SplitsParams().ratios.items():
        for kind, total in totals.items():
            assert abs(division.counts[split][kind] - ratio * total) <= 1
    assert division.shortfalls() == []


def test_the_same_seed_divides_alike_in_any_order() -> None:
    operations = operated(60, patients=40)
    division = divide(operations, SplitsParams())
    assert divide(list(reversed(operations)), SplitsParams()) == division
    assert divide(operations, SplitsParams(random_seed=7)).split_of != division.split_of


@pytest.mark.parametrize("group_by", ["patient", "surgeon"])
def test_groups_stay_on_one_side(group_by: str) -> None:
    operations = operated(90, patients=40, surgeons=20)
    division = divide(operations, SplitsParams(group_by=group_by))
    assert all(len(splits) == 1 for splits in sides(operations, division.split_of, "patient").values())
    if group_by == "surgeon":
        assert all(len(splits) == 1 for splits in sides(operations, division.split_of, "surgeon").values())


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 5), st.booleans()), min_size=3, max_size=30))
def test_no_patient_or_surgeon_is_ever_divided(drawn: list[tuple[int, int, bool]]) -> None:
    operations = [
        Operated(f"o{n}", f"p{patient}", f"s{surgeon}", CHOLECYSTECTOMY if kind else ADHESIOLYSIS)
        for n, (patient, surgeon, kind) in enumerate(drawn)
    ]
    try:
        division = divide(operations, SplitsParams(group_by="surgeon"))
    except PermanentFailure:
        assert len(groups_of(operations, "surgeon")) < 3
        return
    for attribute in ("patient", "surgeon"):
        assert all(len(splits) == 1 for splits in sides(operations, division.split_of, attribute).values())
    assert set(division.split_of.values()) == {"train", "val", "test"}


def test_small_divisions_are_the_best_there_are() -> None:
    """Against every possible division of up to seven groups."""

    def cost(operations: list[Operated], split_of: dict[str, str], params: SplitsParams) -> float:
        kinds, total = sorted({one.operation_type for one in operations}), 0.0
        for split, ratio in params.ratios.items():
            own = [one for one in operations if split_of[one.operation] == split]
            total += 1e6 * (not own) + (len(own) - ratio * len(operations)) ** 2
            for kind in kinds:
                wished = ratio * sum(one.operation_type == kind for one in operations)
                total += (sum(one.operation_type == kind for one in own) - wished) ** 2
        return total

    found = []
    for seed in range(8):
        operations = operated(12, patients=7, seed=seed)
        groups = groups_of(operations, "patient")
        best = min(
            cost(operations, {operations[i].operation: split for g, split in zip(groups, each, strict=True) for i in g},
                 SplitsParams())
            for each in product(("train", "val", "test"), repeat=len(groups))
        )  # fmt: skip
        found.append(cost(operations, divide(operations, SplitsParams()).split_of, SplitsParams()) <= best + 1e-6)
    assert sum(found) >= 7


def test_one_recording_under_two_names_stays_on_one_side() -> None:
    operations = operated(20)
    twin = Operated("twin", "another-patient", "surgeon", CHOLECYSTECTOMY, recording="ab" * 32)
    operations = [*operations[:-1], Operated("first", "patient", "s", CHOLECYSTECTOMY, recording="ab" * 32), twin]
    for seed in range(6):
        division = divide(operations, SplitsParams(random_seed=seed))
        assert division.split_of["first"] == division.split_of["twin"]


@pytest.mark.parametrize("count", [20, 40, 80])
def test_an_operation_stays_where_an_earlier_version_put_it(count: int) -> None:
    """Else a served model would be judged by videos that it learned from."""
    operations = operated(count + 8)
    first = divide(operations[:count], SplitsParams()).split_of
    second = divide(operations, SplitsParams(), first)
    assert {name: second.split_of[name] for name in first} == first
    assert divide(operations, SplitsParams()).split_of != second.split_of
    assert not second.shortfalls()


def test_new_operations_fill_what_is_short() -> None:
    operations = operated(40, patients=40)
    earlier = {one.operation: "train" if n < 18 else "val" for n, one in enumerate(operations[:20])}
    placed = Counter(divide(operations, SplitsParams(), earlier).split_of.values())
    assert placed == {"train": 28, "val": 6, "test": 6}


def test_groups_that_turn_out_to_be_one_go_where_they_were_learned_from() -> None:
    operations = operated(30, patients=30)
    first = divide(operations, SplitsParams()).split_of
    learned, judged = (next(name for name, split in first.items() if split == side) for side in ("train", "test"))
    tied = [replace(one, patient="one") if one.operation in (learned, judged) else one for one in operations]
    assert divide(tied, SplitsParams(), first).split_of[judged] == "train"


def test_a_split_that_is_emptied_by_ties_is_refused() -> None:
    operations = operated(3, patients=3)
    first = divide(operations, SplitsParams()).split_of
    tied = [replace(one, patient="one") if first[one.operation] in ("train", "test") else one for one in operations]
    with pytest.raises(PermanentFailure, match="'test' would be empty"):
        divide([*tied, *operated(6, patients=6)[3:4]], SplitsParams(), {**first, "operation_003": "val"})


def test_every_split_has_some_of_the_rare_annotations() -> None:
    boxed = [
        replace(one, annotated=frozenset({"boxes"}) if n < 3 else frozenset()) for n, one in enumerate(operated(60))
    ]
    division = divide(boxed, SplitsParams())
    assert {division.split_of[one.operation] for one in boxed if one.annotated} == {"train", "val", "test"}


def test_what_cannot_be_divided_is_refused_and_what_falls_short_is_told() -> None:
    linked = [Operated(f"o{n}", f"p{n // 2}", f"s{(n + 1) // 2}", CHOLECYSTECTOMY) for n in range(12)]
    with pytest.raises(PermanentFailure, match=r"12 operations make 1 groups.*group by patient alone"):
        divide(linked, SplitsParams(group_by="surgeon"))
    large = [Operated(f"o{n}", "one-patient" if n < 14 else f"p{n}", "s", CHOLECYSTECTOMY) for n in range(20)]
    assert divide(large, SplitsParams()).shortfalls() == []
    larger = [Operated(f"o{n}", "one-patient" if n < 17 else f"p{n}", "s", CHOLECYSTECTOMY) for n in range(20)]
    assert any("train has 17" in sentence for sentence in divide(larger, SplitsParams()).shortfalls())


def test_ratios_must_sum_to_one() -> None:
    with pytest.raises(ValidationError, match="must sum to 1"):
        SplitsParams(train_ratio=0.8)


def test_folds_by_surgeon_share_no_surgeon_and_no_patient() -> None:
    operations = operated(60, patients=48, surgeons=12)
    validator = SurgicalCrossValidator()
    assert (validator.n_splits, validator.group_by) == (5, "surgeon")
    folds = validator.split(operations)
    assert len(folds) == 5
    assert sorted(np.concatenate([test for _, test in folds]).tolist()) == list(range(60))
    for train, test in folds:
        assert set(train) | set(test) == set(range(60))
        for attribute in ("surgeon", "patient"):
            assert not {getattr(operations[i], attribute) for i in train} & {
                getattr(operations[i], attribute) for i in test
            }
    again = validator.split(operations)
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))


def test_folds_by_type_share_no_type() -> None:
    operations = [Operated(f"o{n}", f"p{n}", "s", f"type-{n % 5}") for n in range(25)]
    for train, test in SurgicalCrossValidator(group_by="operation_type").split(operations):
        assert not {operations[i].operation_type for i in train} & {operations[i].operation_type for i in test}


def test_too_few_groups_for_folds_are_refused() -> None:
    with pytest.raises(PermanentFailure, match="3 groups by surgeon"):
        SurgicalCrossValidator().split(operated(20, surgeons=3))


def test_stratified_folds_of_eleven_are_two_two_two_two_three() -> None:
    operations = [Operated(f"o{n}", f"p{n}", "s", CHOLECYSTECTOMY) for n in range(11)]
    folds = SurgicalCrossValidator().get_stratified_splits(operations)
    assert [len(test) for _, test in folds] == [2, 2, 2, 2, 3]
    assert all(not set(a[1]) & set(b[1]) for a, b in combinations(folds, 2))
    assert [test.tolist() for _, test in folds] != [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9, 10]]
    again = SurgicalCrossValidator().get_stratified_splits(operations)
    assert [test.tolist() for _, test in again] == [test.tolist() for _, test in folds]


def test_stratified_folds_balance_every_type() -> None:
    operations = operated(43)
    folds = SurgicalCrossValidator().get_stratified_splits(operations)
    for kind in (CHOLECYSTECTOMY, ADHESIOLYSIS):
        counts = [sum(operations[i].operation_type == kind for i in test) for _, test in folds]
        assert max(counts) - min(counts) <= sum(counts) % 5
