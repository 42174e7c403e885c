/*
 * The types that are registered in a store: the stream "$types", folded.
 *
 *     type -> fields, schema -> "stele.type.registered" -> "$types" -> registry
 *
 * A shape may be registered several times, as optional fields come and go: every
 * registration of it agrees with every other.
 */
#ifndef STELE_STORE_REGISTRY_H
#define STELE_STORE_REGISTRY_H

#include <stele/types.h>

#include "base/arena.h"
#include "base/map.h"
#include "base/vector.h"
#include "store/store.h"

/* One registration of a shape; newer ones come first. */
struct stele__registration {
    const char *schema;
    enum stele_message_kind kind;
    const struct stele_stored_field *fields;
    size_t field_count;
    const struct stele__registration *older;
};

/* A shape that is registered, or stored. */
struct stele__known_shape {
    const char *name;
    uint32_t version;
    uint64_t events;                          /* counted by who wants to know */
    const struct stele__registration *newest; /* NULL: it is not registered */
    struct stele__known_shape *sibling;       /* another version of the name */
};

struct stele__registry {
    struct stele_arena arena;
    struct stele__map names;
    struct stele__vector shapes; /* struct stele__known_shape * */
    uint64_t version;            /* of "$types" */
};

void stele__registry_init(struct stele__registry *registry);
void stele__registry_fini(struct stele__registry *registry);

/* Read all that is registered. Errors as stele_read(); STELE_CORRUPT for a registration that cannot be read. */
stele_status stele__registry_load(struct stele__registry *registry, stele_store *store, stele_error **error);

/* A shape, which joins the registry if it is not there; NULL when memory is out. */
struct stele__known_shape *stele__registry_shape(struct stele__registry *registry, struct stele_slice name,
                                                 uint32_t version);

/*
 * Take in a type. `*event` is what must be written, which the caller owns, or
 * NULL if this very schema is registered. STELE_INVALID, naming "type" and
 * "field", if it does not agree with what is registered; STELE_NO_MEMORY.
 */
stele_status stele__registry_add(struct stele__registry *registry, const struct stele_store *store,
                                 const struct stele_type *type, stele_message **event, stele_error **error);

/* The stream of the registrations. */
#define STELE__TYPES_STREAM "$types"

#endif
