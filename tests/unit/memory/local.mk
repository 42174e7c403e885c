# Unit tests. A program joins with `test_programs += tests/unit/memory/NAME_test`,
# `tests_unit_memory_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.
