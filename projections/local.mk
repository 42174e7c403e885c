# Storey 5: read models.

libstele_core_la_SOURCES += \
	projections/cursor.c \
	projections/list.c \
	projections/query.c \
	projections/row.c \
	projections/view.c \
	projections/views.c \
	projections/views.h
