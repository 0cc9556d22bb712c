"""All benchmarks, one after another."""

from benchmarks import fresh_clone, main_job, memory, simulator

for benchmark in (main_job, memory, simulator, fresh_clone):
    benchmark.main()
