/*
 * What flow_test.c (routes, sending, the end) and flow_beside.c (who watches, and
 * what comes by the clock) know of a world together.
 */
#ifndef STELE_TESTS_SIM_FLOW_MODEL_H
#define STELE_TESTS_SIM_FLOW_MODEL_H

#include "tests/sim/sim.h"

#include <stele/observe.h>

enum { NODES = 4, MESSAGES = 400, OBSERVERS = 3, SEEN = 8192, SCHEDULES = 8, SEATS = 16 };

enum flow_lot { LOT_NODE = 1, LOT_NAP, LOT_POISON, LOT_OBSERVER };

/* A route as long as it is there. */
struct seat {
    struct stele_route route;
    char name[32];
    stele_route_id id;
    size_t type;
    unsigned handled[MESSAGES], failed[MESSAGES], dropped[MESSAGES];
    bool is_offered[MESSAGES]; /* it was there when that was sent */
    bool is_running[SIM_KEYS], is_gone, is_stopped;
    int64_t last[SIM_KEYS];
};

struct sighting {
    enum stele_seen seen;
    char what[64]; /* route and id */
};

struct watcher {
    struct stele_observer table;
    char name[32];
    bool naps;
    struct sighting *sightings;
    size_t seen;
};

struct plan {
    stele_schedule_id id;
    int64_t began, interval; /* 0: once */
    int64_t due;
    uint64_t fired;
    bool is_cancelled;
};

extern struct flow {
    stele_bus *bus;
    struct seat seats[SEATS];
    size_t seat_count;
    struct seat *nodes[NODES];
    size_t node_count;
    struct {
        size_t type;
        int64_t key;
        unsigned requeued;
        bool is_healed;
    } messages[MESSAGES];
    int64_t message_count;
    struct sighting *sightings; /* of the witness, which misses nothing */
    size_t sighting_count;
    struct watcher watchers[OBSERVERS];
    size_t watcher_count;
    struct plan plans[SCHEDULES];
    size_t plan_count;
} flow;

/* Observers: one that sees all, and some that may miss something. */
void flow_add_observers(void);
void flow_free_observers(void);
/* Seen or missed: nothing beside. */
void flow_check_observers(void);

/* Schedules: a route for them, one more, one less. */
void flow_add_ticker(void);
void flow_plan_one(void);
void flow_cancel_plan(struct plan *plan);
/* Each has come as often as it is time for. */
void flow_check_plans(void);

#endif
