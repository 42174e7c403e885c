# Storey 4: aggregates and the repository.

libstele_core_la_SOURCES +=
