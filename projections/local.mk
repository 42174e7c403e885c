# Storey 5: read models.

libstele_core_la_SOURCES += \
	projections/cursor.c \
	projections/instore.c \
	projections/instore.h \
	projections/list.c \
	projections/marks.c \
	projections/marks.h \
	projections/query.c \
	projections/row.c \
	projections/swap.c \
	projections/swap.h \
	projections/tables.c \
	projections/tables.h \
	projections/view.c \
	projections/views.c \
	projections/views.h
