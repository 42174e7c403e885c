# Storey 4: aggregates and the repository.

libstele_core_la_SOURCES += \
	lib/aggregate/aggregate.c \
	lib/aggregate/aggregate.h \
	lib/aggregate/decision.c \
	lib/aggregate/execute.c \
	lib/aggregate/instance.c \
	lib/aggregate/repository.c \
	lib/aggregate/save.c
