# Unit tests of the read models.

test_programs += tests/unit/projections/view_test
tests_unit_projections_view_test_SOURCES = tests/unit/projections/view_test.c
tests_unit_projections_view_test_LDADD = $(test_ldadd) $(SQLITE_LIBS)

test_programs += tests/unit/projections/query_test
tests_unit_projections_query_test_SOURCES = tests/unit/projections/query_test.c
tests_unit_projections_query_test_LDADD = $(test_ldadd)

test_programs += tests/unit/projections/marks_test
tests_unit_projections_marks_test_SOURCES = tests/unit/projections/marks_test.c
tests_unit_projections_marks_test_LDADD = $(test_ldadd) $(SQLITE_LIBS)

test_programs += tests/unit/projections/swap_test
tests_unit_projections_swap_test_SOURCES = tests/unit/projections/swap_test.c
tests_unit_projections_swap_test_LDADD = $(test_ldadd) $(SQLITE_LIBS)

projection_stage = tests/unit/projections/stage.c tests/unit/projections/stage.h

test_programs += tests/unit/projections/memory_test
tests_unit_projections_memory_test_SOURCES = tests/unit/projections/memory_test.c $(projection_stage)
tests_unit_projections_memory_test_LDADD = $(test_ldadd)

test_programs += tests/unit/projections/file_test
tests_unit_projections_file_test_SOURCES = tests/unit/projections/file_test.c $(projection_stage)
tests_unit_projections_file_test_LDADD = $(test_ldadd) $(SQLITE_LIBS)

test_programs += tests/unit/projections/model_read_test
tests_unit_projections_model_read_test_SOURCES = tests/unit/projections/model_read_test.c
tests_unit_projections_model_read_test_LDADD = $(test_ldadd)

test_programs += tests/unit/projections/model_test
tests_unit_projections_model_test_SOURCES = tests/unit/projections/model_test.c tests/unit/projections/model_stage.h
tests_unit_projections_model_test_LDADD = $(test_ldadd) $(SQLITE_LIBS)

test_programs += tests/unit/projections/model_follow_test
tests_unit_projections_model_follow_test_SOURCES = \
	tests/unit/projections/model_follow_test.c tests/unit/projections/model_stage.h
tests_unit_projections_model_follow_test_LDADD = $(test_ldadd) $(SQLITE_LIBS)

test_programs += tests/unit/projections/instore_projection_test
tests_unit_projections_instore_projection_test_SOURCES = tests/unit/projections/instore_projection_test.c $(projection_stage)
tests_unit_projections_instore_projection_test_LDADD = $(test_ldadd)

test_programs += tests/unit/projections/rebuild_test
tests_unit_projections_rebuild_test_SOURCES = tests/unit/projections/rebuild_test.c $(projection_stage)
tests_unit_projections_rebuild_test_LDADD = $(test_ldadd)

test_programs += tests/unit/projections/wait_test
tests_unit_projections_wait_test_SOURCES = tests/unit/projections/wait_test.c $(projection_stage)
tests_unit_projections_wait_test_LDADD = $(test_ldadd)

test_programs += tests/unit/projections/out_test
tests_unit_projections_out_test_SOURCES = tests/unit/projections/out_test.c $(projection_stage)
tests_unit_projections_out_test_LDADD = $(test_ldadd)

test_programs += tests/unit/projections/projecting_test
tests_unit_projections_projecting_test_SOURCES = tests/unit/projections/projecting_test.c $(projection_stage)
tests_unit_projections_projecting_test_LDADD = $(test_ldadd)

test_programs += tests/unit/projections/model_fault_test
tests_unit_projections_model_fault_test_SOURCES = \
	tests/support/fault_vfs.c \
	tests/support/fault_vfs.h \
	tests/unit/projections/model_fault_test.c \
	tests/unit/projections/model_stage.h
tests_unit_projections_model_fault_test_LDADD = $(test_ldadd) $(SQLITE_LIBS)
