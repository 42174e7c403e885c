# Small programs on a bus: public headers only, linked with libstele.la. What each prints is in NAME.expected.

bus_examples = \
	examples/bus/auction \
	examples/bus/etl \
	examples/bus/order_chain \
	examples/bus/order_reactions \
	examples/bus/payment_breaker \
	examples/bus/payment_router \
	examples/bus/sensor_stream \
	examples/bus/ticket_triage

if ENABLE_EXAMPLES
noinst_LTLIBRARIES += examples/bus/libexample.la
noinst_PROGRAMS += $(bus_examples)
endif
examples_bus_libexample_la_SOURCES = examples/bus/example.c examples/bus/example.h
examples_bus_libexample_la_CPPFLAGS = $(public_cppflags)

examples_bus_auction_SOURCES = examples/bus/auction.c
examples_bus_auction_CPPFLAGS = $(public_cppflags)
examples_bus_auction_LDADD = examples/bus/libexample.la $(public_ldadd)

examples_bus_etl_SOURCES = examples/bus/etl.c
examples_bus_etl_CPPFLAGS = $(public_cppflags)
examples_bus_etl_LDADD = examples/bus/libexample.la $(public_ldadd)

examples_bus_order_chain_SOURCES = examples/bus/order_chain.c
examples_bus_order_chain_CPPFLAGS = $(public_cppflags)
examples_bus_order_chain_LDADD = examples/bus/libexample.la $(public_ldadd)

examples_bus_order_reactions_SOURCES = examples/bus/order_reactions.c
examples_bus_order_reactions_CPPFLAGS = $(public_cppflags)
examples_bus_order_reactions_LDADD = examples/bus/libexample.la $(public_ldadd)

examples_bus_payment_breaker_SOURCES = examples/bus/payment_breaker.c
examples_bus_payment_breaker_CPPFLAGS = $(public_cppflags)
examples_bus_payment_breaker_LDADD = examples/bus/libexample.la $(public_ldadd)

examples_bus_payment_router_SOURCES = examples/bus/payment_router.c
examples_bus_payment_router_CPPFLAGS = $(public_cppflags)
examples_bus_payment_router_LDADD = examples/bus/libexample.la $(public_ldadd)

examples_bus_sensor_stream_SOURCES = examples/bus/sensor_stream.c
examples_bus_sensor_stream_CPPFLAGS = $(public_cppflags)
examples_bus_sensor_stream_LDADD = examples/bus/libexample.la $(public_ldadd)

examples_bus_ticket_triage_SOURCES = examples/bus/ticket_triage.c
examples_bus_ticket_triage_CPPFLAGS = $(public_cppflags)
examples_bus_ticket_triage_LDADD = examples/bus/libexample.la $(public_ldadd)

EXTRA_DIST += \
	examples/bus/auction.expected \
	examples/bus/etl.expected \
	examples/bus/order_chain.expected \
	examples/bus/order_reactions.expected \
	examples/bus/payment_breaker.expected \
	examples/bus/payment_router.expected \
	examples/bus/sensor_stream.expected \
	examples/bus/ticket_triage.expected
