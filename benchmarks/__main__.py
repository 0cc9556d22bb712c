"""All benchmarks, one after another."""

from benchmarks import fresh_clone, main_job, memory

for benchmark in (main_job, memory, fresh_clone):
    benchmark.main()
