#include "python/registry.h"

#include <fcntl.h>
#include <unistd.h>

#include "python/fork.h"

/* ---- finding ---- */

static bool registry_is_pool(PyObject *reference, PyObject *pool)
{
    PyObject *object = reference == NULL ? NULL : compat_weakref_get(reference);

    Py_XDECREF(object);
    return object == pool && object != NULL;
}

struct connection *registry_find(struct module_state *state, PyObject *pool, PyObject *loop)
{
    struct connection *c;

    for (c = state->connections; c != NULL; c = c->next)
        if (c->loop == loop && registry_is_pool(c->pool_ref, pool))
            break;
    if (c == NULL)
        return NULL;
    if (c != state->connections) { /* the one used last comes first */
        connection_delist(c);
        connection_enlist(c);
    }
    return (struct connection *)Py_NewRef((PyObject *)c);
}

int registry_check(struct module_state *state, PyObject *redis)
{
    PyObject *pool = NULL, *reference;

    if ((PyObject *)Py_TYPE(redis) == state->known_type) {
        pool = PyObject_GetAttr(redis, state->str_connection_pool);
        if (pool == NULL)
            PyErr_Clear();
        Py_XDECREF(pool);
        if (pool != NULL && registry_is_pool(state->known_pool_ref, pool))
            return 0;
    }
    pool = PyObject_CallOneArg(state->pool_of, redis);
    if (pool == NULL)
        return -1;
    reference = PyWeakref_NewRef(pool, NULL);
    Py_DECREF(pool);
    if (reference == NULL)
        return -1;
    Py_XSETREF(state->known_pool_ref, reference);
    Py_XSETREF(state->known_type, Py_NewRef((PyObject *)Py_TYPE(redis)));
    return 0;
}

/* ---- the child of a fork ---- */

static void registry_silence(struct connection *c, int null)
{
    struct stat status;

    if (c->fd < 0 || fstat(c->fd, &status) != 0)
        return;
    if (status.st_dev == c->fd_device && status.st_ino == c->fd_inode)
        (void)dup2(null, c->fd);
}

/* The transport and all that hangs on it stays as it is until the child exits: to close it is to call the loop. */
static void registry_disown(struct connection *c)
{
    c->foreign = true;
    c->fd = -1;
    Py_XINCREF(c->transport);
    Py_XINCREF(c->kept);
    Py_XINCREF(c->keeper);
    Py_XINCREF(c->dialling);
    connection_delist(c);
}

void registry_forked(struct module_state *state)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (struct connection *c = state->connections; null >= 0 && c != NULL; c = c->next)
        registry_silence(c, null);
    if (null >= 0)
        (void)close(null);
    while (state->connections != NULL)
        registry_disown(state->connections);
}

void registry_watch(struct module_state *state)
{
    struct connection *c = state->connections, *next;

    for (Py_XINCREF(c); c != NULL; c = next) {
        connection_watch(c); /* where it logs, a handler may let go of connections */
        next = (struct connection *)Py_XNewRef((PyObject *)c->next);
        Py_DECREF(c);
    }
}

/* ---- making ---- */

static struct connection *registry_make(struct module_state *state, PyObject *redis, PyObject *loop)
{
    struct connection *c;

    if (fork_is_unnoticed(state))
        fork_happened(state);
    c = connection_new(state, redis, loop);
    return c;
}

struct connection *registry_connection(struct module_state *state, PyObject *redis)
{
    PyObject *loop = state_running_loop(state), *pool;
    struct connection *c;

    if (loop == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "no running event loop");
        return NULL;
    }
    pool = PyObject_GetAttr(redis, state->str_connection_pool);
    c = pool == NULL ? NULL : registry_find(state, pool, loop);
    if (c == NULL && pool != NULL)
        c = registry_make(state, redis, loop);
    Py_XDECREF(pool);
    Py_DECREF(loop);
    return c;
}
