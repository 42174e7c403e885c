# Storey 3: the backend that keeps everything in memory.

libstele_core_la_SOURCES += \
	stores/memory/ledger.c \
	stores/memory/ledger.h \
	stores/memory/log.c \
	stores/memory/log.h \
	stores/memory/mark.c \
	stores/memory/mark.h \
	stores/memory/memory.c \
	stores/memory/sizes.c \
	stores/memory/sizes.h \
	stores/memory/snapshot.c \
	stores/memory/snapshot.h
