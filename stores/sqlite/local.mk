# Storey 3: the backend of one SQLite file; the only place that sees sqlite3.h.

libstele_core_la_SOURCES += \
	stores/sqlite/append.c \
	stores/sqlite/checkpoint.c \
	stores/sqlite/checksum.c \
	stores/sqlite/connection.c \
	stores/sqlite/create.c \
	stores/sqlite/file.c \
	stores/sqlite/ledger.c \
	stores/sqlite/names.c \
	stores/sqlite/open.c \
	stores/sqlite/read.c \
	stores/sqlite/record.c \
	stores/sqlite/schema.c \
	stores/sqlite/snapshot.c \
	stores/sqlite/sqlite.h \
	stores/sqlite/statements.c \
	stores/sqlite/stats.c \
	stores/sqlite/status.c \
	stores/sqlite/streams.c \
	stores/sqlite/transaction.c \
	stores/sqlite/verify.c \
	stores/sqlite/wait.c \
	stores/sqlite/wal_scan.c \
	stores/sqlite/wal_walk.c \
	stores/sqlite/writer.c
