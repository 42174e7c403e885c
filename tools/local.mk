# The `stele` command: public headers only, linked with libstele.la.

if ENABLE_CLI
bin_PROGRAMS += tools/stele/stele
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = tools/completion/stele.bash
endif
tools_stele_stele_SOURCES = \
	tools/stele/append.c \
	tools/stele/args.c \
	tools/stele/args.h \
	tools/stele/backup.c \
	tools/stele/batch.c \
	tools/stele/batch.h \
	tools/stele/compact.c \
	tools/stele/dead.c \
	tools/stele/diagnostics.c \
	tools/stele/diagnostics.h \
	tools/stele/events.c \
	tools/stele/events.h \
	tools/stele/export.c \
	tools/stele/import.c \
	tools/stele/input.c \
	tools/stele/input.h \
	tools/stele/main.c \
	tools/stele/output.c \
	tools/stele/output.h \
	tools/stele/progress.c \
	tools/stele/progress.h \
	tools/stele/project.c \
	tools/stele/read.c \
	tools/stele/safe.c \
	tools/stele/safe.h \
	tools/stele/schema.c \
	tools/stele/show.c \
	tools/stele/sql.c \
	tools/stele/stats.c \
	tools/stele/streams.c \
	tools/stele/subscriptions.c \
	tools/stele/table.c \
	tools/stele/table.h \
	tools/stele/tool.c \
	tools/stele/tool.h \
	tools/stele/trace.c \
	tools/stele/verify.c
tools_stele_stele_CPPFLAGS = $(public_cppflags)
tools_stele_stele_LDADD = $(public_ldadd)
