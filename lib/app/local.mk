# Storey 6: modules and the app they are mounted on.

libstele_core_la_SOURCES +=
