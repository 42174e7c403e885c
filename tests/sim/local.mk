# Simulated runs, many seeds of each: invariants, not expected outputs.

test_programs += \
	tests/sim/bus_test \
	tests/sim/subscription_test

tests_sim_bus_test_SOURCES = tests/sim/bus_test.c
tests_sim_bus_test_LDADD = $(test_ldadd)
tests_sim_subscription_test_SOURCES = tests/sim/subscription_test.c
tests_sim_subscription_test_LDADD = $(test_ldadd)
