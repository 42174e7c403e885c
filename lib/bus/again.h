/* Messages made of others: published once more, or in the place of one. */
#ifndef STELE_BUS_AGAIN_H
#define STELE_BUS_AGAIN_H

#include <stele/message.h>

struct stele__again {
    const char *type;           /* another type of the same shape; NULL: the same */
    int64_t time;               /* of the new message */
    const stele_message *cause; /* what it follows from, whose extensions it takes over; NULL: what the original did */
    /* What the original followed from: extensions that it had from there are left behind. NULL: it keeps all. */
    const stele_message *former_cause;
};

/*
 * The message again, with a new id, not stored anywhere. Extensions of the
 * cause beyond STELE_EXTENSIONS_MAX in all are left behind. STELE_INVALID and
 * STELE_LIMIT for a type that is no name; STELE_NO_MEMORY.
 */
stele_status stele__message_again(const stele_message *original, const struct stele__again *how, stele_message **out,
                                  stele_error **error);

/* A message's extensions, at most STELE_EXTENSIONS_MAX; returns how many. They live as long as the message. */
size_t stele__message_extensions(const stele_message *message, struct stele_extension *out);

#endif
