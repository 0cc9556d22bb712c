"""What a stage would stand on for one video, from the store alone: for the runner, for plans, for ``make process``.

Belongs here: joining upload, profile, inputs and models into a basis. Does not belong here: comparing it with what is
stored (``judgement``), running, events.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from neurovision_assets.artifacts import ArtifactReader, ArtifactRecord
from neurovision_assets.profiles import ProfileCatalog, ResolvedProfile
from neurovision_assets.provenance import config_hash
from neurovision_assets.stage.judgement import StageQuestion, Stored, Verdict, judge
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.stage.spec import StageSpec
from neurovision_assets.staleness import Basis, basis_of
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
    """Refuse a profile that names a model which is not installed, and pin all of its models, before any work.

    A promotion during the run then changes none of them, also those that only a later stage asks for.

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
        if name:
            with suppress(ConfigurationError):  # one that is broken fails its own stage, which may be optional
                inference.pin(name)


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
    versions = {name: record.data_version for name, record in inputs.items()}
    return question_of(pipeline, stage, profile, inference).basis(versions, upload_version(upload))


def question_of(
    pipeline: Pipeline, stage: StageSpec, profile: ResolvedProfile, inference: InferenceResource
) -> StageQuestion:
    """What the stage would stand on under a profile, whatever the video."""
    must, may = pipeline.reads(stage, profile)
    models = models_of(stage, profile, inference)
    return StageQuestion(
        spec=stage,
        reads=(*must, *may),
        reads_upload=not stage.inputs or stage is pipeline.stages[-1],
        models=models,
        without_inputs=Basis(
            code_version=stage.code_version,
            schema_version=stage.schema_version,
            sampling_policy_version=pipeline.policies["sampling"],
            stage_config_hash=config_hash(profile.configs[stage.name].model_dump(mode="json")),
            inputs={},
            models={model.name: model.digest for model in models},
        ),
    )


def questions_of(
    pipeline: Pipeline, profile: ResolvedProfile, inference: InferenceResource
) -> tuple[StageQuestion, ...]:
    """The same for every stage that runs under the profile, upstream first.

    Raises:
        ConfigurationError: the profile names a model that is not installed.
    """
    check_models(pipeline, profile, inference)
    return tuple(question_of(pipeline, stage, profile, inference) for stage in pipeline.enabled(profile))


@dataclass(frozen=True)
class VideoState:
    """Where one video stands, stage by stage.

    Attributes:
        profile: the profile it is judged by.
        verdicts: by stage name, enabled stages only.
        records: of the stages that have a result.
    """

    profile: ResolvedProfile
    verdicts: Mapping[str, Verdict]
    records: Mapping[str, ArtifactRecord]

    @property
    def is_up_to_date(self) -> bool:
        """Whether nothing would be computed."""
        return all(verdict.is_up_to_date for verdict in self.verdicts.values())


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
    questions = questions_of(pipeline, profile, inference)
    found = {question.spec.name: reader.record(question.spec.asset, upload.video_id) for question in questions}
    records = {name: record for name, record in found.items() if record is not None and reader.is_intact(record)}
    stored = {name: Stored(record.data_version, basis_of(record.provenance)) for name, record in records.items()}
    return VideoState(profile=profile, verdicts=judge(questions, upload_version(upload), stored), records=records)
