"""What a recipe gets in its hands: one video, one stage, one run.

Belongs here: reading inputs, writing the draft, calling models, telling progress. Does not belong here: when a recipe
runs and what its failure means (``runner``).
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import pyarrow as pa
from pydantic import BaseModel

from neurovision_assets.artifacts import MAIN_TABLE, ArtifactDraft, ArtifactReader, ArtifactRecord
from neurovision_assets.profiles import ResolvedProfile
from neurovision_assets.provenance import Provenance
from neurovision_assets.stage.failures import FailureRecord
from neurovision_assets.stage.sharing import Sharing
from neurovision_assets.stage.spec import StageSpec
from neurovision_assets.tables import TableContract
from neurovision_assets.uploads.record import UploadRecord
from resources.errors import PermanentFailure
from resources.inference.client import InferenceResource
from resources.inference.spec import ModelSpec
from resources.object_store import ObjectStore, Source
from resources.progress import StageProgress

ConfigT = TypeVar("ConfigT", bound=BaseModel)
T = TypeVar("T")
OtherConfigT = TypeVar("OtherConfigT", bound=BaseModel)
PREVIEW_PART = "preview"


@dataclass
class Outcome:
    """What a recipe returns beside its parts.

    Attributes:
        counts: figures of the result; the progress message may name them.
        facts: small values that later stages read; part of the data version.
        preview: PNG or JPEG of at most a few tens of kilobytes for the UI, None without one.
    """

    counts: dict[str, int | float | str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    preview: bytes | None = None


@dataclass(frozen=True)
class Work(Generic[ConfigT]):
    """One video in one stage.

    Attributes:
        spec: the stage.
        video_id: the partition.
        config: the stage's parameters.
        profile: the whole profile.
        upload: what was uploaded.
        store: objects, for the stage that takes uploads in.
        reader: artifacts of earlier stages.
        draft: where parts are written.
        inference: models.
        progress: ``progress(fraction, message)``.
        sharing: what stages that run side by side read together.
        inputs: records of the inputs that exist, by stage name.
        failures: failures of optional inputs in this run, by stage name.
        scratch: folder that is gone afterwards.
    """

    spec: StageSpec
    video_id: str
    config: ConfigT
    profile: ResolvedProfile
    upload: UploadRecord
    store: ObjectStore
    reader: ArtifactReader
    draft: ArtifactDraft
    inference: InferenceResource
    progress: StageProgress
    sharing: Sharing
    inputs: Mapping[str, ArtifactRecord]
    failures: Mapping[str, FailureRecord]
    scratch: Path

    def has(self, stage: str) -> bool:
        """Whether an optional input exists."""
        return stage in self.inputs

    def facts(self, stage: str) -> dict[str, Any]:
        """Small values that an input left for later stages."""
        return self.inputs[stage].facts

    def table(self, stage: str, name: str = MAIN_TABLE, columns: list[str] | None = None) -> pa.Table:
        """A table of an input, verified."""
        return self.reader.table(self.inputs[stage], name, columns)

    def batches(self, stage: str, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """An input's main table, a few rows at a time, verified."""
        return self.reader.batches(self.inputs[stage], MAIN_TABLE, columns, rows)

    def together(self, key: str, make: Callable[[], Iterator[T]]) -> Iterator[T]:
        """What is costly to read: made once for all stages that run side by side and ask for the same key."""
        return self.sharing.read(self.spec.name, key, make)

    def row_count(self, stage: str) -> int:
        """Rows of an input's main table as its stage counted them."""
        return int(self.inputs[stage].counts["rows"])

    def path(self, stage: str, name: str) -> Path:
        """A part of an input as a local file, verified."""
        return self.reader.path(self.inputs[stage], name)

    def source(self, stage: str, name: str) -> Source:
        """A part of an input for a decoder, which may begin before all of it is on this machine; verified."""
        return self.reader.source(self.inputs[stage], name)

    def write(self, name: str, contract: TableContract, table: pa.Table) -> None:
        """Add a whole table to the result; it must keep its contract.

        Raises:
            PermanentFailure: its columns are not those of the contract.
        """
        try:
            rows = table.replace_schema_metadata(None).cast(contract.arrow_schema).combine_chunks()
        except (pa.ArrowException, ValueError) as error:
            raise PermanentFailure(
                f"The table does not fit its contract '{contract.name}': {error}.",
                subject=f"{self.spec.asset}/{self.video_id}",
                remedy="Nothing was published; report it with the run's log.",
            ) from error
        batches = rows.to_batches() or [pa.RecordBatch.from_pylist([], schema=contract.arrow_schema)]
        for batch in batches:
            self.draft.append(name, contract, batch)

    def append(self, name: str, contract: TableContract, batch: pa.RecordBatch) -> None:
        """Add some rows of a long table to the result."""
        self.draft.append(name, contract, batch)

    def config_of(self, stage: str, kind: type[OtherConfigT]) -> OtherConfigT:
        """The parameters of another stage."""
        return kind.model_validate(self.profile.configs[stage].model_dump())

    def model_spec(self, name: str) -> ModelSpec:
        """The version of a model that this run uses."""
        return self.inference.pin(name)

    def model_used_by(self, stage: str, name: str) -> str:
        """Digest of a model that an input was made with.

        Raises:
            PermanentFailure: the input was not made with that model.
        """
        for model in self.inputs[stage].provenance.models:
            if model.name == name:
                return model.digest
        raise PermanentFailure(
            f"It was not made with the model {name}.",
            subject=f"{self.spec.upstream(stage)}/{self.video_id}",
            remedy=f"Materialize {self.spec.upstream(stage)} again with this profile.",
        )

    def provenance_of_inputs(self) -> list[Provenance]:
        """The records of everything that was read."""
        return [record.provenance for record in self.inputs.values()]

    @property
    def cores(self) -> int:
        """Processors that this process may use."""
        return len(os.sched_getaffinity(0))
