"""Profiles: what is wrong with one is said with its name, stage and field; the hash tells parameters, not spellings."""

from pathlib import Path

import pytest
import yaml

from neurovision_assets.profiles import ProfileCatalog, ResolvedProfile
from neurovision_assets.provenance import canonical_json, config_hash
from neurovision_assets.surgery.pipeline import SURGERY
from resources.errors import ConfigurationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "profiles").mkdir()
    return tmp_path / "profiles"


def resolve(folder: Path, name: str) -> ResolvedProfile:
    """A fresh catalog: a run reads a profile once."""
    return SURGERY.resolve(ProfileCatalog(user_folder=str(folder), default="production"), name)


def hash_of(folder: Path, text: str) -> str:
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return resolve(folder, "mine").hash


def config(profile: ResolvedProfile, stage: str) -> dict[str, object]:
    return profile.configs[stage].model_dump()


def test_the_built_in_profiles_differ_as_described(folder: Path):
    """Issue 2, part 7; MS-015…017."""
    assert ProfileCatalog(user_folder=str(folder), default="production").names() == [
        "fast_debug",
        "production",
        "research",
    ]
    production, fast, research = (resolve(folder, name) for name in ("production", "fast_debug", "research"))
    assert config(production, "frames") | {"fps": 2.0, "width_px": 640, "height_px": 480, "jpeg_quality": 95} == config(
        production, "frames"
    )
    assert config(production, "instruments")["score_threshold"] == 0.5
    assert production.profile.cache_ttl_days == 3
    assert production.profile.is_enabled("anatomy")
    assert not production.profile.is_required("anatomy")
    assert production.profile.is_required("phases")
    assert config(fast, "frames")["fps"] == 0.5
    assert not fast.profile.is_enabled("anatomy")
    assert not fast.profile.is_enabled("events")
    assert config(research, "frames")["fps"] == 5.0
    assert research.profile.is_required("anatomy")
    assert len({production.hash, fast.hash, research.hash}) == 3


def test_a_user_s_profile_wins_over_ours_of_the_same_name(folder: Path):
    (folder / "production.yaml").write_text("stages: {frames: {fps: 1}}")
    assert config(resolve(folder, "production"), "frames")["fps"] == 1.0
    assert config(resolve(folder, "research"), "frames")["fps"] == 5.0


@pytest.mark.parametrize("name", ["my-profile", "ночной_2", "1st"])
def test_a_profile_that_is_listed_can_be_asked_for(folder: Path, name: str):
    (folder / f"{name}.yaml").write_text("description: mine")
    assert name in ProfileCatalog(user_folder=str(folder), default="production").names()
    assert resolve(folder, name).profile.description == "mine"


