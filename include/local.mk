# Public headers, one per concept; spi/ is for people who write a backend.

nobase_include_HEADERS = \
	include/stele.h \
	include/stele/aggregate.h \
	include/stele/base.h \
	include/stele/clock.h \
	include/stele/cloudevents.h \
	include/stele/error.h \
	include/stele/limits.h \
	include/stele/log.h \
	include/stele/memory.h \
	include/stele/message.h \
	include/stele/spi/store.h \
	include/stele/store.h \
	include/stele/type.h \
	include/stele/uuid.h
