/*
 * Identifiers: UUIDs of RFC 9562, new ones of version 7.
 *
 *     | milliseconds, 48 | 7 | fraction of it, 12 | 2 | random, then counting, 62 |
 *     '-------- tick, 60 bits -------'                '--------- tail -----------'
 *
 * A tick is 1/4096 ms. Where the clock has reached a later millisecond than the
 * last id's, the tail is random anew. Otherwise (more ids within a millisecond,
 * or a clock that stepped back) it grows by a random step and the tick never
 * falls; when the tail would overflow, the tick advances by one and the tail
 * is random anew. So (tick, tail), and with them the bytes, always increase.
 *
 * Random bytes come from libuuid's version 4 UUIDs, whose 14 bytes without
 * version and variant bits are used; steps come from a generator seeded with
 * them, as a step per id from libuuid would cost a system call or two.
 *
 * A child of fork() has the parent's last id and seed; it starts with the next
 * tick, a new tail and a new seed. Nothing here can fail.
 */
#include "base/uuid.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"

#include <pthread.h>
#include <string.h>
#include <uuid/uuid.h>

#define TAIL_MASK ((UINT64_C(1) << 62) - 1)
#define NANOS_PER_MS INT64_C(1000000)
enum { TICK_BITS = 12 };

/* Guarded by `lock`, but for the child of a fork, which has one thread. */
static struct {
    bool is_seeded;
    uint64_t tick; /* of the last id */
    uint64_t tail;
    uint64_t steps; /* state of the generator of steps */
} last;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
    last.is_seeded = false;
    pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* Most significant byte first. Written out, as compilers make one instruction of that and not of a loop. */
static inline void store_big_endian(uint64_t number, uint8_t bytes[8])
{
    bytes[0] = (uint8_t)(number >> 56);
    bytes[1] = (uint8_t)(number >> 48);
    bytes[2] = (uint8_t)(number >> 40);
    bytes[3] = (uint8_t)(number >> 32);
    bytes[4] = (uint8_t)(number >> 24);
    bytes[5] = (uint8_t)(number >> 16);
    bytes[6] = (uint8_t)(number >> 8);
    bytes[7] = (uint8_t)number;
}

static uint64_t load_u64(const uint8_t bytes[8])
{
    uint64_t number;

    memcpy(&number, bytes, sizeof(number));
    return number;
}

/* 112 random bits as two numbers; bytes 6 and 8 of a version 4 UUID hold its version and variant. */
static void read_random(uint64_t *first, uint64_t *second)
{
    uuid_t random;
    uint8_t bytes[16];

    uuid_generate_random(random);
    memcpy(bytes, random, 6);
    bytes[6] = random[7];
    memcpy(bytes + 7, random + 9, 7);
    bytes[14] = bytes[15] = 0;
    *first = load_u64(bytes);
    *second = load_u64(bytes + 8);
}

uint64_t stele__random(void)
{
    uint64_t first;
    uint64_t second;

    read_random(&first, &second);
    return first;
}

/* Half of the tail's range is left to count in. */
static void renew_tail(void)
{
    uint64_t more;

    read_random(&last.tail, &more);
    last.tail &= TAIL_MASK >> 1;
    last.steps ^= more;
}

/* A step of 1 to 2^32. */
static uint64_t next_step(void)
{
    return (stele__random_next(&last.steps) >> 32) + 1;
}

/* A time in ticks; those before 1970 count as 1970. */
static uint64_t tick_of(int64_t now)
{
    const uint64_t nanos = now > 0 ? (uint64_t)now : 0;
    const uint64_t fraction = (nanos % NANOS_PER_MS << TICK_BITS) / NANOS_PER_MS;

    return (nanos / NANOS_PER_MS) << TICK_BITS | fraction;
}

/* Move `last` to the next id. */
static void advance(uint64_t now)
{
    const uint64_t step = next_step();

    if (!last.is_seeded) {
        last.is_seeded = true;
        last.tick = now > last.tick ? now : last.tick + 1;
        renew_tail();
    } else if (now >> TICK_BITS > last.tick >> TICK_BITS) {
        last.tick = now;
        renew_tail();
    } else if (step > TAIL_MASK - last.tail) {
        last.tick = now > last.tick ? now : last.tick + 1;
        renew_tail();
    } else {
        last.tick = now > last.tick ? now : last.tick;
        last.tail += step;
    }
}

