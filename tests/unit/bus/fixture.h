/*
 * A bus for tests of its core: simulated or with threads; messages of one shape
 * under any name and kind; a recorder of what was handled, in order.
 */
#ifndef STELE_TESTS_UNIT_BUS_FIXTURE_H
#define STELE_TESTS_UNIT_BUS_FIXTURE_H

#include "tests/support/support.h"

#include <stele/bus.h>
#include <stele/intercept.h>

#define MS INT64_C(1000000)

#define NOTE(FIELD, T) FIELD(T, TEXT, text) FIELD(T, INT64, number)
STELE_DECLARE(note, NOTE); /* the event "note.taken" */
STELE_DECLARE(ask, NOTE);  /* the query "note.ask" */
STELE_DECLARE(put, NOTE);  /* the command "note.put" */
STELE_DECLARE(told, NOTE); /* the reply "note.told" */

extern stele_runtime *fixture_runtime;
extern stele_bus *fixture_bus;

/* Setup and teardown on a simulation, with the leak checks of support.h. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
#define fixture_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
/* The same with two worker threads. */
int fixture_setup_threads(void **state);
#define fixture_thread_test(name) cmocka_unit_test_setup_teardown(name, fixture_setup_threads, fixture_teardown)

/* Another bus in the place of the first one. */
void fixture_renew(const struct stele_bus_options *options);

/* A message of any name; the caller owns it. */
stele_message *fixture_message(enum stele_message_kind kind, const char *type, const char *text, int64_t number);
stele_message *fixture_event(const char *type);
/* Publish one and forget it; returns the routes reached. */
size_t fixture_publish(const char *type);
/* Run what is ready, as far as time does not have to pass. */
void fixture_run(void);

stele_route_id fixture_add(const struct stele_route *route, void *resource);
/* The same with a word as the resource. */
stele_route_id fixture_add_as(const struct stele_route *route, const char *tag);
void *fixture_tag(const char *tag);

/* A handler that writes its resource, a string, and the number of the message down: "a1 b1 a2". */
stele_status fixture_record(void *resource, const stele_message *message, stele_context *context);
/* The same, and fails with STELE_FAILED and the text "broken". */
stele_status fixture_break(void *resource, const stele_message *message, stele_context *context);
/* What was written down since the last call; valid until the next one. */
const char *fixture_recorded(void);
/* Write a word down, as if a handler had. */
void fixture_write(const char *word);

/* The stats of a route. */
struct stele_route_stats fixture_stats(const char *route);

#endif
