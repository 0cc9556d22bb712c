"""The whole loop on a tiny set: train, judge, promote, refuse, roll back, and what stops it on the way.

One home for all tests, in the order of their lines: each begins where the one before ended, as weeks follow each other.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

pytest.importorskip("torch", reason="torch is absent: install the sets train and learn to test retraining")
pytest.importorskip("mlflow", reason="MLflow is absent: install the sets train and learn to test retraining")

from commands.retrain import candidate_config, retrain
from commands.services.mlflow import MlflowServer
from models.checkpoints import read_tensors, weights_hash
from neurovision_assets.tables import TableContract
from neurovision_assets.training.candidate.home import TrainingHome
from neurovision_assets.training.dataset.folder import DatasetFolder
from neurovision_assets.training.dataset.layout import EXTERNAL, Layout
from neurovision_assets.training.dataset.schemas import OPERATIONS as TABLE
from neurovision_assets.training.dataset.schemas import PHASE_SPANS, SPLITS
from neurovision_assets.training.evaluation.report import read_report
from neurovision_assets.training.gate.verdict import Verdict
from neurovision_assets.training.kinds import kind_of
from neurovision_assets.training.lineage import models_that_saw
from neurovision_assets.training.params import load_gate
from neurovision_assets.training.promotion.aliases import repair_aliases
from neurovision_assets.training.promotion.promote import promote
from neurovision_assets.training.promotion.rollback import roll_back
from neurovision_assets.training.stages import create_annotations
from resources.datasets import DatasetRepository
from resources.errors import PermanentFailure
from resources.inference.client import InferenceResource
from resources.inference.notes import read_note
from resources.inference.repository import ModelRepository
from resources.model_registry import ModelRegistry
from resources.settings import Settings
from tests.learning import SET, coloured_set
from tests.servers import kill_when

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("retraining"), pytest.mark.timeout(3600)]
MODEL = "phase_segmenter"
OPERATIONS = 20
QUICK = '{"epochs": 40, "patience": 40, "learning_rate": 0.003, "num_layers": 5, "num_stages": 2}'
PATIENT = "patient-of-two"
HOPELESS = '{"epochs": 1, "learning_rate": 1e-9, "num_layers": 2, "num_stages": 1}'


class Hospital:
    """A deployment on a folder."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home)
        self.instance = dg.DagsterInstance.ephemeral()
        self.registry = ModelRegistry.of(self.settings)
        self.training = TrainingHome(folder=str(self.settings.training))

    def retrain(self, hyperparameters: str, *, data: str = "", seed: int = 0) -> Verdict:
        """Run the job as `make retrain` does."""
        return retrain(self.settings, self.instance, MODEL, candidate_config(data, "laptop", seed, hyperparameters))

    @property
    def served(self) -> ModelRepository:
        """The runtime repository."""
        return InferenceResource.of(self.settings).models

    @property
    def datasets(self) -> DatasetRepository:
        """The data sets' repository."""
        return DatasetRepository.of(self.settings)

    @property
    def imported(self) -> DatasetFolder:
        """The imported set."""
        return Layout(self.datasets.root).imported(SET)

    def reimport(self, contract: TableContract, rows: list[dict[str, Any]]) -> None:
        """Import the set again, one of its tables changed."""
        datasets = self.datasets
        with datasets.lock():
            self.imported.write(contract, rows)
            datasets.add([f"{EXTERNAL}/{SET}"], f"Import {contract.name} again")

    def same_patient(self) -> tuple[str, str]:
        """Import the set again; an operation that judges and one that is learned from are now one patient's."""
        divided = Layout(self.datasets.root).version.rows(SPLITS)
        judged, learned = (
            next(row["operation"] for row in divided if row["split"] == split) for split in ("test", "train")
        )
        rows = self.imported.rows(TABLE)
        self.reimport(
            TABLE, [{**row, "patient": PATIENT} if row["operation"] in (judged, learned) else row for row in rows]
        )
        return judged, learned

    def trainings(self) -> int:
        """How many trainings MLflow knows."""
        experiment = self.registry.client().get_experiment_by_name("phase_segmentation")
        runs = self.registry.client().search_runs([experiment.experiment_id])
        return sum(run.info.run_name.startswith("train_") for run in runs)

    def aliases(self) -> dict[str, tuple[str, ...]]:
        """Of every release in MLflow."""
        return {version.release: version.aliases for version in self.registry.versions(MODEL)}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    """Twenty operations, nothing trained yet."""
    place = Hospital(tmp_path_factory.mktemp("hospital"))
    coloured_set(place.settings, OPERATIONS)
    yield place
    place.instance.dispose()


