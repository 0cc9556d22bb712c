"""All benchmarks, one after another; the ones that take longest last."""

from benchmarks import (
    foreign,
    frames,
    fresh_clone,
    inference,
    main_job,
    memory,
    quantised,
    real_heads,
    report,
    scores,
    simulator,
    whole_job,
)

SPEED = (main_job, fresh_clone, inference, simulator, frames, whole_job, memory, report)
SCORES = (real_heads, foreign, quantised, scores)

for benchmark in (*SPEED, *SCORES):
    benchmark.main()
