# Simulated runs, many seeds of each: invariants, not expected outputs. script/sim runs them at length.

sim_programs = \
	tests/sim/bus_test \
	tests/sim/log_test \
	tests/sim/aggregate_test \
	tests/sim/wait_test \
	tests/sim/intercept_test \
	tests/sim/flow_test \
	tests/sim/subscription_test
test_programs += $(sim_programs)

# What the worlds share: seeds, faults, traces; and a disk that outlives processes.
sim_shared = tests/sim/sim.c tests/sim/sim.h
sim_disk = tests/sim/disk.c tests/sim/disk.h

tests_sim_bus_test_SOURCES = tests/sim/bus_test.c $(sim_shared)
tests_sim_bus_test_LDADD = $(test_ldadd)
tests_sim_log_test_SOURCES = tests/sim/log_test.c tests/sim/log_model.c tests/sim/log_model.h $(sim_shared) $(sim_disk)
tests_sim_log_test_LDADD = $(test_ldadd)
tests_sim_aggregate_test_SOURCES = tests/sim/aggregate_test.c $(sim_shared) $(sim_disk)
tests_sim_aggregate_test_LDADD = $(test_ldadd)
tests_sim_wait_test_SOURCES = tests/sim/wait_test.c $(sim_shared)
tests_sim_wait_test_LDADD = $(test_ldadd)
tests_sim_intercept_test_SOURCES = tests/sim/intercept_test.c $(sim_shared)
tests_sim_intercept_test_LDADD = $(test_ldadd)
tests_sim_flow_test_SOURCES = tests/sim/flow_test.c tests/sim/flow_beside.c tests/sim/flow_model.h $(sim_shared)
tests_sim_flow_test_LDADD = $(test_ldadd)
tests_sim_subscription_test_SOURCES = tests/sim/subscription_test.c $(sim_shared)
tests_sim_subscription_test_LDADD = $(test_ldadd)
