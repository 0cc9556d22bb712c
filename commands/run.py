"""One video through the platform's own graph, in this process.

Belongs here: partition, model assets, run, result. Does not belong here: the terminal (``process``, ``progress_view``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
from rich.console import Console

from commands.progress_view import ProgressView
from jobs.process_video import PROCESS_VIDEO
from neurovision_assets.artifacts import ArtifactReader
from neurovision_assets.definitions import build_defs, build_resources
from neurovision_assets.partitions import video_ids
from neurovision_assets.registry import DEFAULT_MODELS, is_told, served_model
from neurovision_assets.stage.failures import failure_of_run
from neurovision_assets.stage.resolve import state_of_video
from neurovision_assets.staleness import is_young_enough
from neurovision_assets.surgery.pipeline import REPORT, SURGERY
from neurovision_assets.uploads.local import register_local_file
from neurovision_assets.uploads.names import SIDECAR_ENDING
from neurovision_assets.uploads.record import UploadRecord
from resources.errors import PermanentFailure
from resources.object_store import ObjectStore
from resources.settings import Settings

HTML_PART = "html"
LINK_VALID_S = 3600


class VideoRun:
    """Runs the main job at once and waits.

    Args:
        settings: of this deployment.
        console: for progress.
    """

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        resources = build_resources(settings)
        self._store: ObjectStore = resources["object_store"]
        self._inference = resources["inference"]
        self._profiles = resources["profiles"]

    def register(self, video: Path, profile: str | None) -> UploadRecord:
        """Copy a file into the platform, or find it there.

        Raises:
            NeuroVisionError: the file or its sidecar cannot be taken, or the profile does not exist.
        """
        if profile is not None:
            SURGERY.resolve(self._profiles, profile)
        sidecar = video.with_suffix(SIDECAR_ENDING)
        with dg.DagsterInstance.get() as instance:
            known = instance.get_dynamic_partitions(str(video_ids.name))
        return register_local_file(
            self._store,
            self._settings,
            video,
            sidecar if sidecar.is_file() else None,
            known=known,
            profile=profile,
        )

    def is_up_to_date(self, record: UploadRecord) -> bool:
        """Whether every stage has a result that still answers and is young enough to be used again."""
        state = state_of_video(SURGERY, record, self._profiles, ArtifactReader(self._store), self._inference)
        ttl_days = state.profile.profile.cache_ttl_days
        return state.is_up_to_date and all(is_young_enough(r.provenance, ttl_days) for r in state.records.values())

    def execute(self, record: UploadRecord, run_config: dict[str, Any]) -> None:
        """Run the main job for one video.

        Raises:
            PermanentFailure: it failed; the reason is the first failed stage's.
        """
        defs = build_defs()
        profile = SURGERY.resolve(self._profiles, record.profile or self._profiles.default)
        with dg.DagsterInstance.get() as instance:
            instance.add_dynamic_partitions(str(video_ids.name), [record.video_id])
            self._tell_models(instance)
            with ProgressView(self._console, SURGERY, profile, self._store, record.video_id):
                result = defs.resolve_job_def(PROCESS_VIDEO).execute_in_process(
                    instance=instance, partition_key=record.video_id, run_config=run_config, raise_on_error=False
                )
        if not result.success:
            raise self._reason(record.video_id, result.run_id)

    def report_of(self, record: UploadRecord) -> str:
        """Where the report lies: a file, or a link to an object that ends after `LINK_VALID_S`.

        Raises:
            PermanentFailure: there is none.
        """
        reader = ArtifactReader(self._store)
        report = reader.required_record(REPORT.asset, record.video_id)
        if self._store.is_folder:
            return str(reader.path(report, HTML_PART))
        part = report.part(HTML_PART)
        reader.verify(part)
        return self._store.link(part.key, LINK_VALID_S)

    def _tell_models(self, instance: dg.DagsterInstance) -> None:
        """Tell the graph which models are served, where it does not know the current ones yet."""
        for name in DEFAULT_MODELS:
            if not is_told(self._inference, name, instance):
                instance.report_runless_asset_event(served_model(self._inference, name))

    def _reason(self, video_id: str, run_id: str) -> PermanentFailure:
        """The failure of the stage that failed first."""
        failure = failure_of_run(self._store, [stage.asset for stage in SURGERY.stages], video_id, run_id)
        if failure is not None:
            stage = failure.asset.rpartition("/")[2]
            return PermanentFailure(failure.reason, subject=f"stage {stage}", remedy=f"(run {run_id})")
        return PermanentFailure(
            "The run failed outside of the stages.", subject=video_id, remedy=f"Read the log of run {run_id}."
        )
