"""The graph is told when other models are served, once for each change, and learns which."""

from pathlib import Path

import dagster as dg
import pytest

from neurovision_assets.registry import DEFAULT_MODELS, is_told, registry_assets
from resources.errors import ConfigurationError
from resources.inference.client import InferenceResource
from resources.inference.repository import ModelRepository
from sensors.served_models import served_models_sensor
from tests.tiny_models import echo, install

BACKBONE = "feature_extractor"
GRAPH = echo("batch", 3, 4, 4)
TWO_VERSIONS = "version_policy { latest { num_versions: 2 } }"


def release(number: str) -> str:
    return TWO_VERSIONS + f'parameters {{ key: "model_version" value {{ string_value: "{number}" }} }}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one model of our own; the other seeded ones' places are taken."""
    for name in DEFAULT_MODELS:
        (tmp_path / "models" / name).mkdir(parents=True)
    install(tmp_path / "models", BACKBONE, GRAPH, more=release("1.0.0"))
    return tmp_path / "models"


class Daemon:
    """Evaluates the sensor as the daemon does: fresh resources each tick, the cursor kept between them."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root, self.instance, self.cursor = root, instance, None

    def tick(self) -> list[dg.AssetMaterialization]:
        """What the graph was told."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"inference": InferenceResource(repository=str(self.root))},
        ) as context:
            answer = served_models_sensor.evaluate_tick(context)
        self.cursor = answer.cursor
        told = [event for event in answer.asset_events if isinstance(event, dg.AssetMaterialization)]
        for event in told:
            self.instance.report_runless_asset_event(event)
        return told


def test_each_change_of_the_repository_is_told_once(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        assert [len(daemon.tick()), len(daemon.tick())] == [1, 0], "the first look, and nothing new"

        install(root, BACKBONE, echo("batch", 3, 4, "width"), version=2, more=release("1.1.0"))
        assert [len(daemon.tick()), len(daemon.tick())] == [1, 0], "a promotion"

        (root / BACKBONE / "2").rename(root / "2-set-aside")
        assert [len(daemon.tick()), len(daemon.tick())] == [1, 0], "a rollback"

        (root / "2-set-aside").rename(root / BACKBONE / "2")
        assert [len(daemon.tick()), len(daemon.tick())] == [1, 0], "forward again: a run key would have been spent"

        install(root, "zebra", GRAPH)
        assert [len(daemon.tick()), len(daemon.tick())] == [1, 0], "a model more"
        (root / "zebra").rename(root / ".zebra")
        assert [len(daemon.tick()), len(daemon.tick())] == [1, 0], "a model less"


def test_new_weights_under_an_old_number_are_told(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        daemon.tick()
        (root / BACKBONE / "1" / "model.onnx").write_bytes(echo("batch", 3, 4, "width").onnx())
        assert len(daemon.tick()) == 1


def test_files_beside_the_model_are_no_change(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        daemon.tick()
        (root / BACKBONE / "MODEL_CARD.md").write_text("a better text")
        install(root, ".other.seeding", GRAPH)
        assert daemon.tick() == []


def test_a_model_that_is_half_copied_ends_the_tick_by_name_and_is_told_when_it_is_whole(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        daemon.tick()
        (root / BACKBONE / "2").mkdir()
        with pytest.raises(ConfigurationError, match=rf"{BACKBONE} version 2: The model file model.onnx is missing"):
            daemon.tick()
        (root / BACKBONE / "2" / "model.onnx").write_bytes(GRAPH.onnx())
        assert [len(daemon.tick()), len(daemon.tick())] == [1, 0]


def test_the_graph_learns_name_and_release_as_the_data_version(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        for folder, promoted in [("1", "1.0.0"), ("2", "1.1.0")]:
            if folder == "2":
                install(root, BACKBONE, GRAPH, version=2, more=release(promoted))
            assert not is_told(InferenceResource(repository=str(root)), BACKBONE, instance)
            [told] = daemon.tick()
            assert told.asset_key == dg.AssetKey(["registry", BACKBONE])
            assert (told.tags or {})["dagster/data_version"] == f"{BACKBONE}@{promoted}"
            assert told.metadata["version"].value == int(folder)
            assert told.metadata["digest"].value == ModelRepository(root).describe(BACKBONE).identity.digest
            assert is_told(InferenceResource(repository=str(root)), BACKBONE, instance)


def test_there_is_an_asset_for_each_default_model_and_no_other():
    keys = {asset.key.to_user_string() for asset in registry_assets}
    assert keys == {f"registry/{name}" for name in DEFAULT_MODELS}
