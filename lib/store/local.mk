# Storey 3: the store front.

libstele_core_la_SOURCES +=
