"""A domain of three tiny stages, to test what every stage has in common without waiting for real models.

Belongs here: the stages, a platform around them on a real instance and a real folder. Does not belong here: tests.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from neurovision_assets.artifacts import MAIN_TABLE, ArtifactReader
from neurovision_assets.partitions import video_ids
from neurovision_assets.profiles import ProfileCatalog
from neurovision_assets.stage.asset import step_asset
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.recipe import stage_recipe
from neurovision_assets.stage.spec import ProgressSpan, StageSpec
from neurovision_assets.stage.work import Outcome, Work
from neurovision_assets.tables import ColumnContract, TableContract
from neurovision_assets.uploads.record import UploadPart, UploadRecord, save_record
from resources.database.engine import Database
from resources.errors import PermanentFailure, TransientFailure
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.progress import ProgressBoard

NUMBERS = TableContract("numbers", 1, (ColumnContract("value", pa.int64(), "A number.", minimum=0, maximum=100),))


class ToyConfig(BaseModel):
    """Parameters of every toy stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: int = 2


def _spec(name: str, inputs: tuple[str, ...], optional: tuple[str, ...] = (), **more: Any) -> StageSpec:
    return StageSpec(
        domain="toy",
        name=name,
        group="toy",
        inputs=inputs,
        optional_inputs=optional,
        config_type=ToyConfig,
        code_version="1",
        progress=ProgressSpan(0, 100, "{rows} rows"),
        contract=NUMBERS,
        **more,
    )


TOY = Pipeline(
    domain="toy",
    stages=(
        _spec("seed", (), priority=3, run_time_s=lambda facts: facts["hours"] * 3600.0),
        _spec("double", ("seed",), priority=2),
        _spec("extra", ("seed",), priority=1),
        _spec("total", ("double",), ("extra",)),
    ),
    policies={"sampling": "1"},
)


@dataclass
class Script:
    """What goes wrong, by (stage, video label); and what was computed."""

    faults: dict[tuple[str, str], list[Exception]]
    computed: list[tuple[str, str]]

    def play(self, work: Work[ToyConfig]) -> None:
        """Note the computation and raise the next planned fault."""
        label = work.video_id.rpartition("-")[0]
        self.computed.append((work.spec.name, label))
        planned = self.faults.get((work.spec.name, label), [])
        if planned:
            raise planned.pop(0)


def toy_assets(script: Script, *, in_one_step: bool = False) -> list[dg.AssetsDefinition]:
    """The stages, with a script of faults, in three steps or in one."""

    @stage_recipe(TOY, "seed")
    def seed(work: Work[ToyConfig]) -> Outcome:
        """Three numbers; the video's label tells how long it is."""
        script.play(work)
        outcome = _write(work, [1, 2, 3])
        outcome.facts["hours"] = 3 if work.video_id.startswith("long") else 0
        return outcome

    @stage_recipe(TOY, "double")
    def double(work: Work[ToyConfig]) -> Outcome:
        """Each number times the factor."""
        script.play(work)
        return _write(work, [value * work.config.factor for value in _values(work, "seed")])

    @stage_recipe(TOY, "extra")
    def extra(work: Work[ToyConfig]) -> Outcome:
        """Something that may be missing."""
        script.play(work)
        return _write(work, [7])

    @stage_recipe(TOY, "total")
    def total(work: Work[ToyConfig]) -> Outcome:
        """The sum."""
        script.play(work)
        extra_value = sum(_values(work, "extra")) if work.has("extra") else 0
        return _write(work, [sum(_values(work, "double")) + extra_value])

    if in_one_step:
        return [step_asset("all", seed, double, extra, total)]
    return [step_asset("seed", seed), step_asset("middle", double, extra), step_asset("total", total)]


def _values(work: Work[ToyConfig], stage: str) -> list[int]:
    values: list[int] = work.table(stage)["value"].to_pylist()
    return values


