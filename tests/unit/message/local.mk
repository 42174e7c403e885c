# Unit tests. A program joins with `test_programs += tests/unit/message/NAME_test`,
# `tests_unit_message_NAME_test_SOURCES` and `..._LDADD = $(test_ldadd)`.

# Messages.
test_programs += \
	tests/unit/message/attributes_test \
	tests/unit/message/cloudevents_refusal_test \
	tests/unit/message/cloudevents_test \
	tests/unit/message/message_test \
	tests/unit/message/ndjson_test

tests_unit_message_attributes_test_SOURCES = tests/unit/message/attributes_test.c
tests_unit_message_attributes_test_LDADD = $(test_ldadd)
tests_unit_message_cloudevents_refusal_test_SOURCES = tests/unit/message/cloudevents_refusal_test.c tests/unit/message/events.h
tests_unit_message_cloudevents_refusal_test_LDADD = $(test_ldadd)
tests_unit_message_cloudevents_test_SOURCES = tests/unit/message/cloudevents_test.c tests/unit/message/events.h
tests_unit_message_cloudevents_test_LDADD = $(test_ldadd)
tests_unit_message_message_test_SOURCES = tests/unit/message/message_test.c
tests_unit_message_message_test_LDADD = $(test_ldadd)
tests_unit_message_ndjson_test_SOURCES = tests/unit/message/ndjson_test.c
tests_unit_message_ndjson_test_LDADD = $(test_ldadd)

# Types and codecs.
test_programs += \
	tests/unit/message/check_test \
	tests/unit/message/json_test \
	tests/unit/message/msgpack_test \
	tests/unit/message/schema_test \
	tests/unit/message/type_test \
	tests/unit/message/value_test

tests_unit_message_check_test_SOURCES = tests/unit/message/check_test.c
tests_unit_message_check_test_LDADD = $(test_ldadd)
tests_unit_message_json_test_SOURCES = tests/unit/message/json_test.c
tests_unit_message_json_test_LDADD = $(test_ldadd)
tests_unit_message_msgpack_test_SOURCES = tests/unit/message/msgpack_test.c
tests_unit_message_msgpack_test_LDADD = $(test_ldadd) $(MSGPACK_LIBS)
tests_unit_message_schema_test_SOURCES = tests/unit/message/schema_test.c
tests_unit_message_schema_test_LDADD = $(test_ldadd)
tests_unit_message_type_test_SOURCES = tests/unit/message/type_test.c
tests_unit_message_type_test_LDADD = $(test_ldadd)
tests_unit_message_value_test_SOURCES = tests/unit/message/value_test.c tests/unit/message/samples.h
tests_unit_message_value_test_LDADD = $(test_ldadd)

# Upcasters.
test_programs += \
	tests/unit/message/upcast_change_test \
	tests/unit/message/upcast_test

tests_unit_message_upcast_change_test_SOURCES = tests/unit/message/upcast_change_test.c
tests_unit_message_upcast_change_test_LDADD = $(test_ldadd)
tests_unit_message_upcast_test_SOURCES = tests/unit/message/upcast_test.c
tests_unit_message_upcast_test_LDADD = $(test_ldadd)
