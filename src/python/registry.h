/* registry.h - which connection serves a client on the running loop. */
#ifndef PYTHON_REGISTRY_H
#define PYTHON_REGISTRY_H

#include "python/connection_type.h"

/* Is `redis` a client that can be served? 0, or -1 with TypeError. */
int registry_check(struct module_state *state, PyObject *redis);

/* The connection of the client's pool and the running loop, made where there is none. New reference; NULL with an
 * exception: RuntimeError (no running loop), TypeError (the client). */
struct connection *registry_connection(struct module_state *state, PyObject *redis);

/* The same of a pool, or NULL without an exception where there is none (with one: no loop runs). */
struct connection *registry_find(struct module_state *state, PyObject *pool, PyObject *loop);

/* In the child of a fork: /dev/null takes the place of each socket; nothing that the parent had is held here. */
void registry_forked(struct module_state *state);

/* Starts or wakes the watchdog where any connection has leases that it may have to keep. */
void registry_watch(struct module_state *state);

#endif
