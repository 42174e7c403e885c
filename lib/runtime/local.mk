# Storey 2: ready queue, mailboxes, timers, waiting; real and simulated.

libstele_core_la_SOURCES += \
	lib/runtime/blocking.c \
	lib/runtime/carrier.c \
	lib/runtime/descriptor.c \
	lib/runtime/mailbox.c \
	lib/runtime/ready.c \
	lib/runtime/runtime.c \
	lib/runtime/runtime.h \
	lib/runtime/simulation.c \
	lib/runtime/state.h \
	lib/runtime/step.c \
	lib/runtime/thread.c \
	lib/runtime/thread.h \
	lib/runtime/timer.c \
	lib/runtime/wait.c \
	lib/runtime/worker.c
