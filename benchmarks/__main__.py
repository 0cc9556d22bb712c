"""All benchmarks, one after another; the ones that take longest last."""

from benchmarks import (
    drift,
    foreign,
    frames,
    fresh_clone,
    inference,
    intervals,
    main_job,
    memory,
    plan,
    quantised,
    real_heads,
    report,
    s3_uploads,
    scores,
    simulator,
    triton,
    whole_job,
)

SPEED = (main_job, fresh_clone, inference, simulator, frames, whole_job, memory, report, plan, s3_uploads, triton)
SCORES = (real_heads, foreign, drift, quantised, intervals, scores)

for benchmark in (*SPEED, *SCORES):
    benchmark.main()
