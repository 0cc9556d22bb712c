"""A plan over a made-up past: not one pair too many, not one too few, whatever happened.

The oracle knows nothing of bases, verdicts or tables. It reads the past itself and asks for every pair, by brute force,
whether it or anything that it stands on differs from what would be made now.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from benchmarks.history import History
from benchmarks.plan import fill_index
from neurovision_assets.provenance_index import results_by_video
from neurovision_assets.reprocessing.draft import Draft, draw_up
from neurovision_assets.reprocessing.plans import approve, pairs_of, propose
from neurovision_assets.reprocessing.present import Present, Upload
from neurovision_assets.reprocessing.requests import items_of
from neurovision_assets.stage.judgement import StageQuestion
from neurovision_assets.stage.spec import ProgressSpan, StageSpec
from neurovision_assets.staleness import Basis
from neurovision_assets.surgery.pipeline import SURGERY
from resources.database.engine import Database
from resources.database.tables import PROVENANCE_INDEX
from resources.inference.spec import ModelIdentity
from tests.toy_domain import ToyConfig

Questions = Mapping[str, Sequence[StageQuestion]]
Pairs = set[tuple[str, str]]


def question(name: str, must: Sequence[str], may: Sequence[str], *, model: str | None, variant: str) -> StageQuestion:
    """A made-up stage."""
    spec = StageSpec("toy", name, "toy", tuple(must), ToyConfig, "7", ProgressSpan(0, 1, ""), tuple(may))
    models = (ModelIdentity(model, 1, "1.0.0", f"digest of {model}"),) if model else ()
    return StageQuestion(
        spec=spec,
        reads=(*must, *may),
        reads_upload=not must and not may,
        models=models,
        without_inputs=Basis(
            code_version="7",
            schema_version=1,
            sampling_policy_version="1",
            stage_config_hash=f"{name} {variant}",
            inputs={},
            models={one.name: one.digest for one in models},
        ),
    )


@st.composite
def pipelines(draw: st.DrawFn) -> Questions:
    """Up to six stages, each reading some of those before it; two profiles, one of which switches stages off."""
    names = [f"stage{number}" for number in range(draw(st.integers(1, 6)))]
    must, may, models = {}, {}, {}
    for place, name in enumerate(names):
        roles = [draw(st.sampled_from(["no", "must", "may"])) for _ in names[:place]]
        must[name] = [other for other, role in zip(names, roles, strict=False) if role == "must"]
        may[name] = [other for other, role in zip(names, roles, strict=False) if role == "may"]
        models[name] = draw(st.sampled_from([None, "eye", "ear"]))
    off = {name for name in names if draw(st.booleans())}
    for name in names:  # what stands on a stage that is off is off too, unless it can do without
        if off.intersection(must[name]):
            off.add(name)
    profiles = {"whole": set(names), "part": set(names) - off}
    return {
        profile: [
            question(
                name,
                must[name],
                [other for other in may[name] if other in enabled],
                model=models[name],
                variant=draw(st.sampled_from(["same", profile])),
            )
            for name in names
            if name in enabled
        ]
        for profile, enabled in profiles.items()
        if enabled
    }


def surgery_questions() -> Questions:
    """The surgical pipeline under two profiles, the second without anatomy."""
    whole = []
    for spec in SURGERY.stages:
        one = question(
            spec.name, spec.inputs, spec.optional_inputs, model=spec.models[-1] if spec.models else None, variant=""
        )
        whole.append(one)
    part = [
        question(
            one.spec.name,
            one.spec.inputs,
            [name for name in one.spec.optional_inputs if name != "anatomy"],
            model=one.models[0].name if one.models else None,
            variant="part" if one.spec.name == "frames" else "",
        )
        for one in whole
        if one.spec.name != "anatomy"
    ]
    return {"whole": whole, "part": part}


def by_brute_force(history: History) -> Pairs:
    """Every pair that a plan must hold."""
    return {
        (video_id, one.spec.asset)
        for video_id, profile in history.profiles.items()
        for one in history.questions[profile]
        if would_change(history, video_id, profile, one.spec.name)
    }


def would_change(history: History, video_id: str, profile: str, name: str) -> bool:
    """Whether a stage's result is missing, made otherwise than today, or stands on one that would change."""
    [one] = [question for question in history.questions[profile] if question.spec.name == name]
    made = history.made.get((video_id, name))
    if made is None:
        return True
    today = one.without_inputs
    there = {read for read in one.reads if (video_id, read) in history.made}
    return (
        made.code != today.code_version
        or made.config != today.stage_config_hash
        or made.models != today.models
        or made.upload != (history.uploads[video_id] if one.reads_upload else None)
        or set(made.inputs) != there
        or any(made.inputs[read] != history.made[video_id, read].content for read in there)
        or any(would_change(history, video_id, profile, read) for read in one.reads)
    )


def plan_of(history: History) -> Draft:
    present = Present(
        uploads={
            video_id: Upload(history.profiles[video_id], version) for video_id, version in history.uploads.items()
        },
        questions=history.questions,
        default_profile="whole",
        unjudged={},
    )
    return draw_up(present, history.rows())


@given(pipelines(), st.integers(1, 12), st.integers(0, 2**32))
def test_a_plan_holds_exactly_the_pairs_that_would_change(questions: Questions, videos: int, seed: int) -> None:
    history = History(questions, videos, seed)
    draft = plan_of(history)
    pairs = [(item.video_id, item.asset) for item in draft.items]
    assert len(pairs) == len(set(pairs)) == draft.summary.pairs
    assert set(pairs) == by_brute_force(history)
    assert sum(draft.summary.by_cause.values()) == draft.summary.pairs
    assert all(item.because for item in draft.items)


@given(st.integers(0, 2**32))
def test_upstream_comes_first_and_videos_stay_together(seed: int) -> None:
    order = {spec.asset.replace("surgery", "toy"): place for place, spec in enumerate(SURGERY.stages)}
    draft = plan_of(History(surgery_questions(), 6, seed))
    places = [(item.video_id, order[item.asset]) for item in draft.items]
    videos = list(dict.fromkeys(video_id for video_id, _ in places))
    assert places == sorted(places, key=lambda place: (videos.index(place[0]), place[1]))


@pytest.mark.slow
def test_ten_thousand_videos_not_one_pair_too_many_or_too_few(tmp_path: Path) -> None:
    """The same through the real tables, and the approved plan's request has exactly the plan's videos."""
    history = History(surgery_questions(), 10_000, seed=0)
    expected = by_brute_force(history)
    assert 0.1 < len(expected) / 80_000 < 0.9, "a past in which everything or nothing is stale proves little"
    database = Database(url=f"sqlite:///{tmp_path / 'application.db'}")
    fill_index(database, history)
    uploads = {key: Upload(history.profiles[key], version) for key, version in history.uploads.items()}
    with database.reading() as connection:
        assert connection.execute(select(PROVENANCE_INDEX.c.asset)).first() is not None
        draft = draw_up(Present(uploads, history.questions, "whole", {}), results_by_video(connection))
    plan_id = propose(database, draft, "tester")
    assert {(video_id, asset) for video_id, asset, _, _ in pairs_of(database, plan_id)} == expected
    request_id = approve(database, plan_id, "tester", draft.standards)
    assert {item.video_id for item in items_of(database, request_id)} == {video_id for video_id, _ in expected}
