# Crash tests: power cuts, failing disks, kills, flipped bits, races (docs/reliability.md).
# script/crash-test runs them at length.

crash_tests = \
	tests/crash/control_test \
	tests/crash/disk_test \
	tests/crash/fault_test \
	tests/crash/flip_test \
	tests/crash/kill_test \
	tests/crash/part_test \
	tests/crash/power_test \
	tests/crash/projection_test \
	tests/crash/race_test

test_programs += $(crash_tests)

crash_library = tests/crash/libcrash.a
if ENABLE_TESTS
check_LIBRARIES += tests/crash/libcrash.a
endif
tests_crash_libcrash_a_SOURCES = \
	tests/crash/check.c \
	tests/crash/check.h \
	tests/crash/flip.c \
	tests/crash/flip.h \
	tests/crash/plan.c \
	tests/crash/plan.h \
	tests/crash/power.c \
	tests/crash/power.h \
	tests/crash/writers.c \
	tests/crash/writers.h \
	tests/support/crash_disk.c \
	tests/support/crash_disk.h \
	tests/support/crash_vfs.c \
	tests/support/crash_vfs.h
crash_test_ldadd = $(crash_library) $(test_ldadd)

tests_crash_control_test_SOURCES = tests/crash/control_test.c
tests_crash_control_test_LDADD = $(crash_test_ldadd)
# Calls of these go through the program, which can leave the checks out.
tests_crash_control_test_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=stele_append_rules_expect -Wl,--wrap=stele__sqlite_event_checksum \
	-Wl,--wrap=stele__sqlite_remember
tests_crash_disk_test_SOURCES = tests/crash/disk_test.c
tests_crash_disk_test_LDADD = $(crash_test_ldadd)
tests_crash_fault_test_SOURCES = tests/crash/fault_test.c
tests_crash_fault_test_LDADD = $(crash_test_ldadd)
tests_crash_flip_test_SOURCES = tests/crash/flip_test.c
tests_crash_flip_test_LDADD = $(crash_test_ldadd)
tests_crash_kill_test_SOURCES = tests/crash/kill_test.c
tests_crash_kill_test_LDADD = $(crash_test_ldadd)
tests_crash_part_test_SOURCES = tests/crash/part_test.c $(test_tally)
tests_crash_part_test_LDADD = $(crash_test_ldadd)
tests_crash_power_test_SOURCES = tests/crash/power_test.c
tests_crash_power_test_LDADD = $(crash_test_ldadd)
tests_crash_race_test_SOURCES = tests/crash/race_test.c
tests_crash_race_test_LDADD = $(crash_test_ldadd)

# Built and run by script/soak.
EXTRA_PROGRAMS += tests/crash/soak
tests_crash_soak_SOURCES = tests/crash/soak.c
tests_crash_soak_LDADD = $(core_ldadd)
CLEANFILES += tests/crash/soak

EXTRA_DIST += script/crash-test script/soak

tests_crash_projection_test_SOURCES = tests/crash/projection_test.c $(projection_stage)
tests_crash_projection_test_LDADD = $(crash_test_ldadd)