static struct stele_uuid compose(uint64_t tick, uint64_t tail)
{
    const uint64_t high = (tick >> TICK_BITS) << 16 | UINT64_C(7) << 12 | (tick & ((1 << TICK_BITS) - 1));
    const uint64_t low = UINT64_C(2) << 62 | tail;
    struct stele_uuid uuid;

    store_big_endian(high, uuid.bytes);
    store_big_endian(low, uuid.bytes + 8);
    return uuid;
}

struct stele_uuid stele_uuid_new(void)
{
    return stele__uuid_new_at(stele_time_now());
}

struct stele_uuid stele__uuid_new_at(int64_t now)
{
    uint64_t tick;
    uint64_t tail;

    pthread_once(&fork_once, watch_forks);
    pthread_mutex_lock(&lock);
    advance(tick_of(now));
    tick = last.tick;
    tail = last.tail;
    pthread_mutex_unlock(&lock);
    return compose(tick, tail);
}

struct stele_uuid stele_uuid_derive(const struct stele_uuid *name_space, struct stele_slice name)
{
    struct stele_uuid uuid;

    uuid_generate_sha1(uuid.bytes, name_space->bytes, name.data, name.size);
    return uuid;
}

/* True for the places of the hyphens in 8-4-4-4-12 digits. */
static bool is_hyphen_place(size_t offset)
{
    return offset == 8 || offset == 13 || offset == 18 || offset == 23;
}

/*
 * Print four bytes as eight hexadecimal digits, all at once: each nibble to a
 * byte of its own, then up to '0', and those above 9, which 6 more carry into
 * bit 4, on to 'a'.
 */
static void print_hex(const uint8_t bytes[4], uint8_t digits[8])
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t number = (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];

    number = (number | number << 16) & UINT64_C(0x0000FFFF0000FFFF);
    number = (number | number << 8) & UINT64_C(0x00FF00FF00FF00FF);
    number = (number | number << 4) & ones * 0x0F;
    number += ones * '0' + ((number + ones * 6) >> 4 & ones) * ('a' - '0' - 10);
    store_big_endian(number, digits);
}

void stele_uuid_print(const struct stele_uuid *uuid, char text[STELE_UUID_TEXT_SIZE])
{
    uint8_t digits[2 * sizeof(uuid->bytes)];

    for (size_t i = 0; i < sizeof(uuid->bytes); i += 4)
        print_hex(uuid->bytes + i, digits + 2 * i);
    memcpy(text, digits, 8);
    memcpy(text + 9, digits + 8, 4);
    memcpy(text + 14, digits + 12, 4);
    memcpy(text + 19, digits + 16, 4);
    memcpy(text + 24, digits + 20, 4); /* as it was stored: what is read across two stores waits for both */
    memcpy(text + 28, digits + 24, 8);
    text[8] = text[13] = text[18] = text[23] = '-';
    text[STELE_UUID_TEXT_SIZE - 1] = '\0';
}

static stele_status fail_uuid(size_t offset, const char *expected, stele_error **error)
{
    stele__fail(error, STELE_MALFORMED, "not a UUID: %s expected at offset %zu", expected, offset);
    stele__error_add(error, "offset", "%zu", offset);
    return STELE_MALFORMED;
}

stele_status stele_uuid_parse(struct stele_slice text, struct stele_uuid *out, stele_error **error)
{
    enum { LENGTH = STELE_UUID_TEXT_SIZE - 1 };
    struct stele_uuid uuid = {{0}};
    size_t nibbles = 0;

    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    for (size_t i = 0; i < LENGTH; i++) {
        const char character = i < text.size ? text.data[i] : '\0';
        const int value = stele__hex_digit(character);

        if (is_hyphen_place(i)) {
            if (character != '-')
                return fail_uuid(i, "a hyphen", error);
            continue;
        }
        if (value < 0)
            return fail_uuid(i, "a hexadecimal digit", error);
        uuid.bytes[nibbles / 2] |= (uint8_t)(nibbles % 2 ? value : value << 4);
        nibbles++;
    }
    if (text.size > LENGTH)
        return fail_uuid(LENGTH, "the end", error);
    *out = uuid;
    return STELE_OK;
}

int stele_uuid_compare(const struct stele_uuid *left, const struct stele_uuid *right)
{
    return memcmp(left->bytes, right->bytes, sizeof(left->bytes));
}
