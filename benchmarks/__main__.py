"""All benchmarks, one after another; the ones that take longest last. One that fails keeps no other from running.

Not among them, because they want root or servers of their own: ``benchmarks.scale_out`` and ``benchmarks.services``.
"""

import sys
import traceback

from benchmarks import (
    drift,
    foreign,
    frames,
    fresh_clone,
    inference,
    intervals,
    main_job,
    marts,
    memory,
    pick_up,
    plan,
    quantised,
    real_heads,
    report,
    s3_uploads,
    scores,
    simulator,
    static_shapes,
    triton,
    whole_job,
)

SPEED = (
    main_job,
    fresh_clone,
    inference,
    simulator,
    frames,
    whole_job,
    memory,
    report,
    plan,
    marts,
    pick_up,
    s3_uploads,
    triton,
)
SCORES = (real_heads, foreign, drift, static_shapes, quantised, intervals, scores)

failed = []
for benchmark in (*SPEED, *SCORES):
    try:
        benchmark.main()
    except (Exception, SystemExit):  # noqa: BLE001 - the others still run, and the exit code tells
        traceback.print_exc()
        failed.append(benchmark.__name__)
if failed:
    sys.exit(f"failed: {', '.join(failed)}")
