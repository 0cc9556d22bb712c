"""How long a night's marts over ten thousand videos take, and how much memory.

``python -m benchmarks.marts``; nothing is promised of it but the writer's turn (``TURN_WAIT_S``).

The past is that of ``benchmarks.plan``; the tables that the marts open, phases, instruments and tissue of every video,
are hard links to those of the bundled operation of a minute, each with a record of its own. So every file is opened,
compared with its checksum and read, but from the page cache, and real operations have thirty times the rows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.history import History
from benchmarks.measure import Steal, machine, process, run, sample, scratch
from benchmarks.plan import VIDEOS, prepare

BUILD = "build"
NIGHTS = ("first night", "next night, nothing new")


def store_contents(home: Path, history: History, template: str) -> int:
    """Give every result that the marts open a record and its parts.

    Args:
        home: of the platform.
        history: what was computed when.
        template: video_id of a processed operation.

    Returns:
        How many results.
    """
    from neurovision_assets.artifacts import RECORD_ENDING, ArtifactReader, part_key
    from neurovision_assets.marts.contents import CONTENTS
    from neurovision_assets.surgery.pipeline import SURGERY
    from resources.object_store import ObjectStore

    store = ObjectStore(url=home.as_uri())
    reader, count = ArtifactReader(store), 0
    opened = {asset for content in CONTENTS for asset in content.assets}
    for spec in (spec for spec in SURGERY.stages if spec.asset in opened):
        record = reader.required_record(spec.asset, template)
        for video_id in history.profiles:
            made = history.made.get((video_id, spec.name))
            if made is None:
                continue
            parts = []
            for part in record.parts:
                key = part_key(spec.asset, video_id, part.name)
                os.link(store.local_file(part.key), store.local_file(key))
                parts.append(part.model_copy(update={"key": key}))
            provenance = record.provenance.model_copy(update={"video_id": video_id})
            own = record.model_copy(
                update={"data_version": made.content, "parts": tuple(parts), "provenance": provenance}
            )
            store.write_bytes(part_key(spec.asset, video_id, RECORD_ENDING), own.model_dump_json().encode())
            count += 1
    return count


def build() -> None:
    """Run the job ``marts`` here, and print how long each of its steps took."""
    import dagster as dg

    from jobs.marts import MARTS
    from neurovision_assets.marts.definitions import build_defs

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.get() as instance:
        done = build_defs().resolve_job_def(MARTS).execute_in_process(instance=instance, run_config=quiet)
    for event in done.all_events:
        if event.is_step_success:
            print(f"  {event.step_key}: {event.step_success_data.duration_ms / 1000:.1f} s")


def main() -> None:
    """Print seconds and memory of two nights."""
    print(f"the marts over {VIDEOS} videos ({machine()})")
    with scratch() as home:
        history = prepare(home)
        done = process(sample(home), home)
        [line] = [line for line in done.out.splitlines() if line.startswith("video_id: ")]
        print(f"{store_contents(home, history, line.removeprefix('video_id: '))} results to open")
        for night in NIGHTS:
            with Steal() as steal:
                built = run([sys.executable, "-m", "benchmarks.marts", BUILD], home)
            load = os.getloadavg()[0]
            print(
                f"{night}: {built.wall_s:.0f} s, peak {built.peak_bytes / 1e6:.0f} MB, load {load:.0f}, "
                f"taken by other machines {steal.share:.0%}\n{built.out.rstrip()}"
            )
        print(f"{(home / 'warehouse' / 'warehouse.duckdb').stat().st_size / 1e6:.0f} MB of DuckDB")


if __name__ == "__main__":
    if sys.argv[1:] == [BUILD]:
        build()
    else:
        main()
