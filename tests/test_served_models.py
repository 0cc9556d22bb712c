"""The graph is told when other models are served, once for each change, and learns which."""

from pathlib import Path

import dagster as dg
import pytest

from neurovision_assets.registry import DEFAULT_MODELS, registry_asset, registry_assets
from resources.errors import ConfigurationError
from resources.inference.client import InferenceResource
from resources.inference.repository import ModelRepository
from sensors.served_models import served_models_sensor
from tests.tiny_models import echo, install

GRAPH = echo("batch", 3, 4, 4)
TWO_VERSIONS = "version_policy { latest { num_versions: 2 } }"


def release(number: str) -> str:
    return TWO_VERSIONS + f'parameters {{ key: "model_version" value {{ string_value: "{number}" }} }}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one model; the seeded ones' places are taken."""
    for name in DEFAULT_MODELS:
        (tmp_path / "models" / name).mkdir(parents=True)
    install(tmp_path / "models", "backbone", GRAPH, more=release("1.0.0"))
    return tmp_path / "models"


class Daemon:
    """Evaluates the sensor as the daemon does: fresh resources each tick, the cursor kept between them."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root, self.instance, self.cursor = root, instance, None

    def tick(self) -> int:
        """Runs that were requested."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"inference": InferenceResource(repository=str(self.root))},
        )
        answer = served_models_sensor.evaluate_tick(context)
        self.cursor = answer.cursor
        assert all(request.run_key is None for request in answer.run_requests)
        return len(answer.run_requests)


def test_each_change_of_the_repository_is_told_once(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        assert [daemon.tick(), daemon.tick()] == [1, 0], "the first look, and nothing new"

        install(root, "backbone", echo("batch", 3, 4, "width"), version=2, more=release("1.1.0"))
        assert [daemon.tick(), daemon.tick()] == [1, 0], "a promotion"

        (root / "backbone" / "2").rename(root / "2-set-aside")
        assert [daemon.tick(), daemon.tick()] == [1, 0], "a rollback"

        (root / "2-set-aside").rename(root / "backbone" / "2")
        assert [daemon.tick(), daemon.tick()] == [1, 0], "forward again: a run key would have been spent"

        install(root, "zebra", GRAPH)
        assert [daemon.tick(), daemon.tick()] == [1, 0], "a model more"
        (root / "zebra").rename(root / ".zebra")
        assert [daemon.tick(), daemon.tick()] == [1, 0], "a model less"


def test_new_weights_under_an_old_number_are_told(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        daemon.tick()
        (root / "backbone" / "1" / "model.onnx").write_bytes(echo("batch", 3, 4, "width").onnx())
        assert daemon.tick() == 1


def test_files_beside_the_model_are_no_change(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        daemon.tick()
        (root / "backbone" / "MODEL_CARD.md").write_text("a better text")
        install(root, ".other.seeding", GRAPH)
        assert daemon.tick() == 0


def test_a_model_that_is_half_copied_ends_the_tick_by_name_and_is_told_when_it_is_whole(root: Path):
    with dg.DagsterInstance.ephemeral() as instance:
        daemon = Daemon(root, instance)
        daemon.tick()
        (root / "backbone" / "2").mkdir()
        with pytest.raises(ConfigurationError, match=r"model backbone version 2: The model file model.onnx is missing"):
            daemon.tick()
        (root / "backbone" / "2" / "model.onnx").write_bytes(GRAPH.onnx())
        assert [daemon.tick(), daemon.tick()] == [1, 0]


def test_the_data_version_of_a_served_model_is_its_name_and_release(root: Path):
    asset = registry_asset("backbone", "A tiny model.")
    key = dg.AssetKey(["registry", "backbone"])
    with dg.instance_for_test() as instance:
        for number, (folder, promoted) in enumerate([("1", "1.0.0"), ("2", "1.1.0")], start=1):
            if number == 2:
                install(root, "backbone", GRAPH, version=2, more=release(promoted))
            inference = InferenceResource(repository=str(root))
            assert dg.materialize([asset], instance=instance, resources={"inference": inference}).success
            event = instance.get_latest_materialization_event(key)
            assert event is not None
            told = event.asset_materialization
            assert told is not None
            assert (told.tags or {})["dagster/data_version"] == f"backbone@{promoted}"
            assert told.metadata["version"].value == int(folder)
            assert told.metadata["digest"].value == ModelRepository(root).describe("backbone").identity.digest


def test_a_broken_model_fails_its_own_asset_by_name(root: Path):
    (root / "backbone" / "1" / "model.onnx").write_bytes(b"no model")
    inference = InferenceResource(repository=str(root))
    with dg.instance_for_test() as instance:
        result = dg.materialize(
            [registry_asset("backbone", "A tiny model.")],
            instance=instance,
            resources={"inference": inference},
            raise_on_error=False,
        )
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.error is not None
    assert "backbone@1.0.0: ONNX Runtime cannot load the file" in failure.error.to_string()


def test_there_is_an_asset_for_each_default_model_and_no_other():
    keys = {asset.key.to_user_string() for asset in registry_assets}
    assert keys == {f"registry/{name}" for name in DEFAULT_MODELS}
