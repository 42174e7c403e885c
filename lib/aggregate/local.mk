# Storey 4: aggregates and the repository.

libstele_core_la_SOURCES += \
	lib/aggregate/aggregate.c \
	lib/aggregate/aggregate.h \
	lib/aggregate/cache.c \
	lib/aggregate/cache.h \
	lib/aggregate/counts.c \
	lib/aggregate/counts.h \
	lib/aggregate/decision.c \
	lib/aggregate/execute.c \
	lib/aggregate/fingerprint.c \
	lib/aggregate/instance.c \
	lib/aggregate/repository.c \
	lib/aggregate/save.c \
	lib/aggregate/snapshot.c
