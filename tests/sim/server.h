/* server.h - the model of the server: one thread, one clock (true time), keys that end, scripts that it may
 * not know. */
#ifndef SIM_SERVER_H
#define SIM_SERVER_H

#include "agenda.h"
#include "core/arl.h"
#include "plan.h"

struct message;

struct server_key {
    uint32_t token;    /* number in the ledger; LEDGER_NOBODY: the key does not exist */
    bool other_type;   /* it exists and is no string */
    arl_ns expires_at; /* ns */
    struct alarm expiry;
};

/* The keys as they were once: what a replica knows that is behind. */
struct server_copy {
    bool taken;
    uint32_t token[KEYS_MAX];
    arl_ns expires_at[KEYS_MAX];
};

struct server {
    struct server_key keys[KEYS_MAX];
    bool knows[ARL_VERBS]; /* the script's digest */
    arl_ns silent_until;   /* ns: until then it answers nothing; its clock goes on */
    uint64_t sets;         /* SETs of new tokens so far: the register's numbers; survives every fault */
    struct server_copy copy;
};

/* Why a key no longer holds its token. */
enum server_end { ENDED_BY_TIME, ENDED_BY_RELEASE, ENDED_BY_FAULT };

void server_start(struct sim *sim);

/* Executes a command now. */
enum arl_outcome server_execute(struct sim *sim, const struct message *message);

/* The unsafe faults. `token` overwrites without asking; LEDGER_NOBODY deletes. */
void server_overwrite(struct sim *sim, int key, uint32_t token, arl_ns ttl);
void server_change_type(struct sim *sim, int key);
void server_restart_empty(struct sim *sim);
void server_keep_copy(struct sim *sim);
void server_go_back(struct sim *sim);

/* It forgets its scripts. */
void server_forget_scripts(struct sim *sim);

#endif
