"""How long a plan over ten thousand videos takes, and how much memory.

Promised: under 10 s. ``python -m benchmarks.plan``

The past is made up (``history``), the rest is real: upload records as files, rows in SQLite, partitions in Dagster's
storage, the default models, and ``make plan`` as a process of its own.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from benchmarks.history import History
from benchmarks.measure import Steal, machine, run, scratch
from neurovision_assets.provenance_index import IndexedResult
from resources.database.engine import Database
from resources.database.tables import PROVENANCE_INDEX

VIDEOS = 10_000
ROUNDS = 3
PROFILES = ("fast_debug", "production", "research")


def fill_index(database: Database, history: History) -> int:
    """Write the past's rows; the rest of each row is made up.

    Returns:
        How many.
    """
    rows = [
        row_of(video_id, result, history.profiles[video_id]) for video_id, found in history.rows() for result in found
    ]
    with database.writing() as connection:
        connection.execute(PROVENANCE_INDEX.insert(), rows)
    return len(rows)


def row_of(video_id: str, result: IndexedResult, profile: str) -> dict[str, Any]:
    """A whole row of the index."""
    basis = result.stored.basis
    made_up = {"version": 1, "release": "1.0.0", "engine": "onnxruntime", "precision": "fp32", "data_revision": None}
    return {
        "video_id": video_id,
        "asset": result.asset,
        "data_version": result.stored.data_version,
        **basis.model_dump(include={"code_version", "schema_version", "sampling_policy_version", "stage_config_hash"}),
        "inputs": basis.inputs,
        "models": [{"name": name, "digest": digest, **made_up} for name, digest in basis.models.items()],
        "profile": profile,
        "config_hash": "c" * 64,
        "dataprocessor_version": "0.1.0",
        "run_id": "0" * 36,
        "dagster_run_id": "0" * 36,
        "device": "cpu",
        "started": result.started,
        "finished": result.started + dt.timedelta(seconds=result.duration_s),
        "duration_ms": round(result.duration_s * 1000),
        "indexed_at": dt.datetime.now(dt.UTC),
    }


def prepare(home: Path) -> History:
    """Make a home with the default models and the past of all videos, and give that past."""
    os.environ["NEUROVISION_HOME"] = str(home)
    from commands.platform import prepare_dagster_home
    from resources.settings import load_settings

    settings = load_settings()
    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(settings))
    import dagster as dg

    from neurovision_assets.definitions import build_resources
    from neurovision_assets.partitions import video_ids
    from neurovision_assets.stage.resolve import questions_of
    from neurovision_assets.surgery.pipeline import SURGERY

    resources = build_resources(settings)
    questions = {
        name: questions_of(SURGERY, SURGERY.resolve(resources["profiles"], name), resources["inference"])
        for name in PROFILES
    }
    history = upload_all(History(questions, VIDEOS, seed=0), resources["object_store"])
    rows = fill_index(resources["database"], history)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(str(video_ids.name), list(history.profiles))
    print(f"{VIDEOS} videos, {rows} rows, {(home / 'application.db').stat().st_size / 1e6:.0f} MB of SQLite")
    return history


def upload_all(history: History, store: Any) -> History:
    """A record for every upload, as registration writes it; rows name the versions that these records have."""
    from neurovision_assets.stage.resolve import upload_version
    from neurovision_assets.uploads.record import UploadPart, UploadRecord, save_record

    real = {}
    for video_id, profile in history.profiles.items():
        part = UploadPart(
            incoming_key=None, raw_key=f"raw/{video_id}/part_000.mp4", size_bytes=1, original_name="x.mp4"
        )
        fingerprint = video_id.rpartition("-")[2]
        record = UploadRecord(
            video_id=video_id,
            fingerprint=fingerprint,
            parts=(part,),
            profile=profile,
            received_at=dt.datetime.now(dt.UTC),
        )
        save_record(store, record)
        real[history.uploads[video_id]] = upload_version(record)
    return history.with_uploads(real)


def main() -> None:
    """Print seconds and memory of ``make plan``, the first time (all upload records are read) and again."""
    print(f"a plan over {VIDEOS} videos ({machine()})")
    with scratch() as home:
        prepare(home)
        for number in range(ROUNDS):
            with Steal() as steal:
                done = run([sys.executable, "-m", "commands.plans", "propose", "--sample", "0"], home)
            load = os.getloadavg()[0]
            print(
                f"make plan, {'first' if number == 0 else 'again'}: {done.wall_s:.1f} s, "
                f"peak {done.peak_bytes / 1e6:.0f} MB, load {load:.0f}, taken by other machines {steal.share:.0%}"
            )
        tell_parts()


def tell_parts() -> None:
    """The same without starting a process: where the time goes, by the clock and by the process's own time."""
    from commands.planning import planner_of
    from neurovision_assets.reprocessing.plans import propose
    from resources.settings import load_settings

    settings = load_settings()
    for name in ("draft", "propose"):
        wall_s, own_s = time.perf_counter(), time.process_time()
        if name == "draft":
            with planner_of(settings) as planner:
                draft = planner.draft()
        else:
            propose(Database.of(settings), draft, "benchmark")
        wall_s, own_s = time.perf_counter() - wall_s, time.process_time() - own_s
        print(f"  {name}: {wall_s:.1f} s, {own_s:.1f} s of processor time")
    memory = psutil.Process().memory_info().rss / 1e6
    print(f"  {draft.summary.pairs} pairs of {draft.summary.videos} videos, resident {memory:.0f} MB")
    print(f"  {dict(Counter(draft.summary.by_cause))}")


if __name__ == "__main__":
    main()
