# What users link into their tests: a library of its own over the public headers. Compiled once, as the library is:
# its own tests link the objects, because they need an allocator that fails.

noinst_LTLIBRARIES += libstele-testkit-core.la
libstele_testkit_core_la_SOURCES = \
	testkit/fail.c \
	testkit/fail.h \
	testkit/faults.c \
	testkit/faults.h \
	testkit/faulty.c \
	testkit/lines.c \
	testkit/lines.h \
	testkit/render.c \
	testkit/render.h \
	testkit/scenario.c \
	testkit/scenario.h \
	testkit/then.c
libstele_testkit_core_la_SHORTNAME = kit
libstele_testkit_core_la_CPPFLAGS = -I$(top_srcdir)/include -I$(top_srcdir) $(STELE_CPPFLAGS)
libstele_testkit_core_la_CFLAGS = $(AM_CFLAGS) $(STELE_COMPILE_ONCE)

lib_LTLIBRARIES += libstele-testkit.la
libstele_testkit_la_SOURCES =
libstele_testkit_la_LIBADD = libstele-testkit-core.la libstele.la
libstele_testkit_la_LDFLAGS = $(AM_LDFLAGS) -no-undefined -version-info $(STELE_VERSION_INFO)
if HAVE_VERSION_SCRIPT
libstele_testkit_la_LDFLAGS += -Wl,--version-script=$(srcdir)/lib/libstele.map
EXTRA_libstele_testkit_la_DEPENDENCIES = lib/libstele.map
else
libstele_testkit_la_LDFLAGS += -export-symbols-regex '^stele_[^_]'
endif

pkgconfig_DATA += stele-testkit.pc
