# Storey 1: errors, memory, containers, ids, clock, text, log.

libstele_core_la_SOURCES += \
	lib/base/arena.c \
	lib/base/arena.h \
	lib/base/base64.c \
	lib/base/buffer.c \
	lib/base/buffer.h \
	lib/base/clock.c \
	lib/base/clock.h \
	lib/base/error.c \
	lib/base/error.h \
	lib/base/fork.c \
	lib/base/fork.h \
	lib/base/futex.c \
	lib/base/futex.h \
	lib/base/log.c \
	lib/base/log.h \
	lib/base/map.c \
	lib/base/map.h \
	lib/base/memory.c \
	lib/base/memory.h \
	lib/base/number.c \
	lib/base/pattern.c \
	lib/base/random.c \
	lib/base/random.h \
	lib/base/retry.c \
	lib/base/text.h \
	lib/base/utf8.c \
	lib/base/uuid.c \
	lib/base/uuid.h \
	lib/base/vector.c \
	lib/base/vector.h \
	lib/base/version.c
