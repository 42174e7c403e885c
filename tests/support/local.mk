# What every test links: cmocka helpers, a failing allocator, temporary folders.

test_support = tests/support/libsupport.a
if ENABLE_TESTS
check_LIBRARIES += tests/support/libsupport.a
endif
tests_support_libsupport_a_SOURCES = tests/support/support.c tests/support/support.h

# A read model in the store: linked by the tests that need one.
test_tally = tests/support/tally.c tests/support/tally.h

test_programs += tests/support/support_test
tests_support_support_test_SOURCES = tests/support/support_test.c
tests_support_support_test_LDADD = $(test_ldadd)

test_scripts += tests/support/driver_test.sh

EXTRA_DIST += \
	tests/support/coverage.sh \
	tests/support/driver.sh \
	tests/support/fuzz_replay.c \
	tests/support/summary.sh
