/*
 * stele/type.h - describing payloads: one field list, everything else follows.
 *
 * A field list is a macro. From it come the C struct, the checks, the
 * MessagePack and JSON codecs, and the published JSON Schema:
 *
 *     @example type
 *     // in a header
 *     #define MONEY_WITHDRAWN(FIELD, T) \
 *         FIELD(T, INT64, amount, STELE_POSITIVE) \
 *         FIELD(T, OPTIONAL(TEXT), reference, STELE_MAX_LENGTH(35))
 *     STELE_DECLARE(money_withdrawn, MONEY_WITHDRAWN);
 *
 *     // in one .c file
 *     STELE_DEFINE_EVENT(money_withdrawn, "bank.money.withdrawn", 1, MONEY_WITHDRAWN);
 *     @end
 *
 * STELE_DECLARE makes `struct money_withdrawn`, declares its descriptor
 * `money_withdrawn_type`, and makes two typed functions (see stele/message.h):
 * money_withdrawn_message() and money_withdrawn_read().
 *
 * Kinds and what they are in the struct:
 *
 *   kind     C                    MessagePack    JSON
 *   BOOL     bool                 bool           true, false
 *   INT64    int64_t              int            integer
 *   UINT64   uint64_t             int            integer
 *   DOUBLE   double (finite)      float 64       number
 *   TEXT     const char *         str            string; UTF-8 without U+0000
 *   BYTES    struct stele_slice   bin            string in base64 (RFC 4648)
 *   UUID     struct stele_uuid    str (36)       string
 *   TIME     int64_t (clock.h)    int            string of RFC 3339; a number of nanoseconds is read too
 *   STRUCT(name)  struct name     map            object
 *
 * A plain kind is required. OPTIONAL(kind) may be absent: pointers and slices
 * are then NULL (OPTIONAL(STRUCT(x)) is `const struct x *`), numbers, BOOL,
 * TIME and UUID become `struct { value; present; }` (stele_optional_int64 and
 * so on). LIST(kind) is `struct { const KIND *items; size_t count; }`;
 * OPTIONAL(LIST(kind)) is absent when `items` is NULL. A type without fields
 * is written `#define NOTHING(FIELD, T) FIELD(T, NONE, stele_unused)`. ARENA
 * is for states alone (stele/aggregate.h): `stele_arena *`, in no encoding.
 *
 * In MessagePack and JSON a payload is a map keyed by field name. Reading
 * skips names it does not know, gives absent optional fields their "absent"
 * and absent fields with a STELE_DEFAULT their default; an absent required
 * field is an error. An optional field that is absent is not written.
 *
 * Rules stand behind the name, in any number, and are checked when a message
 * is built or read from JSON. On a list, STELE_NON_EMPTY, STELE_MIN_LENGTH
 * and STELE_MAX_LENGTH count items, the others hold for each item. An absent
 * optional value breaks no rule.
 *
 *   STELE_NON_EMPTY               text: not only white space; bytes, lists: not of size 0; UUID: not nil
 *   STELE_MIN(n) STELE_MAX(n)     INT64, TIME; STELE_MIN_UINT, STELE_MAX_UINT; STELE_MIN_DOUBLE, STELE_MAX_DOUBLE
 *   STELE_POSITIVE                INT64, UINT64, DOUBLE: above 0
 *   STELE_NON_NEGATIVE            INT64, DOUBLE: 0 or above
 *   STELE_MIN_LENGTH(n) STELE_MAX_LENGTH(n)   text in code points, bytes in bytes
 *   STELE_ONE_OF("EUR", "USD")    text
 *   STELE_CHECK_INT64(function, "rule in words")   and _UINT64, _DOUBLE, _TEXT, _BYTES, _UUID, _TIME:
 *                                 `bool function(int64_t value)`, for text `bool function(const char *text)`
 *   STELE_DEFAULT(n)              not a rule: the value of a required field that is absent when read; INT64, TIME;
 *                                 _UINT, _DOUBLE, _BOOL, _TEXT for the others
 *
 * Descriptors are constants; everything here is thread-safe.
 */
#ifndef STELE_TYPE_H
#define STELE_TYPE_H

#include <stele/base.h>
#include <stele/error.h>
#include <stele/memory.h>
#include <stele/uuid.h>

