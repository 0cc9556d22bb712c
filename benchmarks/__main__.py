"""All benchmarks, one after another."""

from benchmarks import frames, fresh_clone, main_job, memory, simulator

for benchmark in (main_job, memory, frames, simulator, fresh_clone):
    benchmark.main()
