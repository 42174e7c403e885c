# Unit tests of lib/bus.

test_programs += tests/unit/bus/observers_test

tests_unit_bus_observers_test_SOURCES = tests/unit/bus/observers_test.c
tests_unit_bus_observers_test_LDADD = $(test_ldadd)
