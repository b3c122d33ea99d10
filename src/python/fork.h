/* fork.h - a process that forks: what stops before it, what starts again after it, what the child forgets. */
#ifndef PYTHON_FORK_H
#define PYTHON_FORK_H

#include "python/compat.h" /* Python.h says which functions the system's headers declare */

#include <stdbool.h>
#include <unistd.h>

#include "python/state.h"

/* Registers the hooks of os.fork, which hold the module weakly, and marks this process. 0, or -1 with an exception. */
int fork_register(PyObject *module);

/* Takes the mark away: the module goes. */
void fork_forget(struct module_state *state);

/* This process is the child of a fork: it holds nothing, and the connections are its parent's. */
void fork_happened(struct module_state *state);

/* Is this a child that no hook has told us of (fork called from C)? Cheap enough to be asked at every call: where the
 * kernel can, it empties the marked page in the child. */
static inline bool fork_is_unnoticed(const struct module_state *state)
{
    return state->mark != NULL ? *state->mark == 0 : state->pid != getpid();
}

#endif
