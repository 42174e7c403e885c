# Tests of the tree itself: what is exported, what includes what, how it looks.

build_tests = \
	tests/build/exported_symbols.sh \
	tests/build/format.sh \
	tests/build/header_examples.sh \
	tests/build/headers_standalone.sh \
	tests/build/installed.sh \
	tests/build/layering.sh \
	tests/build/sizes.sh \
	tests/build/versions.sh

test_scripts += $(build_tests)
EXTRA_DIST += tests/build/tree.sh
