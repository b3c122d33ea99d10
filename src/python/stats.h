/* stats.h - what a connection has counted, its engine's counters among it. */
#ifndef PYTHON_STATS_H
#define PYTHON_STATS_H

#include "python/compat.h"

struct connection;

/* A dict of str to int, in the documented order; NULL with an exception. */
PyObject *stats_of(struct connection *connection);

/* The connection has closed for good: its counters go to whoever adds them up. */
void stats_remember(struct connection *connection);

#endif
