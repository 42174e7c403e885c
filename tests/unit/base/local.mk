# Unit tests. A program joins with `test_programs += tests/unit/base/NAME_test`,
# `tests_unit_base_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.
