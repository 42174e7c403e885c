# Unit tests. A program joins with `test_programs += tests/unit/aggregate/NAME_test`,
# `tests_unit_aggregate_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.
