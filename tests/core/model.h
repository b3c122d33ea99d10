/* model.h - a server of a few keys, and the wires that lead to it, in virtual time.
 *
 * It executes TRY, RENEW, RELEASE and PEEK as the real ones do. On each wire commands stay in order and never
 * come twice; a cut loses what was not executed yet, or delays a first part of it. */
#ifndef MODEL_H
#define MODEL_H

#include "core/arl.h"

#define MODEL_KEYS 3
#define MODEL_WIRE 4096 /* commands on one wire at a time */
#define MODEL_LATE 1024 /* commands that a cut delayed */

struct model_command {
    enum arl_verb verb;
    bool whole_script;
    int key;
    uint64_t token; /* 0 for PEEK */
    arl_ns ttl;
    arl_ns lands_at; /* ns: a delayed one is executed then */
    arl_ns cut_at;   /* ns: when its wire was cut */
    enum arl_outcome outcome;
};

/* Written commands, oldest first: [first, executed) have their replies under way, [executed, end) have not
 * reached the server. */
struct model_wire {
    struct model_command commands[MODEL_WIRE];
    int first;
    int executed;
    int end;
};

struct model_key {
    uint64_t token;  /* what it holds; 0 is nobody */
    arl_ns ends_at;  /* ns: it is free from then on */
    arl_ns set_late; /* ns: how long after its cut a delayed command set or prolonged it; 0: none did */
};

struct model {
    struct model_key keys[MODEL_KEYS];
    struct model_command late[MODEL_LATE]; /* sorted by lands_at */
    int late_count;
    bool knows_script[ARL_VERBS]; /* else the digest is answered with NOSCRIPT */
    arl_ns now;
};

/* Which token holds a key now; 0: nobody. */
uint64_t model_holder(const struct model *model, int key);

/* Executes one command by what the keys say; its outcome. */
enum arl_outcome model_execute(struct model *model, const struct model_command *command);

/* Moves time on and executes the delayed commands that land until then. */
void model_advance(struct model *model, arl_ns now);

/* Appends a command that is written now. False when the wire is full. */
bool model_write(struct model_wire *wire, const struct model_command *command);

/* The wire is cut: of what was not executed the first `kept` commands land `delay` (ns) from now, the rest never. */
void model_cut(struct model *model, struct model_wire *wire, int kept, arl_ns delay);

#endif
