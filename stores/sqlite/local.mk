# Storey 3: the backend of one SQLite file; the only place that sees sqlite3.h.

libstele_core_la_SOURCES += \
	stores/sqlite/append.c \
	stores/sqlite/backup.c \
	stores/sqlite/checkpoint.c \
	stores/sqlite/checksum.c \
	stores/sqlite/compact.c \
	stores/sqlite/connection.c \
	stores/sqlite/create.c \
	stores/sqlite/file.c \
	stores/sqlite/functions.c \
	stores/sqlite/further.c \
	stores/sqlite/ledger.c \
	stores/sqlite/names.c \
	stores/sqlite/open.c \
	stores/sqlite/mark.c \
	stores/sqlite/operations.c \
	stores/sqlite/operations.h \
	stores/sqlite/process.c \
	stores/sqlite/read.c \
	stores/sqlite/record.c \
	stores/sqlite/schema.c \
	stores/sqlite/sizes.c \
	stores/sqlite/snapshot.c \
	stores/sqlite/sql.c \
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

# The same SQL functions as a loadable extension of the sqlite3 shell.
if ENABLE_SHARED
stelelibdir = $(libdir)/stele
stelelib_LTLIBRARIES = stele_sqlite.la
stele_sqlite_la_SOURCES = \
	stores/sqlite/checksum.c \
	stores/sqlite/extension.c \
	stores/sqlite/functions.c
stele_sqlite_la_CPPFLAGS = $(AM_CPPFLAGS) -DSTELE_SQLITE_EXTENSION
stele_sqlite_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -no-undefined \
	-export-symbols-regex '^sqlite3_stelesqlite_init$$'
stele_sqlite_la_LIBADD = libstele.la $(XXHASH_LIBS)
# Installing links it anew, against the installed library. By a variable: a rule of that name would replace automake's.
install_extension = install-stelelibLTLIBRARIES
$(install_extension): install-libLTLIBRARIES
endif
