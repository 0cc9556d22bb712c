"""Which videos a run of Dagster is about.

Belongs here: reading partitions from a run's tags, runs that wait or work. Does not belong here: starting runs
(``sensors``), what a run does.
"""

from __future__ import annotations

from typing import Final

import dagster as dg

from neurovision_assets.partitions import video_ids

PARTITION_TAG: Final = "dagster/partition"
RANGE_TAGS: Final = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def videos_of(run: dg.DagsterRun, instance: dg.DagsterInstance) -> list[str]:
    """Partitions of a run: one, or a range."""
    if PARTITION_TAG in run.tags:
        return [run.tags[PARTITION_TAG]]
    start, end = (run.tags.get(tag) for tag in RANGE_TAGS)
    if start is None or end is None:
        return []
    keys = list(instance.get_dynamic_partitions(str(video_ids.name)))
    return keys[keys.index(start) : keys.index(end) + 1] if {start, end} <= set(keys) else []


def videos_in_flight(instance: dg.DagsterInstance) -> set[str]:
    """Videos that a run works on or waits for."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return {video_id for run in runs for video_id in videos_of(run, instance)}
