/*
 * stele/types.h - the types of a store: which shapes are in it, and whether the program can read them.
 *
 * A program registers the types it writes. Their fields then stand in the
 * store, in events of the library's own stream "$types", where other programs
 * and `stele schema` find them, and a program that would write another shape
 * under the same name and version is stopped before its first event.
 *
 *     @example types
 *     #define PARCEL_SENT(FIELD, T) FIELD(T, TEXT, parcel) FIELD(T, OPTIONAL(TEXT), carrier)
 *     STELE_DECLARE(parcel_sent, PARCEL_SENT);
 *     STELE_DEFINE_EVENT(parcel_sent, "parcel.sent", 1, PARCEL_SENT);
 *
 *     static const struct stele_type *const types[] = {&parcel_sent_type};
 *
 *     stele_status start(stele_store *store, stele_error **error)
 *     {
 *         stele_status status = stele_types_check(store, types, 1, error); // is there anything we cannot read?
 *         return status == STELE_OK ? stele_types_register(store, types, 1, error) : status;
 *     }
 *     @end
 *
 * All of this is thread-safe.
 */
#ifndef STELE_TYPES_H
#define STELE_TYPES_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/store.h>
#include <stele/type.h>
#include <stele/upcast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A field of a registered type, or of a struct in it. */
struct stele_stored_field {
    const char *part; /* the struct it is a field of; "" for the type itself */
    const char *name;
    const char *kind; /* as in a field list, in small letters: "int64", "list of text", "struct line" */
    bool is_required; /* neither optional nor with a default */
};

/* One shape that is stored, or registered. Lent for the visit. */
struct stele_stored_type {
    const char *name;
    uint32_t version;
    enum stele_message_kind kind;            /* EVENT where it is not registered */
    uint64_t events;                         /* stored in this shape */
    const char *schema;                      /* JSON Schema it was registered with last; NULL: it was not */
    const struct stele_stored_field *fields; /* of that registration */
    size_t field_count;
    bool is_reachable;   /* all that it becomes with the store's upcasters is registered */
    const char *becomes; /* the name of what it becomes, and its version; its own if it stays */
    uint32_t becomes_version;
};

/*
 * Register the shapes a program writes. STELE_OK, with nothing written, if they
 * are there already. STELE_INVALID, naming "type" and "field", if a type was
 * registered in the same version with a shape that would break its readers or
 * its writers: a field of another kind, a required field that appears or
 * disappears (optional fields may come and go); nothing is registered then.
 * STELE_READ_ONLY if there is something to write, and errors as stele_append_batch().
 */
STELE_API stele_status stele_types_register(stele_store *store, const struct stele_type *const *types, size_t count,
                                            stele_error **error);

/*
 * Call `visit` for each shape that is stored or registered, by name and
 * version, until it returns false; it must not call the store. The library's own
 * types (their names begin with "stele.") are left out. Looks at every event.
 * Errors as stele_read().
 */
typedef bool stele_stored_type_visit(void *context, const struct stele_stored_type *type);
STELE_API stele_status stele_types_visit(stele_store *store, stele_stored_type_visit *visit, void *context,
                                         stele_error **error);

/*
 * Is every stored shape one that the program knows, or on the way to one? The
 * shapes known are those of `types`. STELE_UNKNOWN_TYPE if one is not: the
 * message names the first of them with their numbers of events, "count" says
 * how many they are. Errors as stele_types_visit().
 */
STELE_API stele_status stele_types_check(stele_store *store, const struct stele_type *const *types, size_t count,
                                         stele_error **error);

#ifdef __cplusplus
}
#endif

#endif
