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
#include <stele/uuid.h>

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

/* The wall clock in ticks; times before 1970 count as 1970. */
static uint64_t read_tick(void)
{
    const int64_t now = stele_time_now();
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

    for (int i = 0; i < 8; i++) {
        uuid.bytes[i] = (uint8_t)(high >> (56 - 8 * i));
        uuid.bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    return uuid;
}

struct stele_uuid stele_uuid_new(void)
{
    uint64_t now;
    uint64_t tick;
    uint64_t tail;

    pthread_once(&fork_once, watch_forks);
    now = read_tick();
    pthread_mutex_lock(&lock);
    advance(now);
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

void stele_uuid_print(const struct stele_uuid *uuid, char text[STELE_UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t offset = 0;

    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (is_hyphen_place(offset))
            text[offset++] = '-';
        text[offset++] = digits[uuid->bytes[i] >> 4];
        text[offset++] = digits[uuid->bytes[i] & 0xF];
    }
    text[offset] = '\0';
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
