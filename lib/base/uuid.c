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

/* The digits of each byte. */
static const char hex_digits[] = "000102030405060708090a0b0c0d0e0f"
                                 "101112131415161718191a1b1c1d1e1f"
                                 "202122232425262728292a2b2c2d2e2f"
                                 "303132333435363738393a3b3c3d3e3f"
                                 "404142434445464748494a4b4c4d4e4f"
                                 "505152535455565758595a5b5c5d5e5f"
                                 "606162636465666768696a6b6c6d6e6f"
                                 "707172737475767778797a7b7c7d7e7f"
                                 "808182838485868788898a8b8c8d8e8f"
                                 "909192939495969798999a9b9c9d9e9f"
                                 "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
                                 "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
                                 "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
                                 "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
                                 "e0e1e2e3e4e5e6e7e8e9eaebecedeeef"
                                 "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

static inline void print_byte(uint8_t byte, char digits[2])
{
    memcpy(digits, hex_digits + 2 * (size_t)byte, 2);
}

/* Written out, as compilers make few moves of that and not of loops. */
void stele_uuid_print(const struct stele_uuid *uuid, char text[STELE_UUID_TEXT_SIZE])
{
    const uint8_t *const bytes = uuid->bytes;

    print_byte(bytes[0], text + 0);
    print_byte(bytes[1], text + 2);
    print_byte(bytes[2], text + 4);
    print_byte(bytes[3], text + 6);
    print_byte(bytes[4], text + 9);
    print_byte(bytes[5], text + 11);
    print_byte(bytes[6], text + 14);
    print_byte(bytes[7], text + 16);
    print_byte(bytes[8], text + 19);
    print_byte(bytes[9], text + 21);
    print_byte(bytes[10], text + 24);
    print_byte(bytes[11], text + 26);
    print_byte(bytes[12], text + 28);
    print_byte(bytes[13], text + 30);
    print_byte(bytes[14], text + 32);
    print_byte(bytes[15], text + 34);
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
