"""What a stage would stand on for one video, from the store alone: for the runner, for plans, for ``make process``.

Belongs here: joining upload, profile, inputs and models into a basis. Does not belong here: running, events.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from neurovision_assets.artifacts import ArtifactReader, ArtifactRecord
from neurovision_assets.profiles import ProfileCatalog, ResolvedProfile
from neurovision_assets.provenance import config_hash
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.spec import UPLOADS_ASSET, StageSpec
from neurovision_assets.staleness import Basis, Staleness, staleness
from neurovision_assets.uploads.record import UploadRecord
from resources.errors import ConfigurationError
from resources.inference.client import InferenceResource
from resources.inference.spec import ModelIdentity

OPERATION_FIELDS = {
    "operation_id",
    "operation_type",
    "surgeon",
    "department",
    "date",
    "title",
    "description",
    "patient_pseudonym",
}


def model_of(profile: ResolvedProfile, stage: str) -> str | None:
    """Name of the model that a stage uses under a profile, None for stages without one."""
    return getattr(profile.configs[stage], "model", None)


def models_of(stage: StageSpec, profile: ResolvedProfile, inference: InferenceResource) -> tuple[ModelIdentity, ...]:
    """Models that a stage's result stands on, pinned for this run."""
    name = model_of(profile, stage.name)
    return (inference.pin(name).identity,) if name else ()


def check_models(pipeline: Pipeline, profile: ResolvedProfile, inference: InferenceResource) -> None:
    """Refuse a profile that names a model which is not installed, before any work.

    Raises:
        ConfigurationError: profile, stage and model are named.
    """
    for stage in pipeline.enabled(profile):
        name = model_of(profile, stage.name)
        if name and not inference.models.is_installed(name):
            raise ConfigurationError(
                f"Stage {stage.name} names the model '{name}', which is not installed.",
                subject=f"profile {profile.profile.name}",
                remedy=f"Installed: {', '.join(inference.models.names())}.",
            )


def upload_version(upload: UploadRecord) -> str:
    """Data version of an upload: its fingerprint and what is known of the operation."""
    operation = upload.model_dump(mode="json", include=OPERATION_FIELDS)
    return f"{upload.fingerprint}+{config_hash(operation)[:16]}"


def basis_now(
    pipeline: Pipeline,
    stage: StageSpec,
    profile: ResolvedProfile,
    upload: UploadRecord,
    inputs: Mapping[str, ArtifactRecord],
    inference: InferenceResource,
) -> Basis:
    """What the stage would stand on if it ran now."""
    versions = {stage.upstream(name): record.data_version for name, record in inputs.items()}
    if not stage.inputs or stage is pipeline.stages[-1]:
        versions[stage.upstream(UPLOADS_ASSET)] = upload_version(upload)
    return Basis(
        code_version=stage.code_version,
        schema_version=stage.schema_version,
        sampling_policy_version=pipeline.policies["sampling"],
        stage_config_hash=config_hash(profile.configs[stage.name].model_dump(mode="json")),
        inputs=versions,
        models={model.name: model.digest for model in models_of(stage, profile, inference)},
    )


@dataclass(frozen=True)
class VideoState:
    """Where one video stands, stage by stage.

    Attributes:
        profile: the profile it is judged by.
        states: by stage name, enabled stages only.
        records: of the stages that have a result.
    """

    profile: ResolvedProfile
    states: Mapping[str, Staleness]
    records: Mapping[str, ArtifactRecord]

    @property
    def is_up_to_date(self) -> bool:
        """Whether nothing would be computed."""
        return all(state is Staleness.UP_TO_DATE for state in self.states.values())


def state_of_video(
    pipeline: Pipeline,
    upload: UploadRecord,
    catalog: ProfileCatalog,
    reader: ArtifactReader,
    inference: InferenceResource,
) -> VideoState:
    """Every enabled stage's staleness; a damaged artifact counts as missing.

    Raises:
        ConfigurationError: the profile or a model is wrong.
    """
    profile = pipeline.resolve(catalog, upload.profile or catalog.default)
    check_models(pipeline, profile, inference)
    records: dict[str, ArtifactRecord] = {}
    states: dict[str, Staleness] = {}
    for stage in pipeline.enabled(profile):
        must, may = pipeline.reads(stage, profile)
        inputs = {name: records[name] for name in (*must, *may) if name in records}
        record = reader.record(stage.asset, upload.video_id)
        if record is not None and not reader.is_intact(record):
            record = None
        states[stage.name] = staleness(record, basis_now(pipeline, stage, profile, upload, inputs, inference))
        if record is not None:
            records[stage.name] = record
    return VideoState(profile=profile, states=states, records=records)
