/* Types and values that the tests of codecs share: every kind in every shape, with a value that has all of it. */
#ifndef STELE_TESTS_UNIT_MESSAGE_SAMPLES_H
#define STELE_TESTS_UNIT_MESSAGE_SAMPLES_H

#include <stele/type.h>

#define SAMPLE_PART(FIELD, T) FIELD(T, INT64, number) FIELD(T, OPTIONAL(TEXT), word)
STELE_DECLARE_STRUCT(sample_part, SAMPLE_PART);
STELE_DEFINE_STRUCT(sample_part, SAMPLE_PART);

#define SAMPLE_SHAPES(FIELD, T, KIND, name) \
    FIELD(T, KIND, name) \
    FIELD(T, OPTIONAL(KIND), name##_optional) \
    FIELD(T, LIST(KIND), name##_list) \
    FIELD(T, OPTIONAL(LIST(KIND)), name##_optional_list)

#define SAMPLE_EVERY(FIELD, T) \
    SAMPLE_SHAPES(FIELD, T, BOOL, yes) \
    SAMPLE_SHAPES(FIELD, T, INT64, integer) \
    SAMPLE_SHAPES(FIELD, T, UINT64, natural) \
    SAMPLE_SHAPES(FIELD, T, DOUBLE, real) \
    SAMPLE_SHAPES(FIELD, T, TEXT, text) \
    SAMPLE_SHAPES(FIELD, T, BYTES, bytes) \
    SAMPLE_SHAPES(FIELD, T, UUID, uuid) \
    SAMPLE_SHAPES(FIELD, T, TIME, time) \
    SAMPLE_SHAPES(FIELD, T, STRUCT(sample_part), part)
STELE_DECLARE_STRUCT(sample_every, SAMPLE_EVERY);
STELE_DEFINE_STRUCT(sample_every, SAMPLE_EVERY);

#define SAMPLE_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SAMPLE_LIST(array) \
    { \
        (array), SAMPLE_COUNT(array) \
    }

static const bool sample_yeses[] = {true, false, true};
static const int64_t sample_integers[] = {INT64_MIN, -129, -128, -33, -32, -1, 0, 127, 128, 65536, INT64_MAX};
static const uint64_t sample_naturals[] = {0, 255, 256, UINT32_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX};
static const double sample_reals[] = {0.0, -0.0, 0.1, -1.5, 1e300, 5e-324};
static const char *const sample_texts[] = {"", "a", "Z\xc3\xbcrich \xf0\x9f\x8f\xa6", "\"\\\b\f\n\r\t\x01 /"};
static const struct stele_slice sample_slices[] = {{"", 0}, {"\x00\xff", 2}, {"bytes", 5}};
static const struct stele_uuid sample_uuids[] = {
    {{0x01, 0x8f, 0x2a, 0x3b, 0x4c, 0x5d, 0x7e, 0x6f, 0x80, 0x91, 0xa2, 0xb3, 0xc4, 0xd5, 0xe6, 0xf7}}, {{0}}};
static const int64_t sample_times[] = {0, INT64_C(1795253400000000000), INT64_C(1795253400123456789)};
static const struct sample_part sample_parts[] = {{1, NULL}, {2, "two"}};

/* Everything present; sample_every's optional fields left out give the other extreme. */
static const struct sample_every sample_full = {
    .yes = true,
    .yes_optional = {true, true},
    .yes_list = SAMPLE_LIST(sample_yeses),
    .yes_optional_list = SAMPLE_LIST(sample_yeses),
    .integer = -5,
    .integer_optional = {INT64_MIN, true},
    .integer_list = SAMPLE_LIST(sample_integers),
    .integer_optional_list = SAMPLE_LIST(sample_integers),
    .natural = 5,
    .natural_optional = {UINT64_MAX, true},
    .natural_list = SAMPLE_LIST(sample_naturals),
    .natural_optional_list = SAMPLE_LIST(sample_naturals),
    .real = 0.5,
    .real_optional = {-0.0, true},
    .real_list = SAMPLE_LIST(sample_reals),
    .real_optional_list = SAMPLE_LIST(sample_reals),
    .text = "text",
    .text_optional = "",
    .text_list = SAMPLE_LIST(sample_texts),
    .text_optional_list = SAMPLE_LIST(sample_texts),
    .bytes = {"\x01\x02", 2},
    .bytes_optional = {"", 0},
    .bytes_list = SAMPLE_LIST(sample_slices),
    .bytes_optional_list = SAMPLE_LIST(sample_slices),
    .uuid_optional = {{{1}}, true},
    .uuid_list = SAMPLE_LIST(sample_uuids),
    .uuid_optional_list = SAMPLE_LIST(sample_uuids),
    .time = INT64_C(1795253400000000000),
    .time_optional = {INT64_MIN, true},
    .time_list = SAMPLE_LIST(sample_times),
    .time_optional_list = SAMPLE_LIST(sample_times),
    .part = {-7, "seven"},
    .part_optional = &sample_parts[1],
    .part_list = SAMPLE_LIST(sample_parts),
    .part_optional_list = SAMPLE_LIST(sample_parts),
};

/* Nothing but what is required, lists empty. */
static const struct sample_every sample_least = {.text = "", .bytes = {"", 0}};

#endif
