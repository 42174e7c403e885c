# Unit tests of lib/app.

app_test_shop = tests/unit/app/shop.c tests/unit/app/shop.h

test_programs += \
	tests/unit/app/app_test \
	tests/unit/app/check_test \
	tests/unit/app/fork_test \
	tests/unit/app/graph_test \
	tests/unit/app/module_test \
	tests/unit/app/run_test

tests_unit_app_app_test_SOURCES = tests/unit/app/app_test.c $(app_test_shop)
tests_unit_app_app_test_LDADD = $(test_ldadd)
tests_unit_app_check_test_SOURCES = tests/unit/app/check_test.c $(app_test_shop)
tests_unit_app_check_test_LDADD = $(test_ldadd)
tests_unit_app_fork_test_SOURCES = tests/unit/app/fork_test.c $(app_test_shop)
tests_unit_app_fork_test_LDADD = $(test_ldadd)
tests_unit_app_graph_test_SOURCES = tests/unit/app/graph_test.c $(app_test_shop)
tests_unit_app_graph_test_LDADD = $(test_ldadd)
tests_unit_app_module_test_SOURCES = tests/unit/app/module_test.c $(app_test_shop)
tests_unit_app_module_test_LDADD = $(test_ldadd)
tests_unit_app_run_test_SOURCES = tests/unit/app/run_test.c $(app_test_shop)
tests_unit_app_run_test_LDADD = $(test_ldadd)

test_programs += tests/unit/app/hostile_run_test
tests_unit_app_hostile_run_test_SOURCES = tests/unit/app/hostile_run_test.c $(app_test_shop)
tests_unit_app_hostile_run_test_LDADD = $(test_ldadd)
