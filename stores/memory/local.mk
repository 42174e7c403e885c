# Storey 3: the backend that keeps everything in memory.

libstele_core_la_SOURCES +=
