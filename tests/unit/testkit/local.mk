# The kit's own tests link its objects with the core of the library: their allocator fails on demand.

kit_ldadd = libstele-testkit-core.la $(test_ldadd)
kit_told = tests/unit/testkit/told.c tests/unit/testkit/told.h
kit_parcel = tests/unit/testkit/parcel.c tests/unit/testkit/parcel.h

test_programs += \
	tests/unit/testkit/faults_test \
	tests/unit/testkit/mismatch_test \
	tests/unit/testkit/scenario_test

tests_unit_testkit_faults_test_SOURCES = tests/unit/testkit/faults_test.c $(kit_parcel)
tests_unit_testkit_faults_test_LDADD = $(kit_ldadd)
tests_unit_testkit_mismatch_test_SOURCES = tests/unit/testkit/mismatch_test.c $(kit_told) $(kit_parcel)
tests_unit_testkit_mismatch_test_LDADD = $(kit_ldadd)
tests_unit_testkit_scenario_test_SOURCES = tests/unit/testkit/scenario_test.c $(kit_told) $(kit_parcel)
tests_unit_testkit_scenario_test_LDADD = $(kit_ldadd)
