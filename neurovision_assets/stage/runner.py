"""One stage for one video in a run.

Belongs here: reuse, retries, and how a failure is recorded. Does not belong here: what a recipe computes, and what one
video's failure means for the others of the step (``step``).
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from neurovision_assets.artifacts import ArtifactDraft, ArtifactReader, ArtifactRecord, scratch_folder
from neurovision_assets.profiles import ProfileCatalog, ResolvedProfile
from neurovision_assets.provenance import ModelUse, Provenance, dataprocessor_version
from neurovision_assets.provenance_index import index_result
from neurovision_assets.stage import events
from neurovision_assets.stage.failures import (
    FailureRecord,
    clear_failure,
    failure_of,
    read_failure,
    write_failure,
)
from neurovision_assets.stage.recipe import Stage
from neurovision_assets.stage.resolve import basis_now, check_models, models_of
from neurovision_assets.stage.sharing import Sharing
from neurovision_assets.stage.work import PREVIEW_PART, Work
from neurovision_assets.staleness import Basis, Staleness, is_young_enough, staleness
from neurovision_assets.uploads.record import UploadRecord, load_record
from resources.database.engine import Database
from resources.errors import NeuroVisionError, PermanentFailure, TransientFailure
from resources.inference.client import InferenceResource
from resources.object_store import ObjectStore
from resources.progress import ProgressSink, StageProgress

TRANSIENT_ATTEMPTS = 3
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 20.0
CALLER_RUN_ID_TAG = "neurovision/run_id"
FORCE_TAG = "neurovision/force"
"""``true``, or names of stages with commas between them."""
FORCE_ALL = "true"

Event = dg.AssetMaterialization | dg.AssetCheckEvaluation


@dataclass(frozen=True)
class Ended:
    """How a stage ended for a video.

    Attributes:
        events: what Dagster is told.
        failure: why the video can go no further in this run; None where it can.
        record: the result, None where there is none.
    """

    events: tuple[Event, ...]
    failure: FailureRecord | None = None
    record: ArtifactRecord | None = None


class UpstreamFailed(PermanentFailure):
    """An input that this stage must have failed in this run; the reason is the input's."""

    def __init__(self, failure: FailureRecord) -> None:
        super().__init__(
            f"Not computed, because {failure.cause} failed: {failure.reason}",
            subject=failure.video_id,
            remedy="",
        )
        self.failure = failure


class ContractBroken(PermanentFailure):
    """The recipe's table breaks its own contract."""

    def __init__(self, subject: str, violations: list[str]) -> None:
        super().__init__(
            f"The table breaks its contract: {violations[0]} ({len(violations)} told).",
            subject=subject,
            remedy="Nothing was published; report it with the run's log.",
        )
        self.violations = violations


