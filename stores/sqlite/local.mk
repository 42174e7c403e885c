# Storey 3: the backend of one SQLite file; the only place that sees sqlite3.h.

libstele_core_la_SOURCES +=
