# Unit tests of lib/runtime.

test_programs += \
	tests/unit/runtime/carrier_test \
	tests/unit/runtime/descriptor_portable_test \
	tests/unit/runtime/descriptor_test \
	tests/unit/runtime/mailbox_test \
	tests/unit/runtime/simulation_test \
	tests/unit/runtime/stress_test \
	tests/unit/runtime/timer_test \
	tests/unit/runtime/wait_test \
	tests/unit/runtime/worker_test

tests_unit_runtime_carrier_test_SOURCES = tests/unit/runtime/carrier_test.c
tests_unit_runtime_carrier_test_LDADD = $(test_ldadd)
tests_unit_runtime_descriptor_portable_test_SOURCES = tests/unit/runtime/descriptor_portable_test.c \
	tests/unit/runtime/descriptor_cases.h
tests_unit_runtime_descriptor_portable_test_LDADD = $(test_ldadd)
tests_unit_runtime_descriptor_test_SOURCES = tests/unit/runtime/descriptor_test.c tests/unit/runtime/descriptor_cases.h
tests_unit_runtime_descriptor_test_LDADD = $(test_ldadd)
tests_unit_runtime_mailbox_test_SOURCES = tests/unit/runtime/mailbox_test.c
tests_unit_runtime_mailbox_test_LDADD = $(test_ldadd)
tests_unit_runtime_simulation_test_SOURCES = tests/unit/runtime/simulation_test.c
tests_unit_runtime_simulation_test_LDADD = $(test_ldadd)
tests_unit_runtime_stress_test_SOURCES = tests/unit/runtime/stress_test.c
tests_unit_runtime_stress_test_LDADD = $(test_ldadd)
tests_unit_runtime_timer_test_SOURCES = tests/unit/runtime/timer_test.c
tests_unit_runtime_timer_test_LDADD = $(test_ldadd)
tests_unit_runtime_wait_test_SOURCES = tests/unit/runtime/wait_test.c
tests_unit_runtime_wait_test_LDADD = $(test_ldadd)
tests_unit_runtime_worker_test_SOURCES = tests/unit/runtime/worker_test.c
tests_unit_runtime_worker_test_LDADD = $(test_ldadd)

test_programs += tests/unit/runtime/hostile_loop_test
tests_unit_runtime_hostile_loop_test_SOURCES = tests/unit/runtime/hostile_loop_test.c
tests_unit_runtime_hostile_loop_test_LDADD = $(test_ldadd)
