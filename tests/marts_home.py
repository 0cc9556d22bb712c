"""A small home with stored results of chosen content, and the marts' location on it.

Belongs here: writing results through the platform's own code, without computing any, and running the job. Does not
belong here: tests; what the marts should say of it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from neurovision_assets import schemas
from neurovision_assets.artifacts import MAIN_TABLE, ArtifactDraft, ArtifactRecord, scratch_folder
from neurovision_assets.marts.definitions import build_defs
from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.provenance import ModelUse, Provenance
from neurovision_assets.provenance_index import index_result
from neurovision_assets.stage.judgement import StageQuestion
from neurovision_assets.stage.resolve import questions_of, upload_version
from neurovision_assets.surgery.phases.asset import SEGMENTS_PART
from neurovision_assets.surgery.pipeline import SURGERY
from neurovision_assets.tables import TableContract
from neurovision_assets.uploads.record import UploadPart, UploadRecord, save_record
from resources.database.engine import Database
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.settings import Settings
from resources.warehouse import Warehouse

BEGAN = dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC)
STAGE_S = 60
BOX = {f"{prefix}{side}_px": 1.0 for prefix in ("", "source_") for side in ("x_min", "y_min", "x_max", "y_max")}
Segment = tuple[str, int, float]
"""Phase, seconds, mean confidence."""


@dataclass(frozen=True, eq=False)
class Video:
    """What is stored of one video.

    Attributes:
        label: of its key.
        operation_type: None where the sidecar says none.
        profile: None for the deployment's default.
        segments: phases one after another.
        frame_scores: confidence of each frame's phase.
        box_scores: of every detection.
        mask_scores: of every mask.
        stages: names of the stages that are stored.
        gap_s: between each segment and the next; the stage leaves none.
    """

    label: str
    operation_type: str | None = "cholecystectomy"
    profile: str | None = None
    segments: Sequence[Segment] = (("preparation", 60, 0.9),)
    frame_scores: Sequence[float] = (0.5, 0.75)
    box_scores: Sequence[float] = (0.875,)
    mask_scores: Sequence[float] = ()
    stages: Sequence[str] = tuple(stage.name for stage in SURGERY.stages)
    gap_s: int = 0

    @property
    def key(self) -> str:
        """Its video_id."""
        return f"{self.label}-{hashlib.sha256(self.label.encode()).hexdigest()[:8]}"


@dataclass
class MartsHome:
    """A data home around an ephemeral instance of Dagster."""

    settings: Settings
    instance: dg.DagsterInstance
    records: dict[tuple[str, str], ArtifactRecord] = field(default_factory=dict)
    last: dg.ExecuteInProcessResult | None = None

    @property
    def store(self) -> ObjectStore:
        """Its objects."""
        return ObjectStore(url=self.settings.objects_url)

    @property
    def database(self) -> Database:
        """Its application database, opened anew."""
        return Database.of(self.settings)

    @property
    def inference(self) -> InferenceResource:
        """Its models, none pinned yet."""
        return InferenceResource.of(self.settings)

    @property
    def catalog(self) -> ProfileCatalog:
        """Its profiles, none read yet."""
        return ProfileCatalog(user_folder=str(self.settings.user_profiles), default=self.settings.default_profile)

    @property
    def warehouse(self) -> Warehouse:
        """Where the marts are."""
        return Warehouse(folder=str(self.settings.warehouse))

    def write_profile(self, name: str, text: str) -> None:
        """Write or change a profile of the user."""
        self.settings.user_profiles.mkdir(parents=True, exist_ok=True)
        (self.settings.user_profiles / f"{name}.yaml").write_text(text)

    def add(self, *videos: Video) -> None:
        """Register videos and store their results as of now: nothing of them is stale."""
        inference = self.inference
        for number, video in enumerate(videos):
            part = UploadPart(
                incoming_key=None, raw_key=f"raw/{video.key}/part_000.mp4", size_bytes=1000, original_name="Secret.mp4"
            )
            upload = UploadRecord(
                video_id=video.key,
                fingerprint=video.key.rpartition("-")[2],
                parts=(part,),
                operation_type=video.operation_type,
                department="surgery",
                surgeon="Dr. Secret",
                title="Secret title",
                patient_pseudonym="feedfacefeedface",
                profile=video.profile,
                received_at=BEGAN + dt.timedelta(hours=number),
            )
            save_record(self.store, upload)
            profile = SURGERY.resolve(self.catalog, video.profile or self.catalog.default)
            versions: dict[str, str] = {}
            for place, question in enumerate(questions_of(SURGERY, profile, inference)):
                if question.spec.name in video.stages:
                    began = upload.received_at + dt.timedelta(seconds=place * STAGE_S)
                    record = self._store(video, question, versions, upload, began)
                    versions[question.spec.name] = record.data_version
        self.instance.add_dynamic_partitions(str(video_ids.name), [video.key for video in videos])

    def _store(
        self,
        video: Video,
        question: StageQuestion,
        versions: Mapping[str, str],
        upload: UploadRecord,
        began: dt.datetime,
    ) -> ArtifactRecord:
        read = {name: versions[name] for name in question.reads if name in versions}
        basis = question.basis(read, upload_version(upload))
        made = Provenance(
            **basis.model_dump(exclude={"models"}),
            asset=question.spec.asset,
            video_id=video.key,
            run_id="run",
            dagster_run_id="run",
            profile=video.profile or self.settings.default_profile,
            config_hash="c" * 64,
            dataprocessor_version="source",
            models=tuple(ModelUse(**vars(model), engine="onnxruntime", precision="fp32") for model in question.models),
            device="cpu",
            started=began,
            finished=began + dt.timedelta(seconds=STAGE_S),
            duration_ms=STAGE_S * 1000,
        )
        with scratch_folder(self.store) as folder:
            draft = ArtifactDraft(self.store, question.spec.asset, video.key, folder)
            draft.write_json("json", {"stage": question.spec.asset, "video": video.key})
            for name, (contract, rows) in tables_of(video).get(question.spec.name, {}).items():
                draft.append(name, contract, pa.RecordBatch.from_pylist(rows, schema=contract.arrow_schema))
            assert draft.violations() == []
            record = draft.publish(made, {}, {})
        index_result(self.database, record)
        self.records[video.key, question.spec.asset] = record
        return record

    def definitions(self) -> dg.Definitions:
        """The location as it loads now."""
        with dg_environment(self.settings):
            return build_defs()

    def build(self, *keys: dg.AssetKey) -> dg.ExecuteInProcessResult:
        """Run the job, whole or some of its assets."""
        job = self.definitions().resolve_job_def("marts")
        self.last = job.execute_in_process(instance=self.instance, asset_selection=keys or None, raise_on_error=False)
        return self.last

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table of the warehouse, in the order of its columns."""
        with self.warehouse.reading() as connection:
            rows: list[dict[str, Any]] = (
                connection.sql(f"SELECT * FROM {table} ORDER BY ALL").to_arrow_table().to_pylist()  # noqa: S608
            )
        return rows


