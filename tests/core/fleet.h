/* fleet.h - several engines on one server of model.h, with owners that keep book of what they were told.
 *
 * Every function that gives an engine an input takes its outputs afterwards and checks the whole fleet by
 * fleet_check. A check that fails prints the seed and the step, and fails the test. */
#ifndef FLEET_H
#define FLEET_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/backoff.h"
#include "model.h"

#define FLEET_MEMBERS 3
#define FLEET_SLOTS 10
#define FLEET_ASKS 4
#define FLEET_TOKENS 16384

struct fleet_slot {
    struct arl_handle *handle; /* NULL: the slot is free */
    struct arl_want want;
    char key_text[2];
    int key;
    long place;           /* the order of joining, over the fleet */
    bool granted;         /* told, and not yet told that it ended, nor rejoined */
    bool ended;           /* told, or known from release's return */
    enum arl_cause cause; /* of the end */
    arl_ns joined_at;     /* ns of the member's clock */
    arl_ns leave_at;      /* ns of the server's clock: the end phase releases it then; 0: not planned */
    bool extended;        /* asked for more than its ex */
};

struct fleet_ask {
    struct arl_ask *ask;
};

struct fleet_token {
    uint8_t member;
    bool dead;        /* its RELEASE was called or written */
    bool tried;       /* a TRY was written */
    bool answered_no; /* and the last one was answered "no" */
    bool denied;      /* the server said to a RENEW that K is not its */
    bool excused;     /* the server refused its RELEASE or a delayed command of it is on its way */
    bool extended;    /* a RENEW asked for more than a holder's ex */
};

struct fleet_member {
    struct fleet *fleet;
    struct arl_engine *engine;
    struct model_wire wire;
    struct model_wire watch_wire; /* of the watchdog's connection */
    struct fleet_slot slots[FLEET_SLOTS];
    struct fleet_ask asks[FLEET_ASKS];
    arl_ns stalled_until; /* ns of the server's clock: its loop does not turn before */
    arl_ns turned_at;     /* ns of its own clock: the last input of its connection */
    long allocations;
    int index;
    int drift; /* per mille that its clock goes faster */
    bool up;
    bool fresh; /* nothing was written since it came up */
    bool reset; /* the engine wants the connection reset */
    bool closed;
};

struct fleet {
    struct model model;
    struct arl_random random;
    struct fleet_member members[FLEET_MEMBERS];
    struct fleet_token tokens[FLEET_TOKENS];
    uint64_t seed;
    arl_ns reply_timeout;
    arl_ns ttl_longest;
    uint64_t tokens_drawn;
    long places;
    long steps;
    long granted;      /* how many leases owners were told of */
    long watched;      /* how many renewals the watchdogs wrote */
    int trouble;       /* per mille of commands that the server answers with an error */
    int starve;        /* per mille of allocations and draws that fail */
    bool unsafe;       /* the server loses keys: belief is not compared with it */
    bool talks;        /* print a trace */
    bool quick_resets; /* the owner resets before it writes on */
};

#define FLEET_CHECK(fleet, condition) fleet_expect((fleet), (condition), #condition, __LINE__)
void fleet_expect(struct fleet *fleet, bool condition, const char *text, int line);
void fleet_say(struct fleet *fleet, const char *format, ...);

/* 0 <= result < below */
int fleet_draw(struct fleet *fleet, int below);
bool fleet_chance(struct fleet *fleet, int per_mille);

void fleet_open(struct fleet *fleet, uint64_t seed);

/* Drops everything and ends the engines; fails when memory is still out. */
void fleet_close(struct fleet *fleet);

/* The member's clock. */
arl_ns fleet_now(const struct fleet_member *member);

void fleet_acquire(struct fleet_member *member, const struct arl_want *want, int key);
void fleet_confirm(struct fleet_member *member, struct fleet_slot *slot);
void fleet_look(struct fleet_member *member, struct fleet_slot *slot);
void fleet_release(struct fleet_member *member, struct fleet_slot *slot);
void fleet_drop(struct fleet_member *member, struct fleet_slot *slot);
void fleet_extend(struct fleet_member *member, struct fleet_slot *slot, arl_ns ttl);
void fleet_peek(struct fleet_member *member, int key);
void fleet_drop_ask(struct fleet_member *member, struct fleet_ask *ask);
void fleet_shut(struct fleet_member *member);
void fleet_up(struct fleet_member *member);
void fleet_cut(struct fleet_member *member, int kept, arl_ns delay);
void fleet_unreachable(struct fleet_member *member);
void fleet_tick(struct fleet_member *member);

/* The watchdog of this member looks: it writes what is due, and closes its connection where that is over. */
void fleet_watch(struct fleet_member *member);
void fleet_watch_cut(struct fleet_member *member, int kept, arl_ns delay);

/* As fleet_execute and fleet_deliver, on the watchdog's connection. */
bool fleet_watch_execute(struct fleet_member *member);
bool fleet_watch_deliver(struct fleet_member *member);

/* The server executes a command, or has trouble with it. */
void fleet_serve(struct fleet_member *member, struct model_command *command);

/* The number that a token is; 0 for none. */
uint64_t fleet_number(const uint8_t *token);

/* The server executes the next command of this wire, or has trouble with it. False: there is none. */
bool fleet_execute(struct fleet_member *member);

/* The next reply arrives. False: there is none. */
bool fleet_deliver(struct fleet_member *member);

/* Takes the events, then writes the requests; the owner of a loop that is stalled does neither. */
void fleet_drain(struct fleet_member *member);

/* Everything that must hold at any time (fleet_check.c). */
void fleet_check(struct fleet *fleet);

/* The slot that a handle's owner is, for the checks. */
bool fleet_believes(const struct fleet_member *member, const struct fleet_slot *slot);

#endif
