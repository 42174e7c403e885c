# Unit tests. A program joins with `test_programs += tests/unit/store/NAME_test`,
# `tests_unit_store_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.

test_programs += \
	tests/unit/store/cursor_test \
	tests/unit/store/idle_test \
	tests/unit/store/ledger_test \
	tests/unit/store/listen_test \
	tests/unit/store/queue_test \
	tests/unit/store/reading_test \
	tests/unit/store/record_test \
	tests/unit/store/rules_test \
	tests/unit/store/subscription_damage_test \
	tests/unit/store/subscription_failure_test \
	tests/unit/store/subscription_hostile_test \
	tests/unit/store/subscription_state_test \
	tests/unit/store/subscription_record_test \
	tests/unit/store/subscription_thread_test \
	tests/unit/store/subscription_test \
	tests/unit/store/url_test \
	tests/unit/store/verify_test

store_fake = tests/unit/store/fake.c tests/unit/store/fake.h

tests_unit_store_cursor_test_SOURCES = tests/unit/store/cursor_test.c $(store_fake)
tests_unit_store_cursor_test_LDADD = $(test_ldadd)
tests_unit_store_queue_test_SOURCES = tests/unit/store/queue_test.c
tests_unit_store_queue_test_LDADD = $(test_ldadd)
tests_unit_store_idle_test_SOURCES = tests/unit/store/idle_test.c
tests_unit_store_idle_test_LDADD = $(test_ldadd)
tests_unit_store_ledger_test_SOURCES = tests/unit/store/ledger_test.c
tests_unit_store_ledger_test_LDADD = $(test_ldadd)
tests_unit_store_listen_test_SOURCES = tests/unit/store/listen_test.c
tests_unit_store_listen_test_LDADD = $(test_ldadd)
tests_unit_store_reading_test_SOURCES = tests/unit/store/reading_test.c
tests_unit_store_reading_test_LDADD = $(test_ldadd)
tests_unit_store_record_test_SOURCES = tests/unit/store/record_test.c
tests_unit_store_record_test_LDADD = $(test_ldadd)
tests_unit_store_rules_test_SOURCES = tests/unit/store/rules_test.c
tests_unit_store_rules_test_LDADD = $(test_ldadd)
subscription_stage = tests/unit/store/subscription_stage.h

tests_unit_store_subscription_damage_test_SOURCES = tests/unit/store/subscription_damage_test.c $(subscription_stage)
tests_unit_store_subscription_damage_test_LDADD = $(sqlite_test_ldadd)
tests_unit_store_subscription_failure_test_SOURCES = tests/unit/store/subscription_failure_test.c $(subscription_stage)
tests_unit_store_subscription_failure_test_LDADD = $(test_ldadd)
tests_unit_store_subscription_hostile_test_SOURCES = tests/unit/store/subscription_hostile_test.c $(subscription_stage)
tests_unit_store_subscription_hostile_test_LDADD = $(test_ldadd)
tests_unit_store_subscription_state_test_SOURCES = tests/unit/store/subscription_state_test.c $(subscription_stage)
tests_unit_store_subscription_state_test_LDADD = $(test_ldadd)
tests_unit_store_subscription_record_test_SOURCES = tests/unit/store/subscription_record_test.c $(subscription_stage)
tests_unit_store_subscription_record_test_LDADD = $(test_ldadd)
tests_unit_store_subscription_thread_test_SOURCES = tests/unit/store/subscription_thread_test.c $(subscription_stage)
tests_unit_store_subscription_thread_test_LDADD = $(test_ldadd)
tests_unit_store_subscription_test_SOURCES = tests/unit/store/subscription_test.c $(subscription_stage)
tests_unit_store_subscription_test_LDADD = $(test_ldadd)
tests_unit_store_url_test_SOURCES = tests/unit/store/url_test.c
tests_unit_store_url_test_LDADD = $(test_ldadd)
tests_unit_store_verify_test_SOURCES = tests/unit/store/verify_test.c $(store_fake)
tests_unit_store_verify_test_LDADD = $(test_ldadd)
