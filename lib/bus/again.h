/* Messages made of others: published once more, or in the place of one. */
#ifndef STELE_BUS_AGAIN_H
#define STELE_BUS_AGAIN_H

#include <stele/message.h>
#include <stele/runtime.h>

/* A new UUID of version 7 (RFC 9562); in a simulation of virtual time and random numbers of its seed. */
struct stele_uuid stele__new_id(stele_runtime *runtime, int64_t time);

struct stele__again {
    const char *type;             /* another type of the same shape; NULL: the same */
    enum stele_message_kind kind; /* of that type */
    const char *source;           /* NULL: the original's */
    const char *traceparent;      /* NULL: that of the cause */
    /* What it follows from, whose extensions it takes over. NULL: what the original did; the members above are not
     * looked at then. */
    const stele_message *cause;
    /* What the original followed from: extensions that it had from there are left behind. NULL: it keeps all. */
    const stele_message *former_cause;
};

/*
 * The message again, with a new id and the runtime's time, not stored anywhere.
 * Extensions of the cause beyond STELE_EXTENSIONS_MAX in all are left behind.
 * STELE_INVALID and STELE_LIMIT for a type that is no name; STELE_NO_MEMORY.
 */
stele_status stele__message_again(stele_runtime *runtime, const stele_message *original, const struct stele__again *how,
                                  stele_message **out, stele_error **error);

#endif