class StageRun:
    """One stage in one Dagster run.

    Args:
        context: of the step.
        stage: which one.
        board: where progress goes.
        sharing: what is read together with other stages of the step.
    """

    def __init__(self, context: dg.AssetExecutionContext, stage: Stage, board: ProgressSink, sharing: Sharing) -> None:
        resources = context.resources
        self.context = context
        self.pipeline = stage.pipeline
        self.spec = stage.spec
        self.recipe = stage.recipe
        self.board = board
        self.sharing = sharing
        self.store: ObjectStore = resources.object_store
        self.inference: InferenceResource = resources.inference
        self.catalog: ProfileCatalog = resources.profiles
        self.database: Database = resources.database
        self.reader = ArtifactReader(self.store)
        self.dagster_run_id = context.run.run_id
        self.run_id = context.run.tags.get(CALLER_RUN_ID_TAG, self.dagster_run_id)

    def of_video(self, video_id: str) -> Ended:
        """The stage's result for one video, computed where it is not up to date; never raises for the video's fault."""
        progress = StageProgress(
            self.board,
            video_id,
            self.run_id,
            self.spec.name,
            (self.spec.progress.start_percent, self.spec.progress.end_percent),
        )
        required = True
        try:
            upload = load_record(self.store, video_id)
            profile = self.pipeline.resolve(self.catalog, upload.profile or self.catalog.default)
            if not profile.profile.is_enabled(self.spec.name):
                self.context.log.info(f"{video_id}: {self.spec.asset} is off in profile {profile.profile.name}.")
                return Ended(())
            required = profile.profile.is_required(self.spec.name)
            check_models(self.pipeline, profile, self.inference)
            record, reused = self._result(upload, profile, progress)
            clear_failure(self.store, self.spec.asset, video_id)
            told = events.materialization(self.spec, record, self.reader, self.context.instance, reused=reused)
        except Exception as error:  # noqa: BLE001 - one video's fault, of whatever kind, must not stop another's
            return self._failed(error, video_id, progress, required=required)
        self._index(record)
        progress(1.0, self.spec.progress.message.format(**record.counts))
        return Ended((told, *events.checks_passed(self.spec, video_id)), record=record)

    def _index(self, record: ArtifactRecord) -> None:
        """Note the result where plans look; a database that fails must not fail a video, it can be made again."""
        try:
            index_result(self.database, record)
        except NeuroVisionError as error:
            subject = f"{record.provenance.video_id}: {self.spec.asset}"
            self.context.log.warning(f"{subject} is not in the provenance index ({error}) Run make index.")

    def _result(
        self, upload: UploadRecord, profile: ResolvedProfile, progress: StageProgress
    ) -> tuple[ArtifactRecord, bool]:
        """The stored result where it still answers, else a new one."""
        inputs, failures = self._inputs(upload.video_id, profile)
        basis = basis_now(self.pipeline, self.spec, profile, upload, inputs, self.inference)
        with self.store.lock(f"{self.spec.asset}/{upload.video_id}"):
            stored = self._reusable(upload.video_id, profile, basis)
            if stored is not None:
                return stored, True
            progress(0.0)
            for attempt in self._attempts():
                with attempt:
                    if attempt.retry_state.attempt_number > 1:  # of the last write only the answer may have been lost
                        stored = self._reusable(upload.video_id, profile, basis)
                    record = stored or self._compute(upload, profile, basis, inputs, failures, progress)
        return record, False

    def _inputs(
        self, video_id: str, profile: ResolvedProfile
    ) -> tuple[dict[str, ArtifactRecord], dict[str, FailureRecord]]:
        """Records of the inputs that exist, failures of those that may be missing.

        Raises:
            UpstreamFailed: an input that the stage must have failed in this run.
            PermanentFailure: such an input was never materialized.
        """
        must, may = self.pipeline.reads(self.spec, profile)
        records, failures = {}, {}
        for name in (*must, *may):
            asset = self.spec.upstream(name)
            failure = read_failure(self.store, asset, video_id)
            if failure is not None and failure.run_id == self.dagster_run_id:
                if name in must:
                    raise UpstreamFailed(failure)
                failures[name] = failure
            elif name in must:
                records[name] = self.reader.required_record(asset, video_id)
            else:
                record = self.reader.record(asset, video_id)
                if record is not None:
                    records[name] = record
        return records, failures

    def _reusable(self, video_id: str, profile: ResolvedProfile, basis: Basis) -> ArtifactRecord | None:
        """The stored result, if it stands on the same, is intact and young enough, and nobody asked for a new one."""
        if self._is_forced():
            return None
        record = self.reader.record(self.spec.asset, video_id)
        state = staleness(record, basis)
        if record is None or state is not Staleness.UP_TO_DATE:
            self.context.log.info(f"{video_id}: {self.spec.asset} is {state}.")
            return None
        if not is_young_enough(record.provenance, profile.profile.cache_ttl_days):
            return None
        return record if self.reader.is_intact(record) else None

    def _is_forced(self) -> bool:
        """Whether somebody asked to have this stage computed again even where it is up to date."""
        forced = self.context.run.tags.get(FORCE_TAG, "")
        return forced == FORCE_ALL or self.spec.name in forced.split(",")

    def _compute(
        self,
        upload: UploadRecord,
        profile: ResolvedProfile,
        basis: Basis,
        inputs: dict[str, ArtifactRecord],
        failures: dict[str, FailureRecord],
        progress: StageProgress,
    ) -> ArtifactRecord:
        started = datetime.now(UTC)
        with scratch_folder(self.store) as scratch:
            draft = ArtifactDraft(self.store, self.spec.asset, upload.video_id, scratch)
            work: Work[Any] = Work(
                spec=self.spec,
                video_id=upload.video_id,
                config=profile.configs[self.spec.name],
                profile=profile,
                upload=upload,
                store=self.store,
                reader=self.reader,
                draft=draft,
                inference=self.inference,
                progress=progress,
                sharing=self.sharing,
                inputs=inputs,
                failures=failures,
                scratch=scratch,
            )
            outcome = self.recipe(work)
            violations = draft.violations()
            if violations:
                raise ContractBroken(f"{self.spec.asset}/{upload.video_id}", violations)
            if outcome.preview is not None:
                draft.write_bytes(PREVIEW_PART, outcome.preview)
            provenance = self._provenance(upload.video_id, profile, basis, started)
            return draft.publish(provenance, outcome.counts, outcome.facts)

    def _provenance(self, video_id: str, profile: ResolvedProfile, basis: Basis, started: datetime) -> Provenance:
        finished = datetime.now(UTC)
        models = []
        device = "cpu"
        for identity in models_of(self.spec, profile, self.inference):
            use = self.inference.describe_use(identity)
            device = use["device"]
            models.append(
                ModelUse(
                    name=identity.name,
                    version=identity.version,
                    release=identity.release,
                    digest=identity.digest,
                    engine=use["engine"],
                    precision=use["precision"],
                    data_revision=self.inference.pin(identity.name).parameters.get("data_revision"),
                )
            )
        return Provenance(
            asset=self.spec.asset,
            video_id=video_id,
            run_id=self.run_id,
            dagster_run_id=self.dagster_run_id,
            profile=profile.profile.name,
            config_hash=profile.hash,
            stage_config_hash=basis.stage_config_hash,
            sampling_policy_version=basis.sampling_policy_version,
            dataprocessor_version=dataprocessor_version(),
            code_version=basis.code_version,
            schema_version=basis.schema_version,
            inputs=basis.inputs,
            models=tuple(models),
            device=device,
            started=started,
            finished=finished,
            duration_ms=round((finished - started).total_seconds() * 1000),
        )

    def _failed(self, error: Exception, video_id: str, progress: StageProgress, *, required: bool) -> Ended:
        """Record a failure where the run's later steps, people and Dagster find it."""
        failure = failure_of(error, self.spec.asset, video_id, self.dagster_run_id)
        if isinstance(error, UpstreamFailed):
            failure = error.failure.model_copy(update={"asset": self.spec.asset})
        else:
            detail = "" if failure.kind != "unexpected" else "\n" + "".join(traceback.format_exception(error))
            self.context.log.error(failure.reason + detail)
        with _storage_may_refuse(self.context):
            write_failure(self.store, failure)
            progress.failed(failure.reason) if required else progress(1.0, failure.reason)
        incomplete = events.check_incomplete(self.spec, failure, required=required)
        if isinstance(error, ContractBroken):
            broken = events.check_contract_broken(self.spec, video_id, error.violations)
            return Ended((broken, incomplete), failure if required else None)
        return Ended((incomplete,), failure if required else None)

    def _attempts(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(TransientFailure),
            stop=stop_after_attempt(TRANSIENT_ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S),
            reraise=True,
        )


@contextmanager
def _storage_may_refuse(context: dg.AssetExecutionContext) -> Iterator[None]:
    """The record of a failure is lost where the storage is what failed; Dagster's own log still has it."""
    try:
        yield
    except NeuroVisionError as error:
        context.log.error(f"The failure's record could not be written: {error}")
