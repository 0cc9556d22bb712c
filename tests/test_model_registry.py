"""MLflow 3 on SQLite: runs, curves, models, releases, aliases. One database for all: making it takes seconds."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mlflow", reason="MLflow is absent: install the set learn to test the registry")

from models.triton_config import sha256_of
from resources.errors import PermanentFailure, TransientFailure
from resources.model_registry import ModelRegistry, next_release
from tests.tiny_models import tiny_segmenter

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mlflow")]
NAME = "phase_segmenter"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> ModelRegistry:
    home = tmp_path_factory.mktemp("mlflow")
    return ModelRegistry(tracking_uri=f"sqlite:///{home}/mlflow.db", artifacts=str(home / "artifacts"))


def logged(registry: ModelRegistry, folder: Path, name: str, phases: int = 11) -> tuple[str, str]:
    """A run with a model: its id and the file's digest."""
    path = folder / f"{name}.onnx"
    path.write_bytes(tiny_segmenter(phases).onnx())
    with registry.start_run(name, {"dagster_run_id": name}, "phase_segmentation") as run:
        run.log_params({"epochs": 2, "learning_rate": 0.001})
        for epoch in (1, 2):
            run.log_metrics({"train_loss": 1 / epoch, "val_f1": epoch / 2}, step=epoch)
        run.log_artifact(path)
        run.log_model(path)
    return run.run_id, sha256_of(path)


def test_a_registry_without_arguments_is_the_one_that_the_requirements_name() -> None:
    registry = ModelRegistry()
    assert registry.tracking_uri == "http://mlflow-server:5000"
    assert registry.experiment_name == "default"


@pytest.mark.parametrize(
    ("known", "following"), [([], "1.0.0"), (["1.0.0"], "1.1.0"), (["1.2.0", "1.10.0", ""], "1.11.0")]
)
def test_a_new_model_of_the_same_contract_is_a_new_minor_version(known: list[str], following: str) -> None:
    assert next_release(known) == following


def test_releases_stand_side_by_side_and_production_is_one_of_them(registry: ModelRegistry, tmp_path: Path) -> None:
    releases = ("1.0.0", "1.1.0", "1.2.0")
    for place, release in enumerate(releases):
        run_id, digest = logged(registry, tmp_path, f"run_{place}")
        made = registry.register(
            NAME, run_id, release=release, digest=digest, tags={"f1": "0.9"}, known_as={"model_type": "phases"}
        )
        assert made.aliases == ("staging",)
        registry.promote_model(NAME, made.number, "Production")
    stands = {version.release: version.aliases for version in registry.versions(NAME)}
    assert stands == {"1.0.0": ("archived-1-0-0",), "1.1.0": ("archived-1-1-0",), "1.2.0": ("production",)}

    first = registry.versions(NAME)[0]
    registry.promote_model(NAME, first.number)
    registry.promote_model(NAME, first.number)
    stands = {version.release: version.aliases for version in registry.versions(NAME)}
    assert stands == {"1.0.0": ("production",), "1.1.0": ("archived-1-1-0",), "1.2.0": ("archived-1-2-0",)}
    production = registry.in_stage(NAME)
    assert production is not None
    assert (production.release, production.run_id) == ("1.0.0", first.run_id)

    model = registry.get_production_model(NAME)
    assert [one.name for one in model.graph.output] == ["predictions"]
    with pytest.raises(PermanentFailure, match="Version 9 is not registered"):
        registry.promote_model(NAME, 9)


def test_curves_have_a_point_an_epoch_and_runs_are_kept_apart(registry: ModelRegistry, tmp_path: Path) -> None:
    run_ids = [logged(registry, tmp_path, name)[0] for name in ("first", "second")]
    client = registry.client()
    for run_id in run_ids:
        history = client.get_metric_history(run_id, "val_f1")
        assert [(point.step, point.value) for point in history] == [(1, 0.5), (2, 1.0)]
        assert client.get_run(run_id).info.status == "FINISHED"
    names = {client.get_run(run_id).info.run_name for run_id in run_ids}
    assert names == {"first", "second"}


def test_a_failed_training_is_a_failed_run_and_a_killed_one_is_closed_later(registry: ModelRegistry) -> None:
    with pytest.raises(ValueError, match="diverged"), registry.start_run("bad", None, "anatomy_segmentation") as run:
        raise ValueError("diverged")
    assert registry.client().get_run(run.run_id).info.status == "FAILED"
    killed = registry.start_run("killed", {"model": "m"}, "anatomy_segmentation")
    other = registry.start_run("other", {"model": "n"}, "anatomy_segmentation")
    assert registry.abandon_runs("anatomy_segmentation", {"model": "m"}) == [killed.run_id]
    assert registry.client().get_run(killed.run_id).info.status == "KILLED"
    other.end_run()


def test_a_server_that_does_not_answer_is_named() -> None:
    registry = ModelRegistry(tracking_uri="http://127.0.0.1:9")
    with pytest.raises(TransientFailure, match=r"http://127\.0\.0\.1:9: MLflow failed"):
        registry.start_run("never", None, "phase_segmentation")


def test_the_logged_model_answers_as_the_file(registry: ModelRegistry, tmp_path: Path) -> None:
    import mlflow.onnx
    import onnxruntime

    run_id, _ = logged(registry, tmp_path, "answers")
    [output] = registry.client().get_run(run_id).outputs.model_outputs
    model = mlflow.onnx.load_model(f"models:/{output.model_id}")
    given = np.random.default_rng(0).random((1, 3, 2048), dtype=np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"features": given})[0], given[:, :, :11])
