# Benchmarks: built and run by `make bench`, never by `make`. A program joins
# with `bench_programs += bench/NAME` and its sources.
bench_common = bench/bench.c bench/bench.h
# The store beside SQLite driven by hand.
bench_bare = bench/bare.c bench/bare.h bench/readings.c bench/readings.h

bench_programs += bench/store
bench_store_SOURCES = bench/store.c $(bench_bare) $(bench_common)
bench_store_LDADD = libstele.la $(SQLITE_LIBS)

bench_programs += bench/messages
bench_messages_SOURCES = bench/messages.c $(bench_common)
bench_messages_LDADD = libstele.la

bench_programs += bench/concurrency
bench_concurrency_SOURCES = bench/concurrency.c $(bench_bare) $(bench_common)
bench_concurrency_LDADD = libstele.la $(SQLITE_LIBS)

bench_programs += bench/snapshots
bench_snapshots_SOURCES = bench/snapshots.c $(bench_bare) $(bench_common)
bench_snapshots_LDADD = libstele.la $(SQLITE_LIBS)

bench_programs += bench/bulk
bench_bulk_SOURCES = bench/bulk.c $(bench_bare) $(bench_common)
bench_bulk_LDADD = libstele.la $(SQLITE_LIBS)

bench_programs += bench/commands
bench_commands_SOURCES = bench/commands.c $(bench_bare) $(bench_common)
bench_commands_LDADD = libstele.la $(SQLITE_LIBS)

bench_programs += bench/readers
bench_readers_SOURCES = bench/readers.c bench/readings.c bench/readings.h $(bench_common)
bench_readers_LDADD = libstele.la

bench_programs += bench/growth
bench_growth_SOURCES = bench/growth.c $(bench_bare) $(bench_common)
bench_growth_LDADD = libstele.la $(SQLITE_LIBS)

bench_programs += bench/projections
bench_projections_SOURCES = bench/projections.c bench/readings.c bench/readings.h $(bench_common)
bench_projections_LDADD = libstele.la

bench_programs += bench/replay
bench_replay_SOURCES = bench/replay.c bench/readings.c bench/readings.h $(bench_common)
bench_replay_LDADD = libstele.la

# Reaches into the store for its parts.
bench_programs += bench/inline
bench_inline_SOURCES = bench/inline.c $(bench_bare) $(bench_common)
bench_inline_LDADD = $(core_ldadd)

bench_programs += bench/models
bench_models_SOURCES = bench/models.c bench/readings.c bench/readings.h $(bench_common)
bench_models_LDADD = libstele.la $(SQLITE_LIBS)

bench_programs += bench/views
bench_views_SOURCES = bench/views.c $(bench_common)
bench_views_LDADD = libstele.la $(SQLITE_LIBS)

# Reaches into the base for what it compares with.
bench_programs += bench/bus
bench_bus_SOURCES = bench/bus.c $(bench_common)
bench_bus_CFLAGS = $(AM_CFLAGS) $(GOBJECT_CFLAGS)
bench_bus_LDADD = $(core_ldadd) $(GOBJECT_LIBS)
