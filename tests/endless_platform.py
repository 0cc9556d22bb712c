"""A code location whose one asset works until it is told to stop: for tests that stop and kill things half-way.

Belongs here: that asset and the sensor that starts it. Does not belong here: tests.
"""

import os
import time
from pathlib import Path

import dagster as dg

FINISH = Path(os.environ.get("NEUROVISION_HOME", ".")) / "finish"
LONGEST_S = 300
videos = dg.DynamicPartitionsDefinition(name="video_id")


@dg.asset(partitions_def=videos)
def endless() -> None:
    """Works until the file ``finish`` lies in the data home."""
    deadline_s = time.monotonic() + LONGEST_S
    while not FINISH.exists() and time.monotonic() < deadline_s:
        time.sleep(0.1)


@dg.sensor(target=endless, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def start_once(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Starts one run, once."""
    if context.cursor:
        return dg.SensorResult(skip_reason="started")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(partition_key="a-00000001", run_key="a")],
        dynamic_partitions_requests=[videos.build_add_request(["a-00000001"])],
        cursor="started",
    )


defs = dg.Definitions(assets=[endless], sensors=[start_once], executor=dg.in_process_executor)