def test_a_better_candidate_is_served_and_everything_says_where_it_comes_from(hospital: Hospital) -> None:
    verdict = hospital.retrain(QUICK)
    assert (verdict.status, verdict.stage, verdict.release) == ("promoted", "Production", "1.1.0"), verdict
    now = hospital.served.describe(MODEL)
    assert (now.identity.label, now.identity.version) == ("phase_segmenter@1.1.0", 2)
    assert hospital.served.served_versions(MODEL) == [1, 2]
    assert hospital.aliases() == {"1.0.0": ("archived-1-0-0",), "1.1.0": ("production",)}

    folder, record = hospital.training.last_candidate(MODEL)
    assert record.digest == now.identity.digest
    assert weights_hash(read_tensors(folder / "weights.npz")[0]) == record.weights_hash
    run = hospital.registry.client().get_run(record.mlflow_run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith("train_")
    assert {"epochs", "batch_size", "learning_rate", "num_stages", "num_layers"} <= set(run.data.params)
    for figure in ("train_loss", "val_accuracy", "val_f1", "val_temporal_iou"):
        points = hospital.registry.client().get_metric_history(record.mlflow_run_id, figure)
        assert [point.step for point in points] == list(range(1, 41)), figure
    curve = [point.value for point in hospital.registry.client().get_metric_history(record.mlflow_run_id, "val_f1")]
    assert record.best_epoch == curve.index(max(curve)) + 1
    artifacts = {one.path for one in hospital.registry.client().list_artifacts(record.mlflow_run_id)}
    assert {"training_curves.png", "confusion_matrix.png", "metrics.json", "weights.npz"} <= artifacts

    assert now.parameters["data_revision"] == record.data_revision == run.data.tags["data_revision"]
    assert run.data.tags["data_hash"] == record.data_hash
    extractor = hospital.served.describe("feature_extractor").identity
    assert now.parameters["feature_extractor_digest"] == extractor.digest
    [seen] = models_that_saw(hospital.served, record.learned_from[0])
    assert (seen.version, seen.role, seen.mlflow_run_id) == (2, "learned_from", record.mlflow_run_id)


def test_a_crash_between_the_repository_and_the_alias_is_repaired_at_the_next_look(hospital: Hospital) -> None:
    behind = next(one for one in hospital.registry.versions(MODEL) if one.release == "1.0.0")
    hospital.registry.promote_model(MODEL, behind.number)
    assert hospital.aliases()["1.0.0"] == ("production",)
    repair_aliases(kind_of(MODEL), hospital.served, hospital.registry)
    assert hospital.aliases() == {"1.0.0": ("archived-1-0-0",), "1.1.0": ("production",)}


def test_a_candidate_below_the_thresholds_is_not_even_registered(hospital: Hospital) -> None:
    verdict = hospital.retrain(HOPELESS, data="v1.0")
    assert (verdict.status, verdict.reason, verdict.stage) == ("rejected", "metrics_below_threshold", "")
    assert set(hospital.aliases()) == {"1.0.0", "1.1.0"}
    assert hospital.served.describe(MODEL).identity.version == 2


def test_the_same_training_gives_the_same_weights_and_those_are_no_better(hospital: Hospital) -> None:
    verdict = hospital.retrain(QUICK, data="v1.0")
    assert (verdict.status, verdict.reason) == ("rejected", "not_better_than_production"), verdict
    _, record = hospital.training.last_candidate(MODEL)
    assert record.digest == hospital.served.describe(MODEL).identity.digest
    assert set(hospital.aliases()) == {"1.0.0", "1.1.0"}
    assert hospital.served.describe(MODEL).identity.version == 2


def test_rollback_is_one_step_and_the_aliases_follow(hospital: Hospital) -> None:
    now = roll_back(kind_of(MODEL), hospital.served, hospital.registry)
    assert (now.label, now.version) == ("phase_segmenter@1.0.0", 3)
    note = read_note(hospital.served.root / MODEL / "3")
    assert note is not None
    assert note.restored_from == 1
    assert hospital.aliases() == {"1.0.0": ("production",), "1.1.0": ("archived-1-1-0",)}


def test_a_broken_file_is_stopped_in_staging(hospital: Hospital) -> None:
    """A good candidate, its file cut short after it was judged."""
    assert hospital.retrain(QUICK, data="v1.0").status == "promoted", "it is better than what was rolled back to"
    roll_back(kind_of(MODEL), hospital.served, hospital.registry)
    folder, record = hospital.training.last_candidate(MODEL)
    report, seed = read_report(folder), hospital.served.describe(MODEL).identity
    assert report.production.digest == seed.digest
    path = folder / "repository" / MODEL / "1" / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    gate = load_gate("phase_segmentation", "laptop")
    arguments = (kind_of(MODEL), folder, record, report, gate, hospital.served, hospital.registry)
    verdict = promote(*arguments)
    assert (verdict.status, verdict.reason, verdict.stage) == ("rejected", "staging_test_failed:loads", "Staging")
    assert hospital.served.describe(MODEL).identity == seed
    assert hospital.aliases()["1.0.0"] == ("production",)
    path.write_bytes(whole)
    assert promote(*arguments).status == "promoted", "the next try is clean, and registers nothing twice"
    assert hospital.aliases() == {"1.0.0": ("archived-1-0-0",), "1.1.0": ("production",)}


def test_a_patient_on_both_sides_is_a_leak_and_the_next_version_has_none(hospital: Hospital) -> None:
    """An imported set holds two operations of one patient, and somebody makes a version without dividing it again."""
    judged, learned = hospital.same_patient()
    datasets = hospital.datasets
    with datasets.lock():
        create_annotations(Layout(datasets.root))
        datasets.record(["create_annotations"], "Merged by hand")
        planted = datasets.publish().tag
    before, runs = hospital.served.describe(MODEL).identity, hospital.trainings()
    with pytest.raises(PermanentFailure, match=rf"patient {PATIENT}: It is in the splits 'test' and 'train'"):
        hospital.retrain(QUICK, data=str(planted))
    assert hospital.served.describe(MODEL).identity == before
    assert hospital.trainings() == runs, "nothing was learned from it"

    assert hospital.retrain(HOPELESS).reason == "metrics_below_threshold", "the run goes through; data are divided anew"
    _, record = hospital.training.last_candidate(MODEL)
    assert {judged, learned} <= {*record.learned_from}
    assert record.data_version not in ("v1.0", planted)
    assert hospital.served.describe(MODEL).identity == before


def test_data_that_fail_the_checkpoint_train_nothing(hospital: Hospital) -> None:
    """A span that begins before the one before has ended, in an imported set."""
    before, runs = hospital.served.describe(MODEL).identity, hospital.trainings()
    whole = hospital.imported.rows(PHASE_SPANS)
    late = {**whole[1], "start_ms": whole[1]["start_ms"] - 500}
    hospital.reimport(PHASE_SPANS, [whole[0], late, *whole[2:]])
    with pytest.raises(PermanentFailure, match="it begins before the one before has ended"):
        hospital.retrain(HOPELESS)
    assert hospital.served.describe(MODEL).identity == before
    assert hospital.trainings() == runs, "nothing was learned from it"

    hospital.reimport(PHASE_SPANS, whole)
    assert hospital.retrain(HOPELESS).reason == "metrics_below_threshold", "the next run is clean"
    assert hospital.trainings() == runs + 1


def test_mlflow_that_stops_in_the_middle_stops_the_training_and_the_next_run_is_clean(
    hospital: Hospital, mlflow_server: MlflowServer
) -> None:
    """The server is killed when it has three epochs; what was trained until then is not lost."""
    before = hospital.served.describe(MODEL).identity
    settings = hospital.settings.model_copy(update={"mlflow_url": mlflow_server.url})
    registry = ModelRegistry.of(settings)
    config = candidate_config("v1.0", "laptop", 7, QUICK)
    killer = kill_when(mlflow_server, lambda: epochs_in(registry) >= 3)
    with pytest.raises(PermanentFailure, match=rf"{mlflow_server.url}: MLflow failed"):
        retrain(settings, hospital.instance, MODEL, config)
    killer.join()
    assert hospital.served.describe(MODEL).identity == before

    mlflow_server.start()
    verdict = retrain(settings, hospital.instance, MODEL, config)
    assert verdict.reason in ("", "not_better_than_production"), verdict
    runs = registry.client().search_runs([registry.client().get_experiment_by_name("phase_segmentation").experiment_id])
    statuses = sorted(run.info.status for run in runs if run.info.run_name.startswith("train_"))
    assert statuses == ["FINISHED", "KILLED"]


def epochs_in(registry: ModelRegistry) -> int:
    """How many epochs the running training has told."""
    client = registry.client()
    experiment = client.get_experiment_by_name("phase_segmentation")
    runs = client.search_runs([experiment.experiment_id], "attributes.status = 'RUNNING'") if experiment else []
    return max((len(client.get_metric_history(run.info.run_id, "train_loss")) for run in runs), default=0)


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[MlflowServer]:
    """A server of its own, gone at the end."""
    database = f"sqlite:///{tmp_path / 'server.db'}"
    with MlflowServer(tmp_path, database_url=database, artifacts=str(tmp_path)) as server:
        yield server
