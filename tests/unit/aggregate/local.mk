# Unit tests. A program joins with `test_programs += tests/unit/aggregate/NAME_test`,
# `tests_unit_aggregate_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.

aggregate_test_domain = tests/unit/aggregate/account.c tests/unit/aggregate/account.h

aggregate_test_basket = tests/unit/aggregate/basket.c tests/unit/aggregate/basket.h

test_programs += \
	tests/unit/aggregate/cache_test \
	tests/unit/aggregate/decide_test \
	tests/unit/aggregate/execute_test \
	tests/unit/aggregate/hooks_test \
	tests/unit/aggregate/load_test \
	tests/unit/aggregate/remember_test \
	tests/unit/aggregate/save_test \
	tests/unit/aggregate/snapshot_test \
	tests/unit/aggregate/table_test \
	tests/unit/aggregate/upcast_test

tests_unit_aggregate_decide_test_SOURCES = tests/unit/aggregate/decide_test.c $(aggregate_test_domain)
tests_unit_aggregate_decide_test_LDADD = $(test_ldadd)

tests_unit_aggregate_execute_test_SOURCES = tests/unit/aggregate/execute_test.c $(aggregate_test_domain)
tests_unit_aggregate_execute_test_LDADD = $(test_ldadd)

tests_unit_aggregate_load_test_SOURCES = tests/unit/aggregate/load_test.c $(aggregate_test_domain)
tests_unit_aggregate_load_test_LDADD = $(test_ldadd)

tests_unit_aggregate_remember_test_SOURCES = tests/unit/aggregate/remember_test.c $(aggregate_test_domain)
tests_unit_aggregate_remember_test_LDADD = $(test_ldadd)

tests_unit_aggregate_save_test_SOURCES = tests/unit/aggregate/save_test.c $(aggregate_test_domain)
tests_unit_aggregate_save_test_LDADD = $(test_ldadd)

tests_unit_aggregate_table_test_SOURCES = tests/unit/aggregate/table_test.c $(aggregate_test_domain)
tests_unit_aggregate_table_test_LDADD = $(test_ldadd)

tests_unit_aggregate_cache_test_SOURCES = tests/unit/aggregate/cache_test.c $(aggregate_test_basket)
tests_unit_aggregate_cache_test_LDADD = $(test_ldadd)

tests_unit_aggregate_hooks_test_SOURCES = tests/unit/aggregate/hooks_test.c $(aggregate_test_basket)
tests_unit_aggregate_hooks_test_LDADD = $(test_ldadd)

tests_unit_aggregate_snapshot_test_SOURCES = tests/unit/aggregate/snapshot_test.c $(aggregate_test_basket)
tests_unit_aggregate_snapshot_test_LDADD = $(test_ldadd)
tests_unit_aggregate_upcast_test_SOURCES = tests/unit/aggregate/upcast_test.c
tests_unit_aggregate_upcast_test_LDADD = $(test_ldadd)
