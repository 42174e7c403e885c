# What every test links: cmocka helpers, a failing allocator, temporary folders.

test_support = tests/support/libsupport.la
if ENABLE_TESTS
check_LTLIBRARIES += $(test_support)
endif
tests_support_libsupport_la_SOURCES = tests/support/support.c tests/support/support.h

EXTRA_DIST += \
	tests/support/coverage.sh \
	tests/support/driver.sh \
	tests/support/summary.sh \
	tests/support/fuzz_replay.c
