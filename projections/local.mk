# Storey 5: read models.

libstele_core_la_SOURCES += \
	projections/building.c \
	projections/building.h \
	projections/cursor.c \
	projections/infile.c \
	projections/inline.c \
	projections/instore.c \
	projections/instore.h \
	projections/list.c \
	projections/marks.c \
	projections/marks.h \
	projections/memory.c \
	projections/out.c \
	projections/projecting.c \
	projections/projecting.h \
	projections/projection.c \
	projections/projections.c \
	projections/projections.h \
	projections/query.c \
	projections/row.c \
	projections/swap.c \
	projections/swap.h \
	projections/tables.c \
	projections/tables.h \
	projections/target.c \
	projections/target.h \
	projections/until.c \
	projections/view.c \
	projections/views.c \
	projections/views.h \
	projections/wait.c
