# Unit tests. A program joins with `test_programs += tests/unit/memory/NAME_test`,
# `tests_unit_memory_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.

test_programs += tests/unit/memory/memory_test

tests_unit_memory_memory_test_SOURCES = tests/unit/memory/memory_test.c
tests_unit_memory_memory_test_LDADD = $(test_ldadd)
