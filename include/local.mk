# Public headers, one per concept; spi/ is for people who write a backend.

nobase_include_HEADERS = \
	include/stele/base.h \
	include/stele/clock.h \
	include/stele/error.h \
	include/stele/limits.h \
	include/stele/log.h \
	include/stele/memory.h \
	include/stele/uuid.h
