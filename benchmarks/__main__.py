"""All benchmarks, one after another; the ones that take longest last."""

from benchmarks import foreign, frames, fresh_clone, main_job, memory, quantised, real_heads, scores, simulator

for benchmark in (main_job, memory, frames, simulator, fresh_clone, real_heads, foreign, quantised, scores):
    benchmark.main()
