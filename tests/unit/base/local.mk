# Unit tests. A program joins with `test_programs += tests/unit/base/NAME_test`,
# `tests_unit_base_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.

test_programs += \
	tests/unit/base/arena_test \
	tests/unit/base/buffer_test \
	tests/unit/base/clock_test \
	tests/unit/base/error_test \
	tests/unit/base/futex_portable_test \
	tests/unit/base/futex_test \
	tests/unit/base/log_test \
	tests/unit/base/map_test \
	tests/unit/base/memory_test \
	tests/unit/base/pattern_test \
	tests/unit/base/random_test \
	tests/unit/base/text_test \
	tests/unit/base/uuid_overflow_test \
	tests/unit/base/uuid_test \
	tests/unit/base/vector_test

tests_unit_base_arena_test_SOURCES = tests/unit/base/arena_test.c
tests_unit_base_arena_test_LDADD = $(test_ldadd)
tests_unit_base_buffer_test_SOURCES = tests/unit/base/buffer_test.c
tests_unit_base_buffer_test_LDADD = $(test_ldadd)
tests_unit_base_clock_test_SOURCES = tests/unit/base/clock_test.c
tests_unit_base_clock_test_LDADD = $(test_ldadd)
tests_unit_base_error_test_SOURCES = tests/unit/base/error_test.c
tests_unit_base_error_test_LDADD = $(test_ldadd)
tests_unit_base_futex_portable_test_SOURCES = tests/unit/base/futex_portable_test.c tests/unit/base/futex_cases.h
tests_unit_base_futex_portable_test_LDADD = $(test_ldadd)
tests_unit_base_futex_test_SOURCES = tests/unit/base/futex_test.c tests/unit/base/futex_cases.h
tests_unit_base_futex_test_LDADD = $(test_ldadd)
tests_unit_base_log_test_SOURCES = tests/unit/base/log_test.c
tests_unit_base_log_test_LDADD = $(test_ldadd)
tests_unit_base_map_test_SOURCES = tests/unit/base/map_test.c
tests_unit_base_map_test_LDADD = $(test_ldadd)
tests_unit_base_memory_test_SOURCES = tests/unit/base/memory_test.c
tests_unit_base_memory_test_LDADD = $(test_ldadd)
tests_unit_base_pattern_test_SOURCES = tests/unit/base/pattern_test.c
tests_unit_base_pattern_test_LDADD = $(test_ldadd)
tests_unit_base_random_test_SOURCES = tests/unit/base/random_test.c
tests_unit_base_random_test_LDADD = $(test_ldadd)
tests_unit_base_text_test_SOURCES = tests/unit/base/text_test.c
tests_unit_base_text_test_LDADD = $(test_ldadd)
tests_unit_base_uuid_overflow_test_SOURCES = tests/unit/base/uuid_overflow_test.c
tests_unit_base_uuid_overflow_test_LDADD = $(test_ldadd)
tests_unit_base_uuid_test_SOURCES = tests/unit/base/uuid_test.c
tests_unit_base_uuid_test_LDADD = $(test_ldadd)
tests_unit_base_vector_test_SOURCES = tests/unit/base/vector_test.c
tests_unit_base_vector_test_LDADD = $(test_ldadd)