def _write(work: Work[ToyConfig], values: Sequence[int]) -> Outcome:
    work.write(MAIN_TABLE, NUMBERS, pa.table({"value": pa.array(values, pa.int64())}))
    return Outcome(counts={"rows": len(values)})


@dataclass
class ToyPlatform:
    """A real instance and a real folder around the toy stages."""

    home: Path
    instance: dg.DagsterInstance
    script: Script

    @property
    def store(self) -> ObjectStore:
        """The folder."""
        return ObjectStore(url=self.home.as_uri())

    @property
    def reader(self) -> ArtifactReader:
        """A fresh reader, which has verified nothing yet."""
        return ArtifactReader(self.store)

    @property
    def database(self) -> Database:
        """The application database, opened anew."""
        return Database(url=f"sqlite:///{self.home / 'application.db'}")

    @property
    def inference(self) -> InferenceResource:
        """The models, none pinned yet."""
        return InferenceResource(repository=str(self.home / "models"))

    @property
    def profiles(self) -> ProfileCatalog:
        """The profiles, none read yet."""
        return ProfileCatalog(user_folder=str(self.home / "profiles"), default="toy")

    def definitions(self, *, in_one_step: bool = False) -> dg.Definitions:
        """The toy domain as a code location."""
        return dg.Definitions(
            assets=toy_assets(self.script, in_one_step=in_one_step),
            jobs=[dg.define_asset_job("toy", selection=dg.AssetSelection.all())],
            resources={
                "object_store": self.store,
                "progress": ProgressBoard(object_store=self.store),
                "inference": self.inference,
                "profiles": self.profiles,
                "database": self.database,
            },
            executor=dg.in_process_executor,
        )

    def add(self, *labels: str, profile: str = "toy") -> list[str]:
        """Register videos and add their partitions."""
        keys = [f"{label}-{number:08x}" for number, label in enumerate(labels)]
        for number, key in enumerate(keys):
            part = UploadPart(incoming_key=None, raw_key=f"raw/{key}/part_000.mp4", size_bytes=1, original_name="x.mp4")
            save_record(
                self.store,
                UploadRecord(
                    video_id=key,
                    fingerprint=f"{number:08x}",
                    parts=(part,),
                    profile=profile,
                    received_at=dt.datetime.now(dt.UTC),
                ),
            )
        self.instance.add_dynamic_partitions(str(video_ids.name), keys)
        return keys

    def run(self, keys: Sequence[str], tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """One run over some consecutive partitions."""
        job = self.definitions().resolve_job_def("toy")
        if len(keys) == 1:
            return job.execute_in_process(
                instance=self.instance, partition_key=keys[0], tags=tags, raise_on_error=False
            )
        span = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
        return job.execute_in_process(instance=self.instance, tags={**span, **(tags or {})}, raise_on_error=False)

    def materialized(self, stage: str) -> set[str]:
        """Partitions that Dagster believes to exist."""
        return set(self.instance.get_materialized_partitions(dg.AssetKey(["toy", stage])))


@contextmanager
def toy_platform(home: Path) -> Iterator[ToyPlatform]:
    """A platform with the profiles ``toy`` and ``bare`` (without the optional stage)."""
    profiles = home / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "toy.yaml").write_text("optional: [extra]\n")
    (profiles / "bare.yaml").write_text("disabled: [extra]\n")
    (profiles / "triple.yaml").write_text("optional: [extra]\nstages:\n  double: {factor: 3}\n")
    with dg.instance_for_test(temp_dir=str(home)) as instance:
        yield ToyPlatform(home, instance, Script({}, []))


def corrupt(label: str = "video") -> PermanentFailure:
    """A fault that another try does not mend."""
    return PermanentFailure("The file is corrupt.", subject=label, remedy="Upload it again.")


def flaky() -> TransientFailure:
    """A fault that another try mends."""
    return TransientFailure("The storage hiccuped.", subject="storage", remedy="Try again.")
