/*
 * The command ledger as the front and the repository see it: what is
 * remembered of a command, how one that comes again is answered.
 */
#ifndef STELE_STORE_LEDGER_H
#define STELE_STORE_LEDGER_H

#include "store/store.h"

enum { STELE__DIGEST_SIZE = sizeof(((struct stele_command_record *)0)->digest) };

/*
 * The digest of what a command says: its type, type version and payload. XXH3,
 * 128 bits: it tells commands apart, not forgeries.
 */
void stele__command_digest(const stele_message *command, uint8_t out[STELE__DIGEST_SIZE]);

/* Let a digest cover one more command, and the stream it is for. A digest begins as zeros. */
void stele__command_digest_add(const char *stream, const stele_message *command, uint8_t digest[STELE__DIGEST_SIZE]);

/* What is to be remembered of a command; its slices are the message's. `digest`: NULL for the command's own. */
void stele__command_record(const stele_message *command, const uint8_t *digest, struct stele_command_record *out);

/*
 * Answer a command that was remembered. STELE_OK with the first outcome, marked
 * as replayed; STELE_REJECTED with the first text; STELE_ID_REUSE for another
 * command.
 */
stele_status stele__command_answer(const struct stele_command_record *given, const struct stele_command_record *stored,
                                   struct stele_appended *result, stele_error **error);

/* Look a command up, and answer it if it was handled before, as above; if not, `*replayed` is false and all is well. */
stele_status stele__store_replay(stele_store *store, const struct stele_command_record *given,
                                 struct stele_appended *result, bool *replayed, stele_error **error);

#endif
