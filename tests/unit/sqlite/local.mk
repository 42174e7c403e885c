# Unit tests. A program joins with `test_programs += tests/unit/sqlite/NAME_test`,
# `tests_unit_sqlite_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.
