# Unit tests of lib/bus.

# Observers.
test_programs += \
	tests/unit/bus/audit_test \
	tests/unit/bus/event_log_test \
	tests/unit/bus/metrics_test \
	tests/unit/bus/observe_test \
	tests/unit/bus/observers_test \
	tests/unit/bus/spans_test

bus_exposition = tests/unit/bus/exposition.c tests/unit/bus/exposition.h

tests_unit_bus_audit_test_SOURCES = tests/unit/bus/audit_test.c tests/unit/bus/registry.h
tests_unit_bus_audit_test_LDADD = $(test_ldadd) $(JANSSON_LIBS)
tests_unit_bus_event_log_test_SOURCES = tests/unit/bus/event_log_test.c tests/unit/bus/registry.h
tests_unit_bus_event_log_test_LDADD = $(test_ldadd) $(JANSSON_LIBS)
tests_unit_bus_metrics_test_SOURCES = tests/unit/bus/metrics_test.c $(bus_exposition)
tests_unit_bus_metrics_test_LDADD = $(test_ldadd) $(JANSSON_LIBS)
tests_unit_bus_observe_test_SOURCES = tests/unit/bus/observe_test.c $(bus_exposition)
tests_unit_bus_observe_test_LDADD = $(test_ldadd) $(JANSSON_LIBS)
tests_unit_bus_observers_test_SOURCES = tests/unit/bus/observers_test.c tests/unit/bus/registry.h
tests_unit_bus_observers_test_LDADD = $(test_ldadd)
tests_unit_bus_spans_test_SOURCES = tests/unit/bus/spans_test.c tests/unit/bus/registry.h
tests_unit_bus_spans_test_LDADD = $(test_ldadd)

test_programs += tests/unit/bus/channel_test
tests_unit_bus_channel_test_SOURCES = tests/unit/bus/channel_test.c
tests_unit_bus_channel_test_LDADD = $(test_ldadd)

# Dead letters and the reading of the log.
test_programs += \
	tests/unit/bus/dead_store_test \
	tests/unit/bus/deadletters_test \
	tests/unit/bus/follow_test \
	tests/unit/bus/follow_thread_test
tests_unit_bus_dead_store_test_SOURCES = tests/unit/bus/dead_store_test.c
tests_unit_bus_dead_store_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/dead_walk_test
tests_unit_bus_dead_walk_test_SOURCES = tests/unit/bus/dead_walk_test.c
tests_unit_bus_dead_walk_test_LDADD = $(test_ldadd)

# Interceptors and schedules.
bus_stage = tests/unit/bus/stage.c tests/unit/bus/stage.h

test_programs += \
	tests/unit/bus/again_test \
	tests/unit/bus/breaker_test \
	tests/unit/bus/chain_test \
	tests/unit/bus/intercept_test \
	tests/unit/bus/memo_test \
	tests/unit/bus/retry_test \
	tests/unit/bus/schedule_test \
	tests/unit/bus/stock_test

tests_unit_bus_again_test_SOURCES = tests/unit/bus/again_test.c $(bus_stage)
tests_unit_bus_again_test_LDADD = $(test_ldadd)
tests_unit_bus_breaker_test_SOURCES = tests/unit/bus/breaker_test.c
tests_unit_bus_breaker_test_LDADD = $(test_ldadd)
tests_unit_bus_chain_test_SOURCES = tests/unit/bus/chain_test.c
tests_unit_bus_chain_test_LDADD = $(test_ldadd)
tests_unit_bus_intercept_test_SOURCES = tests/unit/bus/intercept_test.c $(bus_stage)
tests_unit_bus_intercept_test_LDADD = $(test_ldadd)
tests_unit_bus_memo_test_SOURCES = tests/unit/bus/memo_test.c $(bus_stage)
tests_unit_bus_memo_test_LDADD = $(test_ldadd)
tests_unit_bus_retry_test_SOURCES = tests/unit/bus/retry_test.c
tests_unit_bus_retry_test_LDADD = $(test_ldadd)
tests_unit_bus_schedule_test_SOURCES = tests/unit/bus/schedule_test.c $(bus_stage)
tests_unit_bus_schedule_test_LDADD = $(test_ldadd)
tests_unit_bus_stock_test_SOURCES = tests/unit/bus/stock_test.c $(bus_stage)
tests_unit_bus_stock_test_LDADD = $(test_ldadd)
tests_unit_bus_follow_test_SOURCES = tests/unit/bus/follow_test.c tests/unit/bus/log_stage.h
tests_unit_bus_follow_test_LDADD = $(sqlite_test_ldadd)

# The core.
bus_fixture = tests/unit/bus/fixture.c tests/unit/bus/fixture.h
test_programs += tests/unit/bus/route_test
tests_unit_bus_route_test_SOURCES = tests/unit/bus/route_test.c $(bus_fixture)
tests_unit_bus_route_test_LDADD = $(test_ldadd)

# Rows of the inventory about several handlers at once.
test_programs += \
	tests/unit/bus/blocks_test \
	tests/unit/bus/commit_test \
	tests/unit/bus/flows_test \
	tests/unit/bus/kinds_test
