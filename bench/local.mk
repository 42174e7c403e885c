# Benchmarks: built and run by `make bench`, never by `make`. A program joins
# with `bench_programs += bench/NAME` and its sources.
bench_common = bench/bench.c bench/bench.h

bench_programs += bench/store
bench_store_SOURCES = bench/store.c $(bench_common)
bench_store_LDADD = libstele.la $(SQLITE_LIBS)
