/*
 * Showing events: a table for people, or one CloudEvent a line.
 */
#ifndef STELE_TOOLS_EVENTS_H
#define STELE_TOOLS_EVENTS_H

#include <stele.h>

struct events;

/* Begin to show events on standard output. */
struct events *events_new(bool json);

/* Show one more. STELE_CORRUPT if its payload cannot be decoded. A failed write shows in events_flush(). */
stele_status events_show(struct events *events, const stele_message *event, stele_error **error);

/* Write what is kept back; false when output has failed. */
bool events_flush(struct events *events);

/* NULL is allowed. */
void events_free(struct events *events);

/* The payload as compact JSON, or, if it is none, a note in angle brackets of what it is; in `arena`. */
stele_status events_payload(const stele_message *event, stele_arena *arena, struct stele_slice *out,
                            stele_error **error);

/* One CloudEvent, and `end` behind it, on standard output; on a terminal with control characters escaped. */
stele_status events_json(const stele_message *event, stele_arena *arena, const char *end, stele_error **error);
/* The same with a line feed as `end`. */
stele_status events_json_line(const stele_message *event, stele_arena *arena, stele_error **error);

#endif
