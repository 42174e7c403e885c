# Storey 4: routes, units of work, interceptors, observers, dead letters, channels.

libstele_core_la_SOURCES += \
	lib/bus/audit.c \
	lib/bus/audit.h \
	lib/bus/channel.c \
	lib/bus/describe.c \
	lib/bus/describe.h \
	lib/bus/event_log.c \
	lib/bus/event_log.h \
	lib/bus/log_observer.c \
	lib/bus/metrics.h \
	lib/bus/metrics_text.c \
	lib/bus/observers.c \
	lib/bus/observers.h \
	lib/bus/seeing.c \
	lib/bus/seeing.h \
	lib/bus/spans.c \
	lib/bus/spans.h
