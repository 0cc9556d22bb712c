"""A home with stored results of many small videos, and references made of the same kind of videos.

Belongs here: made-up tables that pass their contracts, written as stages write them. Does not belong here: tests.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa

from models.labels import ANATOMY, INSTRUMENTS, PHASES
from neurovision_assets import schemas
from neurovision_assets.artifacts import MAIN_TABLE, ArtifactDraft, ArtifactReader, scratch_folder
from neurovision_assets.drift.figures import FIGURES_VERSION, ROW_OF, STAGES_OF
from neurovision_assets.drift.reference import DriftReference, basis_of_model, reference_path
from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.provenance import ModelUse, config_hash
from neurovision_assets.schemas import FEATURE_WIDTH
from neurovision_assets.stage.resolve import question_of
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.uploads.record import UploadRecord, save_record
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from tests.artifact_writing import provenance

FRAMES = 6
STAGES = ("features", "phases", "instruments", "anatomy")
WEEK = dt.timedelta(days=7)
_TODAY = dt.datetime.now(dt.UTC).date()
LAST_WEEK = _TODAY - dt.timedelta(days=_TODAY.weekday()) - WEEK
"""The Monday of the last whole week."""

Tables = dict[str, pa.Table]
Change = Callable[[Tables], Tables]


def tables_of(rng: np.random.Generator) -> Tables:
    """What the stages would store of a small video of its own."""
    times = {"frame_index": np.arange(FRAMES, dtype=np.int32), "timestamp_ms": np.arange(FRAMES, dtype=np.int64) * 500}
    vectors = np.abs(rng.normal(size=FEATURE_WIDTH) + rng.normal(size=(FRAMES, FEATURE_WIDTH))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sure = rng.beta(8, 2, size=FRAMES)
    boxes = rng.beta(6, 2, size=FRAMES)
    tissue = rng.beta(8, 2, size=FRAMES)
    corners = {name: np.zeros(FRAMES, np.float32) for name in schemas.DETECTIONS.arrow_schema.names if "_px" in name}
    return {
        "features": pa.table(
            {
                **times,
                "features": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), FEATURE_WIDTH),
                "novelty": pa.array(rng.gamma(2, 0.1) * rng.uniform(0.5, 1.5, size=FRAMES), pa.float32()),
            },
            schema=schemas.FEATURES.arrow_schema,
        ),
        "phases": pa.table(
            {
                **times,
                "phase": rng.choice(PHASES[:4], size=FRAMES),
                "confidence": sure,
                "probabilities": [[value] for value in sure],
            },
            schema=schemas.PHASES.arrow_schema,
        ),
        "instruments": pa.table(
            {
                **times,
                "instrument": rng.choice(INSTRUMENTS, size=FRAMES),
                "class_id": np.zeros(FRAMES, np.int16),
                "score": boxes,
                "track_id": np.zeros(FRAMES, np.int32),
                **corners,
            },
            schema=schemas.DETECTIONS.arrow_schema,
        ),
        "anatomy": pa.table(
            {
                **times,
                "structure": rng.choice(ANATOMY[1:], size=FRAMES),
                "class_id": np.ones(FRAMES, np.int16),
                "area_px": np.ones(FRAMES, np.int64),
                "area_fraction": rng.beta(2, 8, size=FRAMES),
                "confidence": tissue,
                "rle": [""] * FRAMES,
                "source_area_px": np.ones(FRAMES, np.int64),
                "source_rle": [""] * FRAMES,
            },
            schema=schemas.ANATOMY.arrow_schema,
        ),
    }


def scaled(stage: str, column: str, factor: float) -> Change:
    """Tables with a column multiplied: a model that is less sure than it was."""

    def change(tables: Tables) -> Tables:
        table = tables[stage]
        place = table.schema.get_field_index(column)
        values = pa.array(table[column].to_numpy() * factor, table.schema.field(column).type)
        return {**tables, stage: table.set_column(place, table.schema.field(column), values)}

    return change


@dataclass
class DriftHome:
    """A deployment on a folder; its models are the bundled ones."""

    path: Path
    instance: dg.DagsterInstance
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        self.store = ObjectStore(url=(self.path / "objects").as_uri())
        self.inference = InferenceResource(repository=str(self.path / "models"))
        self.profiles = ProfileCatalog(user_folder=str(self.path / "profiles"), default="production")
        self.profile = SURGERY.resolve(self.profiles, "production")
        self.videos: list[str] = []

    @property
    def reader(self) -> ArtifactReader:
        """Of its results."""
        return ArtifactReader(self.store)

    def add(
        self,
        count: int,
        *,
        week: dt.date = LAST_WEEK,
        change: Change = lambda tables: tables,
        without: str = "",
        digests: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Videos of a week with their results; one stage may be missing, models may have other digests."""
        added = [f"video-{len(self.videos) + number:08x}" for number in range(count)]
        for video_id in added:
            received = dt.datetime.combine(week, dt.time(12), dt.UTC)
            save_record(
                self.store, UploadRecord(video_id=video_id, fingerprint=video_id[-8:], parts=(), received_at=received)
            )
            self._write("frames", video_id, None, {})
            for stage, table in change(tables_of(self.rng)).items():
                if stage != without:
                    self._write(stage, video_id, table, digests or {})
        self.videos += added
        self.instance.add_dynamic_partitions(str(video_ids.name), added)
        return added

    def make_references(self, operations: int = 30) -> None:
        """References of videos of the same kind, beside the models' versions."""
        tables = [tables_of(self.rng) for _ in range(operations)]
        for model, stages in STAGES_OF.items():
            rows = [
                {name: value for stage in stages for name, value in ROW_OF[stage](table[stage], FRAMES).items()}
                for table in tables
            ]
            DriftReference(
                model=model,
                figures_version=FIGURES_VERSION,
                basis=basis_of_model(model, self.profile, self.inference),
                source="made up",
                operations={f"operation_{number}": row for number, row in enumerate(rows)},
            ).write(reference_path(self.inference.models.root, model, 1))

    def _write(self, stage: str, video_id: str, table: pa.Table | None, digests: Mapping[str, str]) -> None:
        spec = SURGERY[stage]
        basis = question_of(SURGERY, spec, self.profile, self.inference).without_inputs
        made = provenance(
            asset=spec.asset,
            video_id=video_id,
            config_hash=config_hash({}),
            models=tuple(_use(name, digests.get(name, digest)) for name, digest in basis.models.items()),
            **basis.model_dump(exclude={"models"}),
        )
        with scratch_folder(self.store) as folder:
            draft = ArtifactDraft(self.store, spec.asset, video_id, folder)
            if table is not None and spec.contract is not None:
                for batch in table.to_batches():
                    draft.append(MAIN_TABLE, spec.contract, batch)
                assert draft.violations() == []
            draft.publish(made, {"rows": FRAMES}, {})


def _use(name: str, digest: str) -> ModelUse:
    return ModelUse(name=name, version=1, release="1.0.0", digest=digest, engine="onnxruntime", precision="fp32")


@contextmanager
def drift_home(path: Path) -> Iterator[DriftHome]:
    """A fresh one with references and no videos."""
    (path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(path / "dagster")) as instance:
        home = DriftHome(path, instance)
        home.make_references()
        yield home
