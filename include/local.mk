# Public headers, one per concept; spi/ is for people who write a backend.

include_HEADERS = include/stele.h

steledir = $(includedir)/stele
stele_HEADERS = \
	include/stele/aggregate.h \
	include/stele/app.h \
	include/stele/base.h \
	include/stele/bus.h \
	include/stele/channel.h \
	include/stele/clock.h \
	include/stele/cloudevents.h \
	include/stele/deadletters.h \
	include/stele/error.h \
	include/stele/hooks.h \
	include/stele/intercept.h \
	include/stele/limits.h \
	include/stele/log.h \
	include/stele/memory.h \
	include/stele/message.h \
	include/stele/model.h \
	include/stele/observe.h \
	include/stele/operations.h \
	include/stele/projection.h \
	include/stele/retry.h \
	include/stele/runtime.h \
	include/stele/store.h \
	include/stele/subscription.h \
	include/stele/testkit.h \
	include/stele/type.h \
	include/stele/types.h \
	include/stele/upcast.h \
	include/stele/uuid.h \
	include/stele/view.h

stelespidir = $(includedir)/stele/spi
stelespi_HEADERS = \
	include/stele/spi/operations.h \
	include/stele/spi/store.h
