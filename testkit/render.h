/* Values as JSON, one field a line. */
#ifndef TESTKIT_RENDER_H
#define TESTKIT_RENDER_H

#include <stele/error.h>
#include <stele/type.h>

#include "testkit/lines.h"

/*
 * Add an event as `{"its.type": {..}},` or a state as `"state": {..}`. What is
 * absent, in a state also a text that was never set, is null. A field that no
 * JSON can say (text that is not UTF-8, a double that is not finite) is a line that
 * says why; the status is then that of the first such field. STELE_NO_MEMORY.
 */
stele_status stele__kit_render_event(struct lines *lines, const struct stele_type *type, const void *event);
stele_status stele__kit_render_state(struct lines *lines, const struct stele_type *type, const void *state);

/* Add the `]` behind a list of events. */
void stele__kit_close_list(struct lines *lines);

/* Add `"name": "text"`. */
stele_status stele__kit_render_text(struct lines *lines, const char *name, const char *text);

#endif
