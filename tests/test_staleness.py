"""Whether a stored result still answers: every reason by itself, and the age at which it is not used again."""

from datetime import timedelta
from pathlib import Path

import pytest

from neurovision_assets.artifacts import ArtifactRecord
from neurovision_assets.staleness import Basis, Staleness, basis_of, is_young_enough, staleness
from resources.object_store import ObjectStore
from tests.artifact_writing import FINISHED, provenance, publish

TTL_DAYS = 3.0


@pytest.fixture
def record(tmp_path: Path) -> ArtifactRecord:
    return publish(ObjectStore(url=tmp_path.as_uri()))


def now(**changes: object) -> Basis:
    return basis_of(provenance()).model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({}, Staleness.UP_TO_DATE),
        ({"code_version": "2"}, Staleness.CODE),
        ({"schema_version": 2}, Staleness.CODE),
        ({"sampling_policy_version": "2"}, Staleness.CODE),
        ({"stage_config_hash": "6" * 64}, Staleness.CONFIG),
        ({"models": {"backbone": "b" * 64}}, Staleness.MODEL),
        ({"models": {"resnet50": "a" * 64}}, Staleness.MODEL),
        ({"models": {}}, Staleness.MODEL),
        ({"inputs": {"toy/uploads": "99999999"}}, Staleness.INPUT),
        ({"inputs": {}}, Staleness.INPUT),
        ({"inputs": {"toy/uploads": "0123abcd", "toy/extra": "1"}}, Staleness.INPUT),
    ],
)
def test_each_reason_is_told(record: ArtifactRecord, changes: dict[str, object], answer: Staleness):
    assert staleness(record, now(**changes)) is answer


def test_of_several_reasons_the_most_upstream_is_told(record: ArtifactRecord):
    everything = {
        "code_version": "2",
        "stage_config_hash": "6" * 64,
        "models": {},
        "inputs": {},
    }
    told = []
    for field in list(everything):
        told.append(staleness(record, now(**everything)))
        del everything[field]
    assert told == [Staleness.CODE, Staleness.CONFIG, Staleness.MODEL, Staleness.INPUT]


def test_no_record_is_missing():
    assert staleness(None, now()) is Staleness.MISSING


def test_who_asked_and_how_long_it_took_make_nothing_stale(tmp_path: Path):
    other = provenance(run_id="another", profile="mine", config_hash="d" * 64, device="gpu", duration_ms=99)
    assert staleness(publish(ObjectStore(url=tmp_path.as_uri()), provenance=other), now()) is Staleness.UP_TO_DATE


@pytest.mark.parametrize(
    ("age", "young"),
    [
        (timedelta(0), True),
        (timedelta(days=TTL_DAYS - 1), True),
        (timedelta(days=TTL_DAYS) - timedelta(seconds=1), True),
        (timedelta(days=TTL_DAYS) + timedelta(seconds=1), False),
        (timedelta(days=TTL_DAYS + 1), False),
    ],
)
def test_a_result_answers_a_repeated_request_until_its_time_is_over(age: timedelta, young: bool):
    """RS-017, RS-018."""
    assert is_young_enough(provenance(), TTL_DAYS, FINISHED + age) is young


def test_age_alone_makes_nothing_stale(tmp_path: Path):
    old = provenance(finished=FINISHED - timedelta(days=10_000))
    assert not is_young_enough(old, TTL_DAYS)
    assert staleness(publish(ObjectStore(url=tmp_path.as_uri()), provenance=old), now()) is Staleness.UP_TO_DATE