tests_unit_bus_blocks_test_SOURCES = tests/unit/bus/blocks_test.c $(bus_fixture)
tests_unit_bus_blocks_test_LDADD = $(test_ldadd)
tests_unit_bus_commit_test_SOURCES = tests/unit/bus/commit_test.c $(bus_fixture)
tests_unit_bus_commit_test_LDADD = $(test_ldadd)
tests_unit_bus_flows_test_SOURCES = tests/unit/bus/flows_test.c $(bus_fixture)
tests_unit_bus_flows_test_LDADD = $(test_ldadd)
tests_unit_bus_kinds_test_SOURCES = tests/unit/bus/kinds_test.c $(bus_fixture)
tests_unit_bus_kinds_test_LDADD = $(test_ldadd)

tests_unit_bus_deadletters_test_SOURCES = tests/unit/bus/deadletters_test.c tests/unit/bus/log_stage.h
tests_unit_bus_deadletters_test_LDADD = $(test_ldadd)

test_programs += tests/unit/bus/check_test
tests_unit_bus_check_test_SOURCES = tests/unit/bus/check_test.c
tests_unit_bus_check_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/unit_test
tests_unit_bus_unit_test_SOURCES = tests/unit/bus/unit_test.c $(bus_fixture)
tests_unit_bus_unit_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/queue_test
tests_unit_bus_queue_test_SOURCES = tests/unit/bus/queue_test.c $(bus_fixture)
tests_unit_bus_queue_test_LDADD = $(test_ldadd)
tests_unit_bus_follow_thread_test_SOURCES = tests/unit/bus/follow_thread_test.c tests/unit/bus/log_stage.h
tests_unit_bus_follow_thread_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/context_test
tests_unit_bus_context_test_SOURCES = tests/unit/bus/context_test.c $(bus_fixture)
tests_unit_bus_context_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/stop_test
tests_unit_bus_stop_test_SOURCES = tests/unit/bus/stop_test.c $(bus_fixture)
tests_unit_bus_stop_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/threads_test
tests_unit_bus_threads_test_SOURCES = tests/unit/bus/threads_test.c $(bus_fixture)
tests_unit_bus_threads_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/aggregates_test
tests_unit_bus_aggregates_test_SOURCES = tests/unit/bus/aggregates_test.c $(bus_fixture)
tests_unit_bus_aggregates_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/stats_test
tests_unit_bus_stats_test_SOURCES = tests/unit/bus/stats_test.c $(bus_fixture)
tests_unit_bus_stats_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/split_test
tests_unit_bus_split_test_SOURCES = tests/unit/bus/split_test.c tests/unit/bus/log_stage.h
tests_unit_bus_split_test_LDADD = $(test_ldadd)

test_programs += tests/unit/bus/phases_test
tests_unit_bus_phases_test_SOURCES = tests/unit/bus/phases_test.c $(bus_fixture)
tests_unit_bus_phases_test_LDADD = $(test_ldadd)

# Stores and programs that are not as they should be.
test_programs += tests/unit/bus/hostile_follow_test
tests_unit_bus_hostile_follow_test_SOURCES = tests/unit/bus/hostile_follow_test.c tests/unit/bus/log_stage.h
tests_unit_bus_hostile_follow_test_LDADD = $(sqlite_test_ldadd)
test_programs += tests/unit/bus/hostile_dead_test
tests_unit_bus_hostile_dead_test_SOURCES = tests/unit/bus/hostile_dead_test.c tests/unit/bus/log_stage.h
tests_unit_bus_hostile_dead_test_LDADD = $(sqlite_test_ldadd)

test_programs += tests/unit/bus/hold_test
tests_unit_bus_hold_test_SOURCES = tests/unit/bus/hold_test.c $(bus_stage)
tests_unit_bus_hold_test_LDADD = $(test_ldadd)

test_programs += tests/unit/bus/dead_retry_test
tests_unit_bus_dead_retry_test_SOURCES = tests/unit/bus/dead_retry_test.c tests/unit/bus/log_stage.h
tests_unit_bus_dead_retry_test_LDADD = $(test_ldadd)

test_programs += tests/unit/bus/cut_short_test
tests_unit_bus_cut_short_test_SOURCES = tests/unit/bus/cut_short_test.c tests/unit/bus/log_stage.h
tests_unit_bus_cut_short_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/hostile_audit_test
tests_unit_bus_hostile_audit_test_SOURCES = tests/unit/bus/hostile_audit_test.c tests/unit/bus/registry.h
tests_unit_bus_hostile_audit_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/hostile_clock_test
tests_unit_bus_hostile_clock_test_SOURCES = tests/unit/bus/hostile_clock_test.c $(bus_fixture)
tests_unit_bus_hostile_clock_test_LDADD = $(test_ldadd)
test_programs += tests/unit/bus/hostile_threads_test
tests_unit_bus_hostile_threads_test_SOURCES = tests/unit/bus/hostile_threads_test.c $(bus_fixture)
tests_unit_bus_hostile_threads_test_LDADD = $(test_ldadd)
