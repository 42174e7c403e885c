# Benchmarks: built and run by `make bench`, never by `make`. A program joins
# with `bench_programs += bench/NAME`, its sources and `$(core_ldadd)`.
