/*
 * Spans of W3C Trace Context (https://www.w3.org/TR/trace-context/).
 *
 *     traceparent:  00 - 32 digits of the trace - 16 of the span that sent it - 2 of flags
 *
 * The id of a call's span is computed from the number of the call, so that what
 * its handler publishes can name it while it runs, and the observer when it is
 * over, without either asking the other.
 */
#ifndef STELE_BUS_SPANS_H
#define STELE_BUS_SPANS_H

#include "bus/observers.h"

enum { STELE__TRACE_SIZE = 33, STELE__SPAN_SIZE = 17, STELE__TRACEPARENT_SIZE = 56 }; /* with a NUL */

/* Parts of a traceparent; absent if it is, or is malformed. */
struct stele_slice stele__traceparent_trace(struct stele_slice traceparent);
struct stele_slice stele__traceparent_parent(struct stele_slice traceparent);

/* The trace of a message: of its traceparent, or else one made from the correlation id or id: the same for all that hear
 * of the message, and for all that follows from it. */
void stele__trace_id(const stele_message *message, char text[STELE__TRACE_SIZE]);

void stele__span_id(uint64_t salt, uint64_t call, char text[STELE__SPAN_SIZE]);

/* The traceparent of what a call that handles `cause` publishes; false if nobody wants spans: then it is the cause's. */
bool stele__span_traceparent(const struct stele__observers *observers, const stele_message *cause, uint64_t call,
                             char text[STELE__TRACEPARENT_SIZE]);

stele_status stele__spans_new(struct stele__observers *observers, stele_span_end *end, void *context,
                              stele_error **error);

#endif
