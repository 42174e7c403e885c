/* Messages as records and back. Neither direction copies or allocates. */
#ifndef STELE_STORE_RECORD_H
#define STELE_STORE_RECORD_H

#include <stele/spi/store.h>

#include "message/message.h"

/* The record of a message for `stream` (NUL-terminated). Its slices are the message's. */
void stele__record_from_message(const stele_message *message, struct stele_slice stream, struct stele_record *out);

/*
 * Fill `out` as a lent message whose slices are the record's. STELE_CORRUPT,
 * with "position", if the record's attributes are not what a message can have.
 */
stele_status stele__record_to_message(const struct stele_record *record, stele_message *out, stele_error **error);

/* Do both have the same id? */
bool stele__record_same_id(const struct stele_record *left, const struct stele_record *right);

/* The id as text: that of the record, or its UUID printed into `text`. */
struct stele_slice stele__record_id(const struct stele_record *record, char text[STELE_UUID_TEXT_SIZE]);

/* The id's bytes, as the key of a map. A UUID and a text may have the same ones: keep them in two maps. */
struct stele_slice stele__record_id_bytes(const struct stele_record *record);

#endif
