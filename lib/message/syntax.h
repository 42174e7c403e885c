/* The forms that attributes must have, one predicate each. Texts are not empty unless said otherwise. */
#ifndef STELE_MESSAGE_SYNTAX_H
#define STELE_MESSAGE_SYNTAX_H

#include <stele/base.h>

/* The String type of CloudEvents 1.0.2, which may be empty: UTF-8 without U+0000-001F, U+007F-009F and noncharacters;
 * else *offset is the first bad byte. */
bool stele__is_string(struct stele_slice text, size_t *offset);

/* Only printable ASCII, as most text is: quicker to tell, and such a text is a String. */
bool stele__is_printable(struct stele_slice text);

/* RFC 3986: a URI (scheme first; a fragment is allowed), or a URI or relative reference. */
bool stele__is_uri(struct stele_slice text);
bool stele__is_uri_reference(struct stele_slice text);

/* RFC 2045 section 5.1: type "/" subtype, then parameters. */
bool stele__is_media_type(struct stele_slice text);

/* W3C Trace Context: version-traceid-parentid-flags in lower-case hex. */
bool stele__is_traceparent(struct stele_slice text);

#endif
