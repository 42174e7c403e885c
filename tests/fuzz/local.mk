# Fuzz targets. A target joins with
#
#     fuzz_programs += tests/fuzz/NAME_fuzz
#     tests_fuzz_NAME_fuzz_SOURCES = tests/fuzz/NAME_fuzz.c $(fuzz_main)
#     tests_fuzz_NAME_fuzz_LDADD = $(core_ldadd)
#     tests_fuzz_NAME_fuzz_LDFLAGS = $(fuzz_ldflags)
#
# and its seeds, listed in EXTRA_DIST, in tests/fuzz/corpus/NAME/. `make check`
# replays every corpus through replay.sh.

test_scripts += tests/fuzz/replay.sh

fuzz_programs += tests/fuzz/cloudevents_fuzz
tests_fuzz_cloudevents_fuzz_SOURCES = tests/fuzz/cloudevents_fuzz.c $(fuzz_main)
tests_fuzz_cloudevents_fuzz_LDADD = $(core_ldadd)
tests_fuzz_cloudevents_fuzz_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += \
	tests/fuzz/corpus/cloudevents/batch.json \
	tests/fuzz/corpus/cloudevents/bytes.json \
	tests/fuzz/corpus/cloudevents/escapes.json \
	tests/fuzz/corpus/cloudevents/full.json \
	tests/fuzz/corpus/cloudevents/least.json \
	tests/fuzz/corpus/cloudevents/lines.ndjson \
	tests/fuzz/corpus/cloudevents/msgpack.json \
	tests/fuzz/corpus/cloudevents/text.json

fuzz_programs += tests/fuzz/json_fuzz
tests_fuzz_json_fuzz_SOURCES = tests/fuzz/json_fuzz.c tests/unit/message/samples.h $(fuzz_main)
tests_fuzz_json_fuzz_LDADD = $(core_ldadd)
tests_fuzz_json_fuzz_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += \
	tests/fuzz/corpus/json/every.json \
	tests/fuzz/corpus/json/least.json \
	tests/fuzz/corpus/json/shapes.json

fuzz_programs += tests/fuzz/model_fuzz
tests_fuzz_model_fuzz_SOURCES = tests/fuzz/model_fuzz.c $(fuzz_main)
tests_fuzz_model_fuzz_LDADD = $(core_ldadd)
tests_fuzz_model_fuzz_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += \
	tests/fuzz/corpus/model/cut.sql \
	tests/fuzz/corpus/model/hostile.sql \
	tests/fuzz/corpus/model/plain.sql \
	tests/fuzz/corpus/model/with.sql

fuzz_programs += tests/fuzz/msgpack_fuzz
tests_fuzz_msgpack_fuzz_SOURCES = tests/fuzz/msgpack_fuzz.c tests/unit/message/samples.h $(fuzz_main)
tests_fuzz_msgpack_fuzz_LDADD = $(core_ldadd)
tests_fuzz_msgpack_fuzz_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += \
	tests/fuzz/corpus/msgpack/every.msgpack \
	tests/fuzz/corpus/msgpack/formats.msgpack \
	tests/fuzz/corpus/msgpack/least.msgpack \
	tests/fuzz/corpus/msgpack/shapes.msgpack

fuzz_programs += tests/fuzz/upcast_fuzz
tests_fuzz_upcast_fuzz_SOURCES = tests/fuzz/upcast_fuzz.c $(fuzz_main)
tests_fuzz_upcast_fuzz_LDADD = $(core_ldadd)
tests_fuzz_upcast_fuzz_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += \
	tests/fuzz/corpus/upcast/clash.msgpack \
	tests/fuzz/corpus/upcast/cut.msgpack \
	tests/fuzz/corpus/upcast/empty.msgpack \
	tests/fuzz/corpus/upcast/keys.msgpack \
	tests/fuzz/corpus/upcast/list.msgpack \
	tests/fuzz/corpus/upcast/nested.msgpack \
	tests/fuzz/corpus/upcast/plain.msgpack \
	tests/fuzz/corpus/upcast/wide.msgpack
