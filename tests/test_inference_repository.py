"""The runtime model repository: which versions are served, how it is seeded, what a broken one says."""

import hashlib
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.errors import ConfigurationError, TransientFailure
from resources.inference.client import SEED_REPOSITORY
from resources.inference.repository import ModelRepository
from tests.tiny_models import echo, install
from tests.waiting import PATIENCE_S

PROCESSES = multiprocessing.get_context("spawn")  # a fork of a process with threads may never go on
BUNDLED = ["anatomy_segmenter", "feature_extractor", "instrument_detector", "phase_segmenter"]
GRAPH = echo("batch", 3, 4, 4)


def with_versions(root: Path, policy: str, *versions: int) -> ModelRepository:
    for version in versions:
        install(root, "backbone", GRAPH, version=version, more=policy)
    return ModelRepository(root)


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", [12]),
        ("version_policy { latest {} }", [12]),
        ("version_policy { latest { num_versions: 2 } }", [3, 12]),
        ("version_policy { latest { num_versions: 9 } }", [1, 2, 3, 12]),
        ("version_policy { all {} }", [1, 2, 3, 12]),
        ("version_policy { specific { versions: [ 2, 12, 99 ] } }", [2, 12]),
    ],
)
def test_the_version_policy_is_triton_s(tmp_path: Path, policy: str, served: list[int]):
    """NV-102; versions are numbers, 12 is newer than 3."""
    repository = with_versions(tmp_path, policy, 1, 2, 3, 12)
    assert repository.served_versions("backbone") == served
    assert repository.describe("backbone").identity.version == served[-1]
    assert repository.describe("backbone", served[0]).identity.version == served[0]


def test_what_the_policy_does_not_serve_is_refused(tmp_path: Path):
    repository = with_versions(tmp_path, "version_policy { latest { num_versions: 2 } }", 1, 2, 3)
    with pytest.raises(ConfigurationError, match=r"model backbone: Version 1 is not served.*\[2, 3\]"):
        repository.describe("backbone", 1)
    other = with_versions(tmp_path / "other", "version_policy { specific { versions: [ 7 ] } }", 1)
    with pytest.raises(ConfigurationError, match=r"serves none of the versions on disk.*\[1\]"):
        other.describe("backbone")


def test_only_folders_that_triton_takes_for_versions_are_versions(tmp_path: Path):
    repository = with_versions(tmp_path, "version_policy { all {} }", 1)
    for name in ("0", "01", "2.new", "²", "configs"):
        (tmp_path / "backbone" / name).mkdir()
    (tmp_path / "backbone" / "3").write_text("a file")
    assert repository.served_versions("backbone") == [1]


def test_what_a_version_is(tmp_path: Path):
    more = 'parameters { key: "model_version" value { string_value: "2.1.0" } }'
    path = install(tmp_path, "backbone", GRAPH, version=4, more=more)
    (tmp_path / "backbone" / "labels.txt").write_text("specimen bag\n\nзажим\n", encoding="utf-8")
    spec = ModelRepository(tmp_path).describe("backbone")
    assert spec.identity.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (spec.identity.name, spec.identity.version, spec.identity.release) == ("backbone", 4, "2.1.0")
    assert spec.identity.label.startswith("backbone@2.1.0")
    assert spec.labels == ("specimen bag", "зажим")
    assert spec.inputs["images"].dims == (3, 4, 4)
    assert spec.parameters == {"model_version": "2.1.0"}


def test_a_version_without_a_release_is_known_by_its_folder(tmp_path: Path):
    install(tmp_path, "backbone", GRAPH, version=4)
    assert ModelRepository(tmp_path).describe("backbone").identity.release == "4"


def test_an_unknown_model_is_refused_with_what_is_installed(tmp_path: Path):
    repository = with_versions(tmp_path, "", 1)
    for name in ("resnet50", "../backbone", "backbone/1", "."):
        assert not repository.is_installed(name)
        with pytest.raises(ConfigurationError, match=r"is not installed.*Installed: backbone"):
            repository.describe(name)
    with pytest.raises(ConfigurationError, match="Installed: none"):
        ModelRepository(tmp_path / "empty").describe("backbone")


def _remove_file(model: Path) -> None:
    (model / "1" / "model.onnx").unlink()


def _remove_versions(model: Path) -> None:
    shutil.rmtree(model / "1")


