# Storey 6: modules and the app they are mounted on.

libstele_core_la_SOURCES += \
	lib/app/app.c \
	lib/app/app.h \
	lib/app/check.c \
	lib/app/graph.c \
	lib/app/known.c \
	lib/app/module.c \
	lib/app/mount.c \
	lib/app/run.c \
	lib/app/signals.c \
	lib/app/signals.h
