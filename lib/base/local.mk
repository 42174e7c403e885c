# Storey 1: errors, memory, containers, ids, clock, text, log.

libstele_core_la_SOURCES += \
	lib/base/arena.h \
	lib/base/buffer.h \
	lib/base/error.h \
	lib/base/log.h \
	lib/base/map.h \
	lib/base/memory.h \
	lib/base/text.h \
	lib/base/vector.h \
	lib/base/version.c