def _write(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda model: (model / name).write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_remove_file, "model backbone version 1: The model file model.onnx is missing"),
        (_remove_versions, "model backbone: The version policy serves none"),
        (_write("config.pbtxt", b"max_batch_size: many"), "backbone/config.pbtxt: .* cannot be read"),
        (_write("config.pbtxt", b"\xff\xfe\x00binary"), "backbone/config.pbtxt: .* cannot be read"),
        (_write("config.pbtxt", b'name: "other"'), "backbone/config.pbtxt: .* is that of 'other'"),
        (_write("labels.txt", b"\xff\xfe"), "model backbone: The labels cannot be read"),
    ],
)
def test_a_damaged_model_is_named(tmp_path: Path, damage: Callable[[Path], object], said: str):
    repository = with_versions(tmp_path, "", 1)
    repository.describe("backbone")
    damage(tmp_path / "backbone")
    with pytest.raises(ConfigurationError, match=f"^{said}"):
        repository.describe("backbone")


def seed_of(folder: Path, *names: str) -> Path:
    for name in names:
        install(folder, name, GRAPH)
        (folder / name / "train.py").write_text("source stays in the source")
        (folder / name / "taxonomies").mkdir()
        (folder / name / "taxonomies" / "default.yaml").write_text("x: 1")
    return folder


def everything(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".seeding.lock")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_seeding_brings_what_engines_need_and_no_source(tmp_path: Path):
    repository = ModelRepository(tmp_path / "runtime")
    assert repository.install_seed(seed_of(tmp_path / "seed", "a", "b")) == ["a", "b"]
    assert sorted(everything(repository.root)) == [
        f"{name}/{file}" for name in "ab" for file in ("1/model.onnx", "config.pbtxt", "taxonomies/default.yaml")
    ]
    assert repository.is_installed("a")


def test_seeding_fills_only_what_is_missing_and_touches_nothing_that_is_there(tmp_path: Path):
    """What was promoted, and even what someone broke, is theirs."""
    repository = ModelRepository(tmp_path / "runtime")
    install(repository.root, "a", echo("batch", 1), version=7)
    (repository.root / "b").mkdir()
    before = everything(repository.root)
    seed = seed_of(tmp_path / "seed", "a", "b", "c")

    assert repository.install_seed(seed) == ["c"]
    assert repository.install_seed(seed) == []

    after = everything(repository.root)
    assert {name: data for name, data in after.items() if not name.startswith("c/")} == before
    assert repository.names() == ["a", "c"]


def test_a_seeding_that_was_killed_is_invisible_and_done_again(tmp_path: Path):
    repository = ModelRepository(tmp_path / "runtime")
    install(repository.root, ".a.seeding", GRAPH)
    assert repository.names() == []
    assert repository.install_seed(seed_of(tmp_path / "seed", "a")) == ["a"]
    assert repository.names() == ["a"]
    assert sorted(path.name for path in repository.root.iterdir()) == [".seeding.lock", "a"]


def _seed(root: Path, seed: Path, installed: "multiprocessing.SimpleQueue[list[str]]") -> None:
    installed.put(ModelRepository(root).install_seed(seed))


def test_processes_that_seed_at_once_share_the_work(tmp_path: Path):
    seed = seed_of(tmp_path / "seed", *(f"model_{number:02}" for number in range(30)))
    installed = PROCESSES.SimpleQueue()
    arguments = (tmp_path / "runtime", seed, installed)
    seeders = [PROCESSES.Process(target=_seed, args=arguments, daemon=True) for _ in range(4)]
    for seeder in seeders:
        seeder.start()
    for seeder in seeders:
        seeder.join(PATIENCE_S)
    assert [seeder.exitcode for seeder in seeders] == [0, 0, 0, 0]
    assert sorted(name for _ in seeders for name in installed.get()) == sorted(path.name for path in seed.iterdir())


def test_a_repository_that_cannot_be_written_is_a_named_failure(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TransientFailure, match="file/models: The model repository cannot be filled"):
        ModelRepository(tmp_path / "file" / "models").install_seed(seed_of(tmp_path / "seed", "a"))


def test_the_bundled_models_are_described_from_their_own_files(tmp_path: Path):
    repository = ModelRepository(tmp_path)
    repository.install_seed(SEED_REPOSITORY)
    assert repository.names() == BUNDLED
    specs = {name: repository.describe(name) for name in BUNDLED}
    assert specs["feature_extractor"].outputs["features"].dims == (2048,)
    assert specs["phase_segmenter"].inputs["features"].dims == (-1, 2048)
    assert specs["phase_segmenter"].outputs["predictions"].dims == (-1, 11)
    assert specs["instrument_detector"].inputs["images"].dims == (3, 640, 640)
    assert len(specs["instrument_detector"].labels) == 7
    assert len(specs["phase_segmenter"].labels) == 11
    assert (tmp_path / "phase_segmenter" / "taxonomies" / "default.yaml").is_file()