#ifdef __cplusplus
extern "C" {
#endif

enum stele_kind {
    STELE_KIND_NONE,  /* the place holder of a type without fields */
    STELE_KIND_ARENA, /* memory of an aggregate's state; no codec sees it */
    STELE_KIND_BOOL,
    STELE_KIND_INT64,
    STELE_KIND_UINT64,
    STELE_KIND_DOUBLE,
    STELE_KIND_TEXT,
    STELE_KIND_BYTES,
    STELE_KIND_UUID,
    STELE_KIND_TIME,
    STELE_KIND_STRUCT
};

enum stele_shape { STELE_SHAPE_ONE, STELE_SHAPE_OPTIONAL, STELE_SHAPE_LIST, STELE_SHAPE_OPTIONAL_LIST };

/* What a type's instances are. */
enum stele_message_kind {
    STELE_PART,    /* a struct inside other types; never a message */
    STELE_EVENT,   /* something that happened */
    STELE_COMMAND, /* something to be done */
    STELE_QUERY,   /* a question */
    STELE_REPLY,   /* the answer to a command or query */
    STELE_STATE    /* the state of an aggregate; never a message */
};

struct stele_optional_bool {
    bool value;
    bool present;
};
struct stele_optional_int64 {
    int64_t value;
    bool present;
};
struct stele_optional_uint64 {
    uint64_t value;
    bool present;
};
struct stele_optional_double {
    double value;
    bool present;
};
struct stele_optional_uuid {
    struct stele_uuid value;
    bool present;
};

struct stele_list_bool {
    const bool *items;
    size_t count;
};
struct stele_list_int64 {
    const int64_t *items;
    size_t count;
};
struct stele_list_uint64 {
    const uint64_t *items;
    size_t count;
};
struct stele_list_double {
    const double *items;
    size_t count;
};
struct stele_list_text {
    const char *const *items;
    size_t count;
};
struct stele_list_bytes {
    const struct stele_slice *items;
    size_t count;
};
struct stele_list_uuid {
    const struct stele_uuid *items;
    size_t count;
};

struct stele_type;

/* The value of a rule or default, read by the field's kind. */
union stele_scalar {
    int64_t int64; /* INT64, TIME */
    uint64_t uint64;
    double real;
    bool boolean;
    const char *text;
};

/* A user's own check, by the field's kind. */
union stele_check {
    bool (*int64)(int64_t value);
    bool (*uint64)(uint64_t value);
    bool (*real)(double value);
    bool (*text)(const char *value);
    bool (*bytes)(struct stele_slice value);
    bool (*uuid)(const struct stele_uuid *value);
    bool (*time)(int64_t value);
};

/* One field: where it is in the struct and what it may hold. */
struct stele_field {
    const char *name;
    enum stele_kind kind;
    enum stele_shape shape;
    size_t offset;                 /* in the struct */
    const struct stele_type *type; /* of STRUCT */
    bool non_empty;
    bool positive;
    bool non_negative;
    bool has_min;
    bool has_max;
    bool has_default;
    size_t min_length;
    size_t max_length; /* 0 = none */
    union stele_scalar min;
    union stele_scalar max;
    union stele_scalar fallback;
    const char *const *one_of; /* NULL at its end */
    union stele_check check;
    const char *check_rule; /* set exactly when `check` is */
};

/* The descriptor of a payload. */
struct stele_type {
    const char *name; /* dotted, explicit and stable: it is stored with every message */
    uint32_t version; /* of the shape, from 1 */
    enum stele_message_kind kind;
    size_t size; /* of the struct */
    const struct stele_field *fields;
    size_t field_count;
    const struct stele_type *parent; /* what wants the parent, gets this too (stele/bus.h); NULL: none */
};

#define STELE_NON_EMPTY .non_empty = true
#define STELE_POSITIVE .positive = true
#define STELE_NON_NEGATIVE .non_negative = true
#define STELE_MIN(n) .has_min = true, .min = {.int64 = (n)}
#define STELE_MAX(n) .has_max = true, .max = {.int64 = (n)}
#define STELE_MIN_UINT(n) .has_min = true, .min = {.uint64 = (n)}
#define STELE_MAX_UINT(n) .has_max = true, .max = {.uint64 = (n)}
#define STELE_MIN_DOUBLE(n) .has_min = true, .min = {.real = (n)}
#define STELE_MAX_DOUBLE(n) .has_max = true, .max = {.real = (n)}
#define STELE_MIN_LENGTH(n) .min_length = (n)
#define STELE_MAX_LENGTH(n) .max_length = (n)
#define STELE_ONE_OF(...) \
    .one_of = (const char *const[]) \
    { \
        __VA_ARGS__, NULL \
    }
#define STELE_CHECK_INT64(function, rule) .check = {.int64 = (function)}, .check_rule = (rule)
#define STELE_CHECK_UINT64(function, rule) .check = {.uint64 = (function)}, .check_rule = (rule)
#define STELE_CHECK_DOUBLE(function, rule) .check = {.real = (function)}, .check_rule = (rule)
#define STELE_CHECK_TEXT(function, rule) .check = {.text = (function)}, .check_rule = (rule)
#define STELE_CHECK_BYTES(function, rule) .check = {.bytes = (function)}, .check_rule = (rule)
#define STELE_CHECK_UUID(function, rule) .check = {.uuid = (function)}, .check_rule = (rule)
#define STELE_CHECK_TIME(function, rule) .check = {.time = (function)}, .check_rule = (rule)
#define STELE_DEFAULT(n) .has_default = true, .fallback = {.int64 = (n)}
#define STELE_DEFAULT_UINT(n) .has_default = true, .fallback = {.uint64 = (n)}
#define STELE_DEFAULT_DOUBLE(n) .has_default = true, .fallback = {.real = (n)}
#define STELE_DEFAULT_BOOL(n) .has_default = true, .fallback = {.boolean = (n)}
#define STELE_DEFAULT_TEXT(n) .has_default = true, .fallback = {.text = (n)}

/* The C type of a kind: as it is, optional, in a list. */
#define STELE__C_NONE char
#define STELE__C_ARENA stele_arena *
#define STELE__C_BOOL bool
#define STELE__C_INT64 int64_t
#define STELE__C_UINT64 uint64_t
#define STELE__C_DOUBLE double
#define STELE__C_TEXT const char *
#define STELE__C_BYTES struct stele_slice
#define STELE__C_UUID struct stele_uuid
#define STELE__C_TIME int64_t
#define STELE__C_STRUCT(name) struct name
#define STELE__C_OPTIONAL(kind) STELE__CO_##kind
#define STELE__C_LIST(kind) STELE__CL_##kind

#define STELE__CO_BOOL struct stele_optional_bool
#define STELE__CO_INT64 struct stele_optional_int64
#define STELE__CO_UINT64 struct stele_optional_uint64
#define STELE__CO_DOUBLE struct stele_optional_double
#define STELE__CO_TEXT const char *
#define STELE__CO_BYTES struct stele_slice
#define STELE__CO_UUID struct stele_optional_uuid
#define STELE__CO_TIME struct stele_optional_int64
#define STELE__CO_STRUCT(name) const struct name *
#define STELE__CO_LIST(kind) STELE__CL_##kind

#define STELE__CL_BOOL struct stele_list_bool
#define STELE__CL_INT64 struct stele_list_int64
#define STELE__CL_UINT64 struct stele_list_uint64
#define STELE__CL_DOUBLE struct stele_list_double
#define STELE__CL_TEXT struct stele_list_text
#define STELE__CL_BYTES struct stele_list_bytes
#define STELE__CL_UUID struct stele_list_uuid
#define STELE__CL_TIME struct stele_list_int64
#define STELE__CL_STRUCT(name) \
    struct { \
        const struct name *items; \
        size_t count; \
    }

/* The description of a kind, in the same three forms. */
#define STELE__K_BOOL .kind = STELE_KIND_BOOL
#define STELE__K_INT64 .kind = STELE_KIND_INT64
#define STELE__K_UINT64 .kind = STELE_KIND_UINT64
#define STELE__K_DOUBLE .kind = STELE_KIND_DOUBLE
#define STELE__K_TEXT .kind = STELE_KIND_TEXT
#define STELE__K_BYTES .kind = STELE_KIND_BYTES
#define STELE__K_UUID .kind = STELE_KIND_UUID
#define STELE__K_TIME .kind = STELE_KIND_TIME
#define STELE__K_STRUCT(name) .kind = STELE_KIND_STRUCT, .type = &name##_type

#define STELE__D_NONE .kind = STELE_KIND_NONE
#define STELE__D_ARENA .kind = STELE_KIND_ARENA
#define STELE__D_BOOL STELE__K_BOOL
#define STELE__D_INT64 STELE__K_INT64
#define STELE__D_UINT64 STELE__K_UINT64
#define STELE__D_DOUBLE STELE__K_DOUBLE
#define STELE__D_TEXT STELE__K_TEXT
#define STELE__D_BYTES STELE__K_BYTES
#define STELE__D_UUID STELE__K_UUID
#define STELE__D_TIME STELE__K_TIME
#define STELE__D_STRUCT(name) STELE__K_STRUCT(name)
#define STELE__D_OPTIONAL(kind) STELE__DO_##kind
#define STELE__D_LIST(kind) .shape = STELE_SHAPE_LIST, STELE__K_##kind

#define STELE__DO_BOOL .shape = STELE_SHAPE_OPTIONAL, STELE__K_BOOL
#define STELE__DO_INT64 .shape = STELE_SHAPE_OPTIONAL, STELE__K_INT64
#define STELE__DO_UINT64 .shape = STELE_SHAPE_OPTIONAL, STELE__K_UINT64
#define STELE__DO_DOUBLE .shape = STELE_SHAPE_OPTIONAL, STELE__K_DOUBLE
#define STELE__DO_TEXT .shape = STELE_SHAPE_OPTIONAL, STELE__K_TEXT
#define STELE__DO_BYTES .shape = STELE_SHAPE_OPTIONAL, STELE__K_BYTES
#define STELE__DO_UUID .shape = STELE_SHAPE_OPTIONAL, STELE__K_UUID
#define STELE__DO_TIME .shape = STELE_SHAPE_OPTIONAL, STELE__K_TIME
#define STELE__DO_STRUCT(name) .shape = STELE_SHAPE_OPTIONAL, STELE__K_STRUCT(name)
#define STELE__DO_LIST(kind) .shape = STELE_SHAPE_OPTIONAL_LIST, STELE__K_##kind

/* FIELD in its three readings. The extra comma lets a field stand without rules. */
#define STELE__MEMBER(...) STELE__MEMBER_(__VA_ARGS__, )
#define STELE__MEMBER_(T, KIND, member, ...) STELE__C_##KIND member;
#define STELE__DESCRIBE(...) STELE__DESCRIBE_(__VA_ARGS__, )
#define STELE__DESCRIBE_(T, KIND, member, ...) \
    {.name = #member, .offset = offsetof(struct T, member), STELE__D_##KIND, __VA_ARGS__},
#define STELE__DEFINE(KIND, T, type_name, type_version, FIELDS) \
    STELE__DEFINE_UNDER(KIND, T, type_name, type_version, FIELDS, NULL)
#define STELE__DEFINE_UNDER(KIND, T, type_name, type_version, FIELDS, PARENT) \
    static const struct stele_field T##_fields[] = {FIELDS(STELE__DESCRIBE, T)}; \
    const struct stele_type T##_type = {.name = type_name, \
                                        .version = type_version, \
                                        .kind = KIND, \
                                        .size = sizeof(struct T), \
                                        .fields = T##_fields, \
                                        .field_count = sizeof(T##_fields) / sizeof(T##_fields[0]), \
                                        .parent = PARENT}

/* The descriptor of a field list, in exactly one .c file; `name` is the C name, `type_name` the stored one. */
#define STELE_DEFINE_EVENT(name, type_name, version, FIELDS) \
    STELE__DEFINE(STELE_EVENT, name, type_name, version, FIELDS)
#define STELE_DEFINE_COMMAND(name, type_name, version, FIELDS) \
    STELE__DEFINE(STELE_COMMAND, name, type_name, version, FIELDS)
#define STELE_DEFINE_QUERY(name, type_name, version, FIELDS) \
    STELE__DEFINE(STELE_QUERY, name, type_name, version, FIELDS)
#define STELE_DEFINE_REPLY(name, type_name, version, FIELDS) \
    STELE__DEFINE(STELE_REPLY, name, type_name, version, FIELDS)
#define STELE_DEFINE_STATE(name, type_name, version, FIELDS) \
    STELE__DEFINE(STELE_STATE, name, type_name, version, FIELDS)
/*
 * An event that is also one of `parent` (a declared type): it has the parent's
 * fields, of the same kinds, and may have more. Routes for the parent get it,
 * and read it as the parent.
 */
#define STELE_DEFINE_EVENT_UNDER(name, type_name, version, FIELDS, parent) \
    STELE__DEFINE_UNDER(STELE_EVENT, name, type_name, version, FIELDS, &parent##_type)
/* A struct used inside others by STRUCT(name). */
#define STELE_DEFINE_STRUCT(name, FIELDS) STELE__DEFINE(STELE_PART, name, #name, 1, FIELDS)
#define STELE_DECLARE_STRUCT(name, FIELDS) \
    struct name { \
        FIELDS(STELE__MEMBER, name) \
    }; \
    extern const struct stele_type name##_type

/*
 * Check a descriptor itself: names present, unique and within limits, rules
 * that fit their kinds, nesting within STELE_NESTING_MAX, a parent of the same kind
 * whose fields are all there, alike. A type may contain
 * itself through OPTIONAL or LIST: its values are bounded instead, to
 * STELE_NESTING_MAX levels of structs and lists, by every function below
 * (STELE_LIMIT). STELE_INVALID names type and field. Building messages relies on it; stele_repository_new() and
 * tests call it.
 */
STELE_API stele_status stele_type_check(const struct stele_type *type, stele_error **error);

/*
 * Check a value against every rule of its type, depth first in field order.
 * STELE_INVALID at the first broken one; the error has "type", "field" (as
 * `lines[2].amount`), "value" and "rule".
 */
STELE_API stele_status stele_value_check(const struct stele_type *type, const void *value, stele_error **error);

/*
 * Encode a value as MessagePack or as JSON (compact, one line). The bytes live
 * in `arena`; JSON has a NUL behind it. STELE_INVALID for text that is not
 * UTF-8, a double that is not finite, a NULL that is required; STELE_LIMIT
 * above STELE_PAYLOAD_MAX. Rules are not checked.
 */
STELE_API stele_status stele_msgpack_encode(const struct stele_type *type, const void *value, stele_arena *arena,
                                            struct stele_slice *out, stele_error **error);
STELE_API stele_status stele_json_encode(const struct stele_type *type, const void *value, stele_arena *arena,
                                         struct stele_slice *out, stele_error **error);

/*
 * Decode a value into `out`, a struct of the type's size. Text and bytes point
 * into the input where they can, everything else into `arena`: both must live
 * as long as the value. STELE_MALFORMED with "offset" for input that is not
 * MessagePack or JSON, is cut short, has bytes behind its end or a key twice;
 * STELE_INVALID with "field" and "rule" for a wrong kind or an absent required
 * field (stele_json_decode checks the rules too); STELE_LIMIT for nesting
 * beyond STELE_NESTING_MAX, size beyond STELE_PAYLOAD_MAX, or lists and
 * optional structs that take more than 16 times that decoded. A nil or null is
 * read as an absent optional field, a UUID also from bin of 16 bytes, a DOUBLE
 * also from an integer. Fields without a place in the type are passed over, text
 * in them unchecked. On failure `out` is undefined.
 */
STELE_API stele_status stele_msgpack_decode(const struct stele_type *type, struct stele_slice bytes, stele_arena *arena,
                                            void *out, stele_error **error);
STELE_API stele_status stele_json_decode(const struct stele_type *type, struct stele_slice text, stele_arena *arena,
                                         void *out, stele_error **error);

/* The JSON Schema (draft 2020-12) of a type, one line, in `arena`, with a NUL behind it. */
STELE_API stele_status stele_json_schema(const struct stele_type *type, stele_arena *arena, struct stele_slice *out,
                                         stele_error **error);

/*
 * A deep copy of a value: `out` and everything it points to, the latter in
 * `arena`, which also becomes the ARENA of a state. STELE_NO_MEMORY,
 * STELE_LIMIT beyond STELE_NESTING_MAX.
 */
STELE_API stele_status stele_value_copy(const struct stele_type *type, const void *value, stele_arena *arena, void *out,
                                        stele_error **error);

/*
 * Payloads without a type: JSON of any shape to MessagePack and back. Integers
 * stay integers (all of int64 and uint64), reals stay reals, the order of keys
 * is kept. From MessagePack, what JSON has no word for (bin, ext, NaN, keys
 * that are not text or have U+0000 in them) is STELE_INVALID.
 * stele_msgpack_is_json() asks first; it is also false for a key that comes
 * twice in a map, which reading the JSON again would refuse, and when memory
 * is out.
 * stele_msgpack_check() tells whether bytes are one well-formed value within
 * the limits, text valid UTF-8 throughout (keys that come twice are not looked
 * for). Errors as for decoding; the JSON that comes out may be longer than
 * STELE_PAYLOAD_MAX.
 */
STELE_API stele_status stele_msgpack_from_json(struct stele_slice text, stele_arena *arena, struct stele_slice *out,
                                               stele_error **error);
STELE_API stele_status stele_json_from_msgpack(struct stele_slice bytes, stele_arena *arena, struct stele_slice *out,
                                               stele_error **error);
STELE_API stele_status stele_msgpack_check(struct stele_slice bytes, stele_error **error);
STELE_API bool stele_msgpack_is_json(struct stele_slice bytes);

#ifdef __cplusplus
}
#endif

#endif
