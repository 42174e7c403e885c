# Unit tests of lib/bus.

test_programs += tests/unit/bus/observers_test

tests_unit_bus_observers_test_SOURCES = tests/unit/bus/observers_test.c
tests_unit_bus_observers_test_LDADD = $(test_ldadd)

test_programs += tests/unit/bus/channel_test
tests_unit_bus_channel_test_SOURCES = tests/unit/bus/channel_test.c
tests_unit_bus_channel_test_LDADD = $(test_ldadd)