@contextmanager
def dg_environment(settings: Settings) -> Iterator[None]:
    """The location reads its settings from the environment, as in production."""
    import pytest

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROVISION_HOME", str(settings.home))
        yield


def tables_of(video: Video) -> dict[str, dict[str, tuple[TableContract, list[dict[str, Any]]]]]:
    """Contract and rows by stage and part."""
    ends = [
        sum(seconds for _, seconds, _ in video.segments[: place + 1]) + place * video.gap_s
        for place in range(len(video.segments))
    ]
    segments = [
        {
            "segment_index": place,
            "phase": phase,
            "start_ms": (end - seconds) * 1000,
            "end_ms": end * 1000,
            "duration_ms": seconds * 1000,
            "mean_confidence": confidence,
        }
        for place, ((phase, seconds, confidence), end) in enumerate(zip(video.segments, ends, strict=True))
    ]
    frames = [
        {**_moment(place), "phase": "preparation", "confidence": score, "probabilities": [score]}
        for place, score in enumerate(video.frame_scores)
    ]
    boxes = [
        {**_moment(place), "instrument": "grasper", "class_id": 0, "score": score, "track_id": 0, **BOX}
        for place, score in enumerate(video.box_scores)
    ]
    masks = [
        {
            **_moment(place),
            "structure": "liver",
            "class_id": 2,
            "area_px": 1,
            "area_fraction": 0.5,
            "confidence": score,
            "rle": "x",
            "source_area_px": 1,
            "source_rle": "x",
        }
        for place, score in enumerate(video.mask_scores)
    ]
    return {
        "phases": {MAIN_TABLE: (schemas.PHASES, frames), SEGMENTS_PART: (schemas.PHASE_SEGMENTS, segments)},
        "instruments": {MAIN_TABLE: (schemas.DETECTIONS, boxes)},
        "anatomy": {MAIN_TABLE: (schemas.ANATOMY, masks)},
    }


def _moment(place: int) -> dict[str, int]:
    return {"frame_index": place, "timestamp_ms": place * 500}


@contextmanager
def marts_home(path: Path) -> Iterator[MartsHome]:
    """A fresh home."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield MartsHome(Settings(home=path), instance)
