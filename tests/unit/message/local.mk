# Unit tests. A program joins with `test_programs += tests/unit/message/NAME_test`,
# `tests_unit_message_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.

# Messages.
test_programs += \
	tests/unit/message/attributes_test \
	tests/unit/message/cloudevents_test \
	tests/unit/message/message_test \
	tests/unit/message/ndjson_test

tests_unit_message_attributes_test_SOURCES = tests/unit/message/attributes_test.c
tests_unit_message_attributes_test_LDADD = $(test_ldadd)
tests_unit_message_cloudevents_test_SOURCES = tests/unit/message/cloudevents_test.c
tests_unit_message_cloudevents_test_LDADD = $(test_ldadd)
tests_unit_message_message_test_SOURCES = tests/unit/message/message_test.c
tests_unit_message_message_test_LDADD = $(test_ldadd)
tests_unit_message_ndjson_test_SOURCES = tests/unit/message/ndjson_test.c
tests_unit_message_ndjson_test_LDADD = $(test_ldadd)
