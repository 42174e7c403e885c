# Storey 5: read models.

libstele_core_la_SOURCES += \
	projections/building.c \
	projections/building.h \
	projections/confine.c \
	projections/confine.h \
	projections/cursor.c \
	projections/infile.c \
	projections/inline.c \
	projections/insql.c \
	projections/instore.c \
	projections/instore.h \
	projections/list.c \
	projections/marks.c \
	projections/marks.h \
	projections/memory.c \
	projections/model.h \
	projections/model_follow.c \
	projections/model_read.c \
	projections/model_run.c \
	projections/model_run.h \
	projections/model_try.c \
	projections/model_types.c \
	projections/out.c \
	projections/projecting.c \
	projections/projecting.h \
	projections/projection.c \
	projections/projections.c \
	projections/projections.h \
	projections/query.c \
	projections/row.c \
	projections/sql_text.c \
	projections/sql_text.h \
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
