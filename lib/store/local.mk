# Storey 3: the store front.

libstele_core_la_SOURCES += \
	lib/store/append.c \
	lib/store/backends.c \
	lib/store/backends.h \
	lib/store/checkpoint.c \
	lib/store/cursor.c \
	lib/store/hooks.c \
	lib/store/hooks.h \
	lib/store/idle.c \
	lib/store/idle.h \
	lib/store/later.c \
	lib/store/later.h \
	lib/store/ledger.c \
	lib/store/ledger.h \
	lib/store/listen.c \
	lib/store/listen.h \
	lib/store/operations.c \
	lib/store/queue.c \
	lib/store/queue.h \
	lib/store/reading.c \
	lib/store/reading.h \
	lib/store/record.c \
	lib/store/record.h \
	lib/store/registry.c \
	lib/store/registry.h \
	lib/store/rules.c \
	lib/store/scan.c \
	lib/store/scan.h \
	lib/store/snapshot.c \
	lib/store/store.c \
	lib/store/store.h \
	lib/store/types.c \
	lib/store/url.c \
	lib/store/url.h \
	lib/store/verify.c \
	lib/store/visit.c
