/*
 * Walking a write-ahead log frame by frame, to tell a torn end from damage.
 *
 *     header 32 bytes: magic, format, page size, checkpoint number, salt 1, salt 2, checksum (2 words) of the 24 before
 *     frame  24 bytes: page number, pages after commit (0: no commit), salts, checksum (2 words); then the page
 *
 * Each checksum goes on from that of the frame before, so SQLite ignores all
 * behind the first frame that does not fit. That is right for a torn end, where
 * nothing whole follows. Whole commits behind it mean that a frame was damaged
 * later: the walk goes on there, starting each frame's chain from what its
 * predecessor says, and counts them. Sizes in the file are never trusted.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

enum {
    HEADER = 32,
    FRAME = 24,
    MAGIC = 0x377f0682, /* the lowest bit says in which byte order the checksums are summed up */
    FORMAT = 3007000,
    PAGE_MIN = 512,
    PAGE_MAX = 65536
};

struct sum {
    uint32_t first, second;
};

/* A log on its way. */
struct walk {
    struct sqlite_wal_source *source;
    size_t page;
    bool big_endian;
    unsigned char salts[8];
    struct sum computed; /* the chain as the bytes give it */
    struct sum stated;   /* the checksum that the frame before carries */
    unsigned char *frame;
};

static uint32_t get32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t get32_little(const unsigned char *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/* SQLite's checksum: `size` is a multiple of 8. */
static struct sum add(struct sum sum, const unsigned char *bytes, size_t size, bool big_endian)
{
    for (size_t i = 0; i < size; i += 8) {
        sum.first += (big_endian ? get32(bytes + i) : get32_little(bytes + i)) + sum.second;
        sum.second += (big_endian ? get32(bytes + i + 4) : get32_little(bytes + i + 4)) + sum.first;
    }
    return sum;
}

static struct sum read_sum(const unsigned char *bytes)
{
    return (struct sum){get32(bytes), get32(bytes + 4)};
}

static bool equal(struct sum left, struct sum right)
{
    return left.first == right.first && left.second == right.second;
}

static bool is_page_size(size_t size)
{
    return size >= PAGE_MIN && size <= PAGE_MAX && (size & (size - 1)) == 0;
}

/* Take the header; false if it is damaged, and then a store's usual values are assumed. */
static bool read_header(struct walk *walk, const unsigned char header[HEADER])
{
    const struct sum start = {0, 0};
    const uint32_t magic = get32(header);
    const size_t page = get32(header + 8);
    bool sound;

    walk->big_endian = magic & 1;
    walk->computed = add(start, header, 24, walk->big_endian);
    walk->stated = read_sum(header + 24);
    sound = (magic & ~1U) == MAGIC && get32(header + 4) == FORMAT && is_page_size(page) &&
            equal(walk->computed, walk->stated);
    walk->page = sound ? page : SQLITE_STORE_PAGE;
    memcpy(walk->salts, header + 16, sizeof(walk->salts));
    return sound;
}

/*
 * Behind a damaged header the first frame may know the salts better, if they
 * are nearly the same. If they are quite others, the header was torn while the
 * log began anew, and the frames are of before: they are in the database.
 */
static void mend_salts(struct walk *walk)
{
    unsigned char salts[sizeof(walk->salts)];
    size_t different = 0;

    if (!walk->source->read(walk->source->context, salts, sizeof(salts), HEADER + 8))
        return;
    for (size_t i = 0; i < sizeof(salts); i++)
        different += salts[i] != walk->salts[i];
    if (different == 1)
        memcpy(walk->salts, salts, sizeof(salts));
}

static void subtract32(unsigned char *bytes, uint32_t step)
{
    const uint32_t value = get32(bytes) - step;

    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* The header is an old one, but for its number and perhaps its first salt, which have gone up by these. */
static bool is_old_header(const unsigned char header[HEADER], uint32_t number_step, uint32_t salt_step)
{
    const struct sum start = {0, 0};
    unsigned char old[24];

    memcpy(old, header, sizeof(old));
    subtract32(old + 12, number_step);
    subtract32(old + 16, salt_step);
    return equal(add(start, old, sizeof(old), get32(header) & 1), read_sum(header + 24));
}

/*
 * When all of the log is in the file, SQLite begins it anew: a header with the
 * next number, the next first salt, a new second one and a new checksum. If a
 * power cut tears that one write behind the number or the first salt, the rest
 * is of the old header: nothing behind it is at risk.
 */
static bool is_torn_restart(const unsigned char header[HEADER])
{
    /* A step for each byte of a number that is the last one written: the bytes before it may have carried. */
    for (uint32_t number_step = 1; number_step != 0; number_step <<= 8) {
        if (is_old_header(header, number_step, 0))
            return true;
        for (uint32_t salt_step = 1; salt_step != 0; salt_step <<= 8)
            if (is_old_header(header, number_step, salt_step))
                return true;
    }
    return false;
}

enum verdict { OTHER_GENERATION, DAMAGED, SOUND };

/* Judge the frame in the buffer and take over its checksums. */
static enum verdict judge(struct walk *walk, bool whole_so_far)
{
    const bool current = memcmp(walk->frame + 8, walk->salts, sizeof(walk->salts)) == 0;
    const struct sum stated = read_sum(walk->frame + 16);
    const unsigned char *page = walk->frame + FRAME;
    const struct sum on =
        add(add(walk->computed, walk->frame, 8, walk->big_endian), page, walk->page, walk->big_endian);
    bool fits = equal(on, stated);

    walk->computed = on;
    if (!fits && !whole_so_far) {
        walk->computed = add(add(walk->stated, walk->frame, 8, walk->big_endian), page, walk->page, walk->big_endian);
        fits = equal(walk->computed, stated);
    }
    walk->stated = stated;
    if (!current)
        return OTHER_GENERATION;
    return fits && get32(walk->frame) != 0 ? SOUND : DAMAGED;
}

static void walk_frames(struct walk *walk, bool whole, struct sqlite_wal_facts *out)
{
    const size_t size = FRAME + walk->page;

    for (uint64_t offset = HEADER; walk->source->read(walk->source->context, walk->frame, size, offset);
         offset += size) {
        const enum verdict verdict = judge(walk, whole);

        if (verdict != SOUND && whole) {
            whole = false;
            out->damaged = offset;
        }
        if (verdict != SOUND || get32(walk->frame + 4) == 0)
            continue;
        if (whole)
            out->commits++;
        else
            out->at_risk++;
    }
}

stele_status stele__sqlite_wal_walk(struct sqlite_wal_source *source, struct sqlite_wal_facts *out, stele_error **error)
{
    struct sqlite_wal_facts facts = {0, 0, 0};
    struct walk walk = {.source = source};
    unsigned char header[HEADER];

    source->failed = false;
    if (source->read(source->context, header, sizeof(header), 0) && !is_torn_restart(header)) {
        const bool whole = read_header(&walk, header);

        if (!whole)
            mend_salts(&walk);
        walk.frame = stele__alloc(FRAME + walk.page);
        if (!walk.frame)
            return stele__fail_memory(error);
        walk_frames(&walk, whole, &facts);
        stele__free(walk.frame, FRAME + walk.page);
    }
    if (source->failed)
        return stele__fail(error, STELE_IO, "the write-ahead log cannot be read");
    *out = facts;
    return STELE_OK;
}
