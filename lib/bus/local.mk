# Storey 4: routes, units of work, interceptors, observers, dead letters, channels.

libstele_core_la_SOURCES += \
	lib/bus/channel.c \
	lib/bus/observers.c \
	lib/bus/observers.h
