/*
 * stele/cloudevents.h - messages as text: the JSON event format of CloudEvents 1.0.2.
 *
 * One message is one JSON object; many are a JSON batch (an array) or one
 * object a line (NDJSON). Members are written in a fixed order without blanks:
 * specversion, id, source, type, subject, time, datacontenttype, dataschema,
 * then stream, streamversion, position (of a stored message), typeversion (if
 * not 1), messagekind (if not an event), correlationid, causationid,
 * traceparent, the user's extensions, then data or data_base64. The same
 * message always gives the same bytes.
 *
 * A MessagePack payload is written as `data`; one that holds something JSON
 * has no word for (bytes, say) as `data_base64` with datacontenttype
 * "application/msgpack" in place of the message's own, and read back from
 * that, without one. Opaque bytes are `data_base64`. CloudEvents integers have 32 bits: a streamversion or
 * position beyond them is written as a string.
 *
 * Reading accepts every valid CloudEvent of anyone and keeps its id, source,
 * type, subject, time and extensions; a missing time becomes the time of
 * reading. It refuses, naming the attribute ("attribute"), whatever the
 * specification's JSON schema and attribute rules call invalid: a missing,
 * empty or wrongly typed attribute, another specversion, a name in upper case,
 * a source or dataschema that is no URI, a time that is not RFC 3339, both data
 * and data_base64, base64 that is none, a nested extension value. Attributes
 * that are null count as absent, as the specification says. `stream` is taken
 * over (stele_message_stream()); `streamversion` and `position` are checked
 * and dropped: a store gives its own. The limits are those of stele/limits.h;
 * names of more than 20 characters, which the specification advises against,
 * are beyond them.
 */
#ifndef STELE_CLOUDEVENTS_H
#define STELE_CLOUDEVENTS_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/memory.h>
#include <stele/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A message as one JSON object on one line, in `arena`, NUL behind it. STELE_CORRUPT if a stored payload cannot be
 * decoded, STELE_NO_MEMORY. A subject that is absent is written as the stream where `subject_from_stream` is set. */
struct stele_cloudevent_options {
    size_t size;
    bool subject_from_stream;
};
STELE_API stele_status stele_cloudevent_encode(const stele_message *message,
                                               const struct stele_cloudevent_options *options, stele_arena *arena,
                                               struct stele_slice *out, stele_error **error);

/*
 * A message from one JSON object. STELE_MALFORMED with "offset" where the text
 * is not JSON or not UTF-8, STELE_INVALID with "attribute", STELE_LIMIT. The
 * caller owns one reference. `payload_limit` as in stele_message_options.
 */
STELE_API stele_status stele_cloudevent_decode(struct stele_slice json, size_t payload_limit, stele_message **out,
                                               stele_error **error);

/* Messages as a JSON batch (RFC: application/cloudevents-batch+json) in `arena`. Options as above. */
STELE_API stele_status stele_cloudevents_encode(const stele_message *const *messages, size_t count,
                                                const struct stele_cloudevent_options *options, stele_arena *arena,
                                                struct stele_slice *out, stele_error **error);

/*
 * Messages from a JSON batch, or from a single object. The array is in
 * `arena`; the caller owns one reference to each message. On failure there are
 * none; the error has the index of the bad one as "index".
 */
STELE_API stele_status stele_cloudevents_decode(struct stele_slice json, size_t payload_limit, stele_arena *arena,
                                                stele_message ***out, size_t *count, stele_error **error);

/*
 * Step through the lines of NDJSON text: takes the next line that is not blank
 * off `*rest` into `*line` (without its end, LF or CRLF), counts every line
 * passed in `*number` (starts at 0); false at the end.
 */
STELE_API bool stele_ndjson_next(struct stele_slice *rest, struct stele_slice *line, uint64_t *number);

#ifdef __cplusplus
}
#endif

#endif
