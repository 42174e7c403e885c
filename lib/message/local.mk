# Storey 2: types, codecs, messages.

# Types and codecs.
libstele_core_la_SOURCES += \
	lib/message/check.c \
	lib/message/codec_msgpack.c \
	lib/message/encode.c \
	lib/message/json.h \
	lib/message/json_convert.c \
	lib/message/json_decode.c \
	lib/message/json_parse.c \
	lib/message/json_scan.c \
	lib/message/json_scan.h \
	lib/message/json_write.c \
	lib/message/msgpack.h \
	lib/message/msgpack_decode.c \
	lib/message/msgpack_read.c \
	lib/message/schema.c \
	lib/message/type.c \
	lib/message/value.c \
	lib/message/value.h \
	lib/message/value_copy.c

# Messages.
libstele_core_la_SOURCES += \
	lib/message/attributes.c \
	lib/message/attributes.h \
	lib/message/cloudevents.h \
	lib/message/cloudevents_read.c \
	lib/message/cloudevents_scan.c \
	lib/message/cloudevents_write.c \
	lib/message/message.c \
	lib/message/message.h \
	lib/message/meta.c \
	lib/message/msgpack_keys.c \
	lib/message/ndjson.c \
	lib/message/syntax.c \
	lib/message/syntax.h

# Upcasters.
libstele_core_la_SOURCES += \
	lib/message/upcast.c \
	lib/message/upcast.h \
	lib/message/upcast_change.c \
	lib/message/upcast_plan.c
