# Fuzz targets. A target joins with
#
#     fuzz_programs += tests/fuzz/NAME_fuzz
#     tests_fuzz_NAME_fuzz_SOURCES = tests/fuzz/NAME_fuzz.c $(fuzz_main)
#     tests_fuzz_NAME_fuzz_LDADD = $(core_ldadd)
#     tests_fuzz_NAME_fuzz_LDFLAGS = $(fuzz_ldflags)
#
# and its seeds, listed in EXTRA_DIST, in tests/fuzz/corpus/NAME/. `make check`
# replays every corpus through replay.sh.

test_scripts += tests/fuzz/replay.sh
