# Unit tests. A program joins with `test_programs += tests/unit/message/NAME_test`,
# `tests_unit_message_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.
