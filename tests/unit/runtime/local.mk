# Unit tests of lib/runtime.

test_programs += \
	tests/unit/runtime/mailbox_test

tests_unit_runtime_mailbox_test_SOURCES = tests/unit/runtime/mailbox_test.c
tests_unit_runtime_mailbox_test_LDADD = $(test_ldadd)