@pytest.mark.parametrize("name", ["../secret", "..", "", "/etc/passwd", "a/b", "x" * 400, "x\x00", "-x", "nightly"])
def test_a_name_that_is_no_profile_is_refused_whatever_lies_there(folder: Path, name: str):
    (folder.parent / "secret.yaml").write_text("description: not a profile")
    with pytest.raises(ConfigurationError, match=r"There is no such profile.*fast_debug, production, research"):
        resolve(folder, name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stages: {fames: {fps: 1}}", "stages that do not exist: fames"),
        ("disabled: [anatomi]", "stages that do not exist: anatomi"),
        ("optional: [event]", "stages that do not exist: event"),
        ("stages: {frames: {fsp: 1}}", "Stage frames, parameter 'fsp': Extra inputs are not permitted"),
        ("stages: {frames: {fps: quick}}", "Stage frames, parameter 'fps': Input should be a valid number"),
        ("stages: {frames: {fps: 0}}", "Stage frames, parameter 'fps': Input should be greater than 0"),
        ("stages: {frames: {fps: .inf}}", "Stage frames, parameter 'fps'"),
        ("stages: {frames: {fps: .nan}}", "Stage frames, parameter 'fps'"),
        ("stages: {video: {limits: {no_such: 1}}}", "Stage video, parameter 'limits.no_such'"),
        ("stages: {frames: }", "parameter 'stages.frames'"),
        ("cache_ttl: 1", "parameter 'cache_ttl': Extra inputs"),
        ("cache_ttl_days: 0", "parameter 'cache_ttl_days': Input should be greater than 0"),
        ("cache_ttl_days: .nan", "parameter 'cache_ttl_days'"),
        ("cache_ttl_days: 1.0e+12", "parameter 'cache_ttl_days'"),
        ("1: 2", "profile mine"),
        ("[a, b]", "not a YAML mapping"),
        ("just words", "not a YAML mapping"),
        ("stages: {frames: {fps: 1", "cannot be read"),
    ],
)
def test_a_wrong_profile_names_itself_its_stage_and_its_field_in_one_line(folder: Path, text: str, said: str):
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"^profile mine: ") as caught:
        resolve(folder, "mine")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_a_named_failure(folder: Path):
    (folder / "mine.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="profile mine: The file cannot be read"):
        resolve(folder, "mine")


def test_the_hash_does_not_see_spelling(folder: Path):
    """Trap T28: order of keys, 1 and 1.0, a default written down or left out, names and texts."""
    written = hash_of(folder, "stages:\n  frames: {fps: 2, width_px: 640}\n  phases: {taxonomy: default}\n")
    for text in (
        "stages:\n  phases: {taxonomy: default}\n  frames: {width_px: 640, fps: 2.0}\n",
        "",
        "description: other words\ncache_ttl_days: 9\n",
        "stages: {frames: {fps: 2.0e+0, width_px: 640.0}}",
    ):
        assert hash_of(folder, text) == written


def test_the_hash_sees_every_parameter_of_every_stage(folder: Path):
    """Each field of each stage's configuration is changed by itself."""
    seen = {hash_of(folder, "")}
    (folder / "own.txt").write_text("the text of a user's own rules")
    for stage in SURGERY.stages:
        for field, value in (
            stage.config_type().model_dump(mode="json", include=set(stage.config_type.model_fields)).items()
        ):
            changed = str(folder / "own.txt") if field in ("rules", "reference") else _another(value)
            text = yaml.safe_dump({"stages": {stage.name: {field: changed}}})
            found = hash_of(folder, text)
            assert found not in seen, f"{stage.name}.{field}: {value} and {changed} have one hash"
            seen.add(found)
    for text in ("disabled: [anatomy]", "optional: [anatomy]", "optional: [anatomy, events]"):
        found = hash_of(folder, text)
        assert found not in seen, text
        seen.add(found)


def _another(value: object) -> object:
    """A value near to the given one, so that it is allowed."""
    match value:
        case bool():
            return not value
        case int():
            return value - 1 if value > 1 else value + 1
        case float():
            return value * 0.9 if value else 0.01
        case str():
            return "exact" if value == "near" else "other"
        case list():
            return value[:1]
        case dict():
            first = next(iter(value))
            return {**value, first: _another(value[first])}
    raise TypeError(value)


def test_the_hash_sees_the_policies(folder: Path):
    catalog = ProfileCatalog(user_folder=str(folder), default="production")
    types = {stage.name: stage.config_type for stage in SURGERY.stages}
    hashes = {catalog.resolve("production", types, {"sampling": version}).hash for version in ("1", "2")}
    assert len(hashes) == 2


def test_a_disabled_stage_s_parameters_do_not_count(folder: Path):
    off = hash_of(folder, "disabled: [anatomy]")
    assert hash_of(folder, "disabled: [anatomy]\nstages: {anatomy: {min_area_fraction: 0.1}}") == off


def test_the_canonical_spelling_is_written_once_and_for_all():
    """Stored hashes are compared with new ones for years: this spelling may not change."""
    assert canonical_json({"b": [1.0, None, "ж"], "a": True}) == '{"a":true,"b":[1.0,null,"ж"]}'
    assert config_hash({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(float("nan"))


def test_a_run_reads_a_profile_once(folder: Path):
    catalog = ProfileCatalog(user_folder=str(folder), default="production")
    (folder / "mine.yaml").write_text("stages: {frames: {fps: 1}}")
    before = SURGERY.resolve(catalog, "mine").hash
    (folder / "mine.yaml").write_text("stages: {frames: {fps: 4}}")
    assert SURGERY.resolve(catalog, "mine").hash == before
    assert resolve(folder, "mine").hash != before
