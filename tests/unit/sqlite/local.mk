# Unit tests of the SQLite store.

sqlite_tests = \
	tests/unit/sqlite/checkpoint_test \
	tests/unit/sqlite/checksum_test \
	tests/unit/sqlite/commit_test \
	tests/unit/sqlite/copy_test \
	tests/unit/sqlite/create_test \
	tests/unit/sqlite/damage_test \
	tests/unit/sqlite/ledger_test \
	tests/unit/sqlite/growth_test \
	tests/unit/sqlite/hazard_test \
	tests/unit/sqlite/idle_test \
	tests/unit/sqlite/mark_test \
	tests/unit/sqlite/open_test \
	tests/unit/sqlite/part_test \
	tests/unit/sqlite/process_test \
	tests/unit/sqlite/read_test \
	tests/unit/sqlite/schema_test \
	tests/unit/sqlite/sql_test \
	tests/unit/sqlite/wait_test \
	tests/unit/sqlite/wal_test

test_programs += $(sqlite_tests)

sqlite_fixture = tests/unit/sqlite/libfixture.a
if ENABLE_TESTS
check_LIBRARIES += tests/unit/sqlite/libfixture.a
endif
tests_unit_sqlite_libfixture_a_SOURCES = \
	tests/support/fault_vfs.c \
	tests/support/fault_vfs.h \
	tests/unit/sqlite/fixture.c \
	tests/unit/sqlite/fixture.h
sqlite_test_ldadd = $(sqlite_fixture) $(test_ldadd)

tests_unit_sqlite_checkpoint_test_SOURCES = tests/unit/sqlite/checkpoint_test.c
tests_unit_sqlite_checkpoint_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_checksum_test_SOURCES = tests/unit/sqlite/checksum_test.c
tests_unit_sqlite_checksum_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_commit_test_SOURCES = tests/unit/sqlite/commit_test.c
tests_unit_sqlite_commit_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_copy_test_SOURCES = tests/unit/sqlite/copy_test.c
tests_unit_sqlite_copy_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_create_test_SOURCES = tests/unit/sqlite/create_test.c
tests_unit_sqlite_create_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_damage_test_SOURCES = tests/unit/sqlite/damage_test.c
tests_unit_sqlite_damage_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_ledger_test_SOURCES = tests/unit/sqlite/ledger_test.c
tests_unit_sqlite_ledger_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_growth_test_SOURCES = tests/unit/sqlite/growth_test.c
tests_unit_sqlite_growth_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_hazard_test_SOURCES = tests/unit/sqlite/hazard_test.c
tests_unit_sqlite_hazard_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_idle_test_SOURCES = tests/unit/sqlite/idle_test.c
tests_unit_sqlite_idle_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_mark_test_SOURCES = tests/unit/sqlite/mark_test.c
tests_unit_sqlite_mark_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_open_test_SOURCES = tests/unit/sqlite/open_test.c
tests_unit_sqlite_open_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_part_test_SOURCES = tests/unit/sqlite/part_test.c $(test_tally)
tests_unit_sqlite_part_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_process_test_SOURCES = tests/unit/sqlite/process_test.c
tests_unit_sqlite_process_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_read_test_SOURCES = tests/unit/sqlite/read_test.c
tests_unit_sqlite_read_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_schema_test_SOURCES = tests/unit/sqlite/schema_test.c
tests_unit_sqlite_schema_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_sql_test_SOURCES = tests/unit/sqlite/sql_test.c
tests_unit_sqlite_sql_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_wait_test_SOURCES = tests/unit/sqlite/wait_test.c
tests_unit_sqlite_wait_test_LDADD = $(sqlite_test_ldadd)
tests_unit_sqlite_wal_test_SOURCES = tests/unit/sqlite/wal_test.c
tests_unit_sqlite_wal_test_LDADD = $(sqlite_test_ldadd)

EXTRA_DIST += tests/fixtures/version-1.db tests/fixtures/version-2.db tests/fixtures/version-3.db
