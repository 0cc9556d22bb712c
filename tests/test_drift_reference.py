"""Where references come from: held-out operations of a version of the data, pictures through the stages' functions."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from commands.drift_reference import PROFILE, pictured
from models.data import Operation
from neurovision_assets.drift.figures import STAGES_OF
from neurovision_assets.drift.held_out import held_out, reference_of_served
from neurovision_assets.drift.reference import basis_of_model, find_reference, reference_path, rows_of
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.training.candidate.home import TrainingHome
from neurovision_assets.training.dataset.folder import DatasetFolder, write_rows
from neurovision_assets.training.dataset.schemas import FRAMES, OPERATIONS, SPLITS
from resources.datasets import DatasetRepository
from resources.errors import PermanentFailure
from resources.inference.client import SEED_REPOSITORY, InferenceResource

SOURCE_PX, STORED_PX = (320, 180), (640, 480)
PICTURES = 35
CATALOG = ProfileCatalog(user_folder="", default=PROFILE)


def jpeg(level: int) -> bytes:
    """A grey picture as it is stored."""
    picture = np.full((STORED_PX[1], STORED_PX[0], 3), level, np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


def dataset(folder: Path) -> DatasetFolder:
    """Four operations, one a split, and one of the test split that has no pictures."""
    data, names = DatasetFolder(folder), ("learned", "chose", "judged", "unseen")
    person = {"patient": "p", "surgeon": "s", "hospital": "h", "operation_type": "t", "source": "made up", "video": ""}
    more = {"duration_ms": 20_000, "fps": None, "labelled": "throughout"}
    size = {"width_px": SOURCE_PX[0], "height_px": SOURCE_PX[1]}
    data.write(OPERATIONS, [{"operation": name, **person, **more, **size} for name in names])
    splits = ("train", "val", "test", "test")
    data.write(SPLITS, [{"operation": name, "split": split} for name, split in zip(names, splits, strict=True)])
    for name in names[:3]:
        rows = [{"operation": name, "timestamp_ms": at * 500, "jpeg": jpeg(at)} for at in range(PICTURES)]
        write_rows(data.pictures_path(FRAMES, name), FRAMES, rows)
    return data


def test_what_the_model_did_not_learn_from_is_compared_with(tmp_path: Path) -> None:
    found = {one.name: one for one in held_out(dataset(tmp_path).root)}
    assert set(found) == {"chose", "judged"}
    batches = list(found["judged"].batches)
    assert [at for batch in batches for at in batch["frame_index"].to_pylist()] == list(range(PICTURES))
    assert batches[-1]["timestamp_ms"].to_pylist()[-1] == (PICTURES - 1) * 500
    geometry = found["judged"].geometry
    assert (geometry.inner_width_px, geometry.inner_height_px, geometry.pad_top_px) == (640, 360, 60)


def test_an_operation_gets_its_rows_from_the_stages_own_functions(tmp_path: Path) -> None:
    """Three pictures of one tissue-coloured tone: shares sum up, and pictures without instruments have no scores."""
    blank = Operation("blank", "t", tuple(jpeg(90) for _ in range(3)), None, None, None, None, None)
    profile = SURGERY.resolve(CATALOG, PROFILE)
    inference = InferenceResource(repository=str(tmp_path / "models"))
    rows = rows_of(pictured(blank, (640, 480)), STAGES_OF, profile, inference)
    assert set(rows) == set(STAGES_OF)
    shares = {name: value for name, value in rows["phase_segmenter"].items() if name.startswith("phase_share/")}
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-4)
    assert rows["phase_segmenter"]["variety"] == pytest.approx(0.0, abs=1e-4), "three times the same picture"
    assert rows["phase_segmenter"]["novelty/unfamiliar_share"] == 1.0, "no simulated picture is grey all over"
    assert sum(v for k, v in rows["anatomy_segmenter"].items() if k.startswith("anatomy_share/")) <= 1 + 1e-6
    alone = rows_of(pictured(blank, (640, 480)), ["anatomy_segmenter"], profile, inference)
    assert alone == {"anatomy_segmenter": rows["anatomy_segmenter"]}


def test_a_model_without_a_reference_that_fits_says_so(tmp_path: Path) -> None:
    changed = tmp_path / "profiles"
    changed.mkdir()
    (changed / "own.yaml").write_text("stages:\n  instruments: {score_threshold: 0.7}\n")
    profile = SURGERY.resolve(ProfileCatalog(user_folder=str(changed), default="own"), "own")
    inference = InferenceResource(repository=str(tmp_path / "models"))
    datasets = DatasetRepository(folder=str(tmp_path / "datasets"), remote_url="")
    with pytest.raises(PermanentFailure, match="made with other models, settings or code"):
        reference_of_served(
            "instrument_detector", profile, inference, datasets, TrainingHome(folder=str(tmp_path / "training"))
        )


@pytest.mark.parametrize("model", STAGES_OF)
def test_the_bundled_references_fit_the_bundled_models(model: str, tmp_path: Path) -> None:
    """Whoever changes weights, settings or a stage's code version makes them again."""
    path = reference_path(SEED_REPOSITORY, model, 1)
    if not path.is_file():
        pytest.skip("there is none yet: python -m commands.drift_reference makes them")
    inference = InferenceResource(repository=str(tmp_path / "models"))
    basis = basis_of_model(model, SURGERY.resolve(CATALOG, PROFILE), inference)
    found = find_reference(model, basis, inference.models)
    assert found is not None, "python -m commands.drift_reference"
    assert len(found.operations) == len(json.loads(path.read_text())["operations"]) == 30
