"""Versions appear whole, the old one stays, a race gives no mixture, and the way back is one step."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.stage.resolve import check_models
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.training.evaluation.report import known_to_served
from neurovision_assets.training.lineage import models_that_saw
from resources.errors import ConfigurationError, PermanentFailure
from resources.inference.client import InferenceResource
from resources.inference.notes import NOTE_FILE, VersionNote, read_note
from resources.inference.releases import ServedMeanwhile, publish, restore
from resources.inference.repository import ModelRepository
from resources.object_store import sha256_of_file
from tests.tiny_models import Graph, Node, Tensor, install

NAME = "halver"
CONFIG = (
    "version_policy { latest { num_versions: 2 } }"
    'parameters { key: "model_version" value { string_value: "1.0.0" } }'
    'parameters { key: "taxonomy" value { string_value: "default" } }'
)


def graph(operator: str) -> Graph:
    """Answers with a function of its input: two files of one contract with different answers."""
    shape = ("batch", 3)
    return Graph([Node(operator, ["given"], ["answer"])], [Tensor("given", shape)], [Tensor("answer", shape)])


@pytest.fixture
def repository(tmp_path: Path) -> ModelRepository:
    """One model that came with the code; it answers with its input."""
    root = tmp_path / "models"
    install(root, NAME, graph("Identity"), more=CONFIG)
    return ModelRepository(root)


def candidate(folder: Path, operator: str) -> Path:
    path = folder / f"{operator}.onnx"
    path.write_bytes(graph(operator).onnx())
    return path


def note(path: Path, release: str, learned_from: tuple[str, ...] = ("a", "b")) -> VersionNote:
    return VersionNote(
        release=release,
        digest=sha256_of_file(path),
        parameters={"model_version": release, "data_revision": f"data of {release}"},
        mlflow_run_id=f"run of {release}",
        data_hash="hash",
        learned_from=learned_from,
        chosen_on=("c",),
        installed=datetime.now(UTC),
    )


def promote(repository: ModelRepository, folder: Path, operator: str, release: str) -> int:
    path = candidate(folder, operator)
    now = repository.describe(NAME).identity.digest
    return publish(repository, NAME, path, note(path, release), instead_of=now)


def answer(engine: InferenceResource) -> list[float]:
    given = np.array([[-1, 0, 2]], dtype=np.float32)
    return [float(value) for value in engine.infer(NAME, {"given": given})["answer"][0]]


def test_a_promotion_is_the_next_version_and_the_old_one_keeps_its_own_name(
    repository: ModelRepository, tmp_path: Path
) -> None:
    assert promote(repository, tmp_path, "Abs", "1.1.0") == 2
    new, old = repository.describe(NAME), repository.describe(NAME, 1)
    assert (new.identity.label, old.identity.label) == ("halver@1.1.0", "halver@1.0.0")
    assert new.parameters["data_revision"] == "data of 1.1.0"
    assert new.parameters["taxonomy"] == "default", "what the note does not say is the configuration's"
    assert "data_revision" not in old.parameters
    assert repository.served_versions(NAME) == [1, 2]
    promote(repository, tmp_path, "Neg", "1.2.0")
    assert repository.served_versions(NAME) == [2, 3]
    assert repository.versions_on_disk(NAME) == [1, 2, 3]


def test_a_run_that_pinned_before_the_promotion_goes_on_with_the_old_model(
    repository: ModelRepository, tmp_path: Path
) -> None:
    early = InferenceResource(repository=str(repository.root))
    pinned = early.pin(NAME).identity
    promote(repository, tmp_path, "Abs", "1.1.0")
    assert answer(early) == [-1, 0, 2], "loaded only after the promotion, and still the pinned file"
    assert early.pin(NAME).identity == pinned
    late = InferenceResource(repository=str(repository.root))
    assert answer(late) == [1, 0, 2]
    assert answer(early) == [-1, 0, 2]


def test_a_run_pins_all_of_its_models_before_its_first_stage(tmp_path: Path) -> None:
    early = InferenceResource(repository=str(tmp_path / "models"))
    catalog = ProfileCatalog(user_folder=str(tmp_path / "profiles"), default="production")
    profile = SURGERY.resolve(catalog, "production")
    check_models(SURGERY, profile, early)
    name = "phase_segmenter"
    before = early.models.describe(name).identity
    path = candidate(tmp_path, "Abs")
    publish(early.models, name, path, note(path, "1.1.0"), instead_of=before.digest)
    assert early.pin(name).identity == before, "phases come long after the first stage, and get what it was pinned to"
    assert InferenceResource(repository=str(tmp_path / "models")).pin(name).identity.release == "1.1.0"


def test_a_pinned_version_that_is_served_no_more_is_refused_and_never_replaced(
    repository: ModelRepository, tmp_path: Path
) -> None:
    early = InferenceResource(repository=str(repository.root))
    early.pin(NAME)
    promote(repository, tmp_path, "Abs", "1.1.0")
    promote(repository, tmp_path, "Neg", "1.2.0")
    with pytest.raises(ConfigurationError, match="Version 1 is not served"):
        answer(early)


def test_of_two_promotions_at_once_the_second_is_refused(repository: ModelRepository, tmp_path: Path) -> None:
    compared_with = repository.describe(NAME).identity.digest
    promote(repository, tmp_path, "Abs", "1.1.0")
    late = candidate(tmp_path, "Neg")
    with pytest.raises(ServedMeanwhile, match=r"Version 2 \(halver@1\.1\.0\) is served by now"):
        publish(repository, NAME, late, note(late, "1.2.0"), instead_of=compared_with)
    assert repository.versions_on_disk(NAME) == [1, 2]


def test_a_file_that_is_not_the_tested_one_is_refused_and_leaves_nothing(
    repository: ModelRepository, tmp_path: Path
) -> None:
    path = candidate(tmp_path, "Abs")
    told = note(path, "1.1.0")
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(PermanentFailure, match="not the one that was tested"):
        publish(repository, NAME, path, told, instead_of=repository.describe(NAME).identity.digest)
    assert sorted(one.name for one in (repository.root / NAME).iterdir()) == ["1", "config.pbtxt"]


def test_what_a_killed_promotion_left_is_no_version_and_is_cleared(repository: ModelRepository, tmp_path: Path) -> None:
    rest = repository.root / NAME / ".2.installing"
    rest.mkdir()
    (rest / "model.onnx").write_bytes(b"half a f")
    assert repository.served_versions(NAME) == [1]
    assert promote(repository, tmp_path, "Abs", "1.1.0") == 2
    assert not rest.exists()


def test_rollback_serves_the_earlier_file_under_a_new_number_and_back(
    repository: ModelRepository, tmp_path: Path
) -> None:
    first = repository.describe(NAME).identity
    promote(repository, tmp_path, "Abs", "1.1.0")
    running = InferenceResource(repository=str(repository.root))
    running.pin(NAME)
    assert restore(repository, NAME) == 3
    back = repository.describe(NAME).identity
    assert (back.version, back.label, back.digest) == (3, "halver@1.0.0", first.digest)
    assert answer(running) == [1, 0, 2], "a run on the model that was rolled back is not cut off"
    restored = read_note(repository.root / NAME / "3")
    assert restored is not None
    assert restored.restored_from == 1
    assert restore(repository, NAME) == 4
    assert repository.describe(NAME).identity.label == "halver@1.1.0"
    assert repository.describe(NAME).parameters["data_revision"] == "data of 1.1.0"
    assert restore(repository, NAME, version=1) == 5
    assert repository.describe(NAME).identity.digest == first.digest


def test_there_must_be_something_to_go_back_to(repository: ModelRepository) -> None:
    with pytest.raises(ConfigurationError, match="no such earlier version"):
        restore(repository, NAME)
    with pytest.raises(ConfigurationError, match=r"Versions on disk: \[1\]"):
        restore(repository, NAME, version=7)


def test_the_file_that_is_served_is_not_served_a_second_time(repository: ModelRepository, tmp_path: Path) -> None:
    promote(repository, tmp_path, "Abs", "1.1.0")
    with pytest.raises(ConfigurationError, match=r"version 2 is served already, as version 2 \(halver@1\.1\.0\)"):
        restore(repository, NAME, version=2)
    restore(repository, NAME)
    with pytest.raises(ConfigurationError, match=r"version 1 is served already, as version 3"):
        restore(repository, NAME, version=1)
    assert repository.versions_on_disk(NAME) == [1, 2, 3]


def test_from_an_operation_every_model_that_saw_it(repository: ModelRepository, tmp_path: Path) -> None:
    promote(repository, tmp_path, "Abs", "1.1.0")
    restore(repository, NAME)
    restore(repository, NAME)
    seen = [(one.version, one.release, one.role, one.served) for one in models_that_saw(repository, "a")]
    assert seen == [(2, "1.1.0", "learned_from", False), (4, "1.1.0", "learned_from", True)]
    assert {one.role for one in models_that_saw(repository, "c")} == {"chosen_on"}
    assert models_that_saw(repository, "d") == []
    assert {one.data_revision for one in models_that_saw(repository, "a")} == {"data of 1.1.0"}


def test_a_candidate_is_compared_on_what_the_served_model_does_not_know(
    repository: ModelRepository, tmp_path: Path
) -> None:
    held_out = ["a", "c", "d", "e"]
    assert known_to_served(repository, NAME, held_out) == []
    promote(repository, tmp_path, "Neg", "1.1.0")
    assert known_to_served(repository, NAME, held_out) == ["a", "c"]


def test_a_note_that_cannot_be_read_is_named(repository: ModelRepository, tmp_path: Path) -> None:
    promote(repository, tmp_path, "Abs", "1.1.0")
    (repository.root / NAME / "2" / NOTE_FILE).write_text("{")
    with pytest.raises(ConfigurationError, match="model halver version 2: The note of the version cannot be read"):
        repository.describe(NAME)
