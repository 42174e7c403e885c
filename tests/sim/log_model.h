/*
 * The book of a world with a log: what was stored, which routes read it, what
 * each of them must have handled.
 *
 *     node    a route as the program knows it, by its name; has a checkpoint if it is durable
 *     seat    a node added to a bus: until it is removed, or the process dies
 *     fact    an event that was stored
 *
 * Checked in handlers: order within a mailbox, one in flight in it, nothing twice
 * within a seat, nothing at or below the checkpoint a seat began at, nothing behind
 * its `stop`. Checked when a checkpoint is written: it never goes back, and all up to
 * it is handled. Checked at the end: see log_check().
 */
#ifndef STELE_TESTS_SIM_LOG_MODEL_H
#define STELE_TESTS_SIM_LOG_MODEL_H

#include "tests/sim/disk.h"

enum { LOG_NODES = 4, LOG_FACTS = 320, LOG_SEATS = 64, LOG_ATTEMPTS = 3, LOG_ROOTS = 120 };

struct log_fact {
    char id[32];
    size_t type;
    int64_t key;
    unsigned depth;
    uint64_t position; /* 0: it is not known to be stored */
};

struct log_node {
    char name[32];
    size_t type; /* SIM_TYPES: all */
    bool is_durable, is_partitioned, retries, appends;
    enum stele_failure_policy policy;
    struct log_seat *seat; /* NULL: not on the bus */
    uint64_t checkpoint;   /* as it was written last */
    bool has_checkpoint;
    bool has_ended[LOG_FACTS];  /* ever */
    bool has_failed[LOG_FACTS]; /* for good, ever */
    bool is_healed[LOG_FACTS];
    bool is_dropped[LOG_FACTS]; /* its letter, by somebody */
    unsigned requeued[LOG_FACTS];
    int64_t derived[LOG_FACTS]; /* what its handler stores; 0: nothing yet (fact 0 is nobody's) */
};

struct log_seat {
    struct stele_route route;
    struct log_node *node;
    stele_route_id id;
    unsigned life;  /* in which process */
    uint64_t began; /* behind which position */
    bool is_running[SIM_KEYS];
    uint64_t last[SIM_KEYS]; /* position that was begun last */
    unsigned ended[LOG_FACTS];
    unsigned stops;
    bool is_gone; /* removed, or its process died */
};

extern struct log_book {
    struct log_fact facts[LOG_FACTS];
    int64_t fact_count; /* from 1 */
    struct log_node nodes[LOG_NODES];
    size_t node_count;
    struct log_seat seats[LOG_SEATS];
    size_t seat_count;
    unsigned life; /* which process this is */
} book;

void log_draw(void);
/* A new fact, and the message that says so. */
int64_t log_fact_new(size_t type, int64_t key, unsigned depth, const char *id);
stele_message *log_fact_message(int64_t number);
bool log_wants(const struct log_node *node, int64_t number);
/* Poison fails for good until it is healed. */
bool log_is_poison(const struct log_node *node, int64_t number);

/* The route of a new seat. */
struct log_seat *log_seat_new(struct log_node *node);

/* What has to be true when nothing is left to do. */
void log_check(void);

#endif
