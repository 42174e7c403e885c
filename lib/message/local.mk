# Storey 2: types, codecs, messages.

libstele_core_la_SOURCES +=
