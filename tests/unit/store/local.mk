# Unit tests. A program joins with `test_programs += tests/unit/store/NAME_test`,
# `tests_unit_store_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.
