# Storey 3: the backend that keeps everything in memory.

libstele_core_la_SOURCES += \
	stores/memory/log.c \
	stores/memory/log.h \
	stores/memory/memory.c
