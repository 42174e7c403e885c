# Storey 2: ready queue, mailboxes, timers, waiting; real and simulated.

libstele_core_la_SOURCES += \
	lib/runtime/runtime.h
