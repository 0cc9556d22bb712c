"""What a plan would change, looked at in a few videos: their stages are computed aside and compared.

Belongs here: choosing videos, a scratch store with what their stages read, the run in it. Does not belong here: what a
change is (``surgery.changes``). The platform's results and its event log never see any of it.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa

from neurovision_assets.artifacts import RECORD_ENDING, ArtifactReader, part_key, scratch_folder
from neurovision_assets.partitions import video_ids
from neurovision_assets.reprocessing.draft import Draft
from neurovision_assets.stage.failures import failure_of_run
from neurovision_assets.stage.pipeline import Pipeline
from neurovision_assets.uploads.record import record_key
from resources.database.engine import Database
from resources.object_store import ObjectStore
from resources.progress import ProgressBoard

Compare = Callable[[pa.Table, pa.Table], dict[str, int]]


@dataclass(frozen=True)
class Laboratory:
    """Everything that computing aside needs.

    Attributes:
        pipeline: the domain.
        assets: its definitions.
        compared: how to tell two results of a stage apart, by stage name.
        resources: of the deployment; its store, board and database are replaced.
    """

    pipeline: Pipeline
    assets: Sequence[dg.AssetsDefinition]
    compared: Mapping[str, Compare]
    resources: Mapping[str, Any]

    @property
    def _store(self) -> ObjectStore:
        store: ObjectStore = self.resources["object_store"]
        return store

    def choose(self, draft: Draft, count: int, seed: str) -> dict[str, list[str]]:
        """Some videos of a plan at random, with the stages to compute for the comparison, upstream first.

        Videos are left out where nothing that is compared would change, where there is no result to compare with, and
        where the recording itself would be taken in again: restricted files are not brought to the side.
        """
        reader = ArtifactReader(self._store)
        planned: dict[str, set[str]] = {}
        for item in draft.items:
            planned.setdefault(item.video_id, set()).add(item.asset)
        order = sorted(planned)
        random.Random(seed).shuffle(order)  # noqa: S311 - a sample, not a secret
        chosen: dict[str, list[str]] = {}
        for video_id in order:
            if len(chosen) == count:
                break
            stages = self._stages_to_compute(planned[video_id])
            compared = [name for name in stages if name in self.compared]
            if compared and all(reader.record(self.pipeline[name].asset, video_id) for name in compared):
                chosen[video_id] = stages
        return chosen

    def look(self, video_id: str, stages: Sequence[str]) -> dict[str, dict[str, int]]:
        """Compute stages of a video aside and tell what changes, by stage name; stages that fail are absent."""
        reader = ArtifactReader(self._store)
        with scratch_folder(self._store) as folder:
            aside = ObjectStore(url=folder.as_uri())
            self._bring(aside, video_id, without=stages)
            run_id = self._run(aside, video_id, stages)
            candidate = ArtifactReader(aside)
            told = {}
            for name in stages:
                spec = self.pipeline[name]
                failed = failure_of_run(aside, [spec.asset], video_id, run_id)
                if name in self.compared and failed is None:
                    before = reader.table(reader.required_record(spec.asset, video_id))
                    after = candidate.table(candidate.required_record(spec.asset, video_id))
                    told[name] = self.compared[name](before, after)
            return told

    def _stages_to_compute(self, assets: Collection[str]) -> list[str]:
        """Planned stages that are compared, and planned ones upstream of them; none where the recording is planned."""
        first = self.pipeline.stages[0]
        if first.asset in assets:
            return []
        needed = {spec.name for spec in self.pipeline.stages if spec.name in self.compared and spec.asset in assets}
        for spec in reversed(self.pipeline.stages):
            if spec.name in needed:
                needed.update((*spec.inputs, *spec.optional_inputs))
        return [spec.name for spec in self.pipeline.stages if spec.name in needed and spec.asset in assets]

    def _bring(self, aside: ObjectStore, video_id: str, without: Sequence[str]) -> None:
        """The upload's record and the results that stay as they are, without copying where the disk allows."""
        reader = ArtifactReader(self._store)
        _link(self._store, aside, record_key(video_id))
        for spec in self.pipeline.stages:
            record = None if spec.name in without else reader.record(spec.asset, video_id)
            for part in record.parts if record else ():
                _link(self._store, aside, part.key)
            if record:
                _link(self._store, aside, part_key(spec.asset, video_id, RECORD_ENDING))

    def _run(self, aside: ObjectStore, video_id: str, stages: Sequence[str]) -> str:
        with _quiet_instance() as instance:
            instance.add_dynamic_partitions(str(video_ids.name), [video_id])
            result = dg.materialize(
                self.assets,
                selection=[dg.AssetKey([self.pipeline.domain, name]) for name in stages],
                partition_key=video_id,
                instance=instance,
                resources={
                    **self.resources,
                    "object_store": aside,
                    "progress": ProgressBoard(object_store=aside),
                    "database": Database(url=f"sqlite:///{aside.root / 'application.db'}"),
                },
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                raise_on_error=False,
            )
            return result.run_id


@contextmanager
def _quiet_instance() -> Iterator[dg.DagsterInstance]:
    """An event log of its own, in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _link(source: ObjectStore, target: ObjectStore, key: str) -> None:
    """The same object under the same key: stages replace files and never change them, so a second name is enough."""
    path = target.local_file(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.local_file(key), path)
    except OSError:
        shutil.copyfile(source.local_file(key), path)
