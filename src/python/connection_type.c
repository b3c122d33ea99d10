/* The Python-facing side of a connection: asyncio.BufferedProtocol for the transport, and what connect.py calls
 * (its first page lists that). */
#include "python/connection_type.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "python/clock.h"
#include "python/engine_calls.h"
#include "python/entropy.h"
#include "python/errors.h"
#include "python/stats.h"
#include "python/waiter_type.h"
#include "watchdog/watchdog.h"

#define INPUT_SIZE 32768 /* bytes of one read; below RESP_FEED_MAX */

/* ---- memory that needs no GIL ---- */

static void *memory_alloc(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void memory_release(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static const struct resp_memory memory = {.alloc = memory_alloc, .release = memory_release, .ctx = NULL};

/* ---- the module's list ---- */

void connection_enlist(struct connection *c)
{
    struct connection **first = &c->state->connections;

    c->next = *first;
    if (c->next != NULL)
        c->next->previous = &c->next;
    c->previous = first;
    *first = c;
}

void connection_delist(struct connection *c)
{
    if (c->previous == NULL)
        return;
    *c->previous = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    c->next = NULL;
    c->previous = NULL;
}

/* ---- life ---- */

static struct connection *connection_alloc(struct module_state *state)
{
    PyObject *module = PyType_GetModule(state->connection_type);
    struct connection *c = module == NULL ? NULL : PyObject_GC_New(struct connection, state->connection_type);
    size_t head = offsetof(struct connection, weakrefs);

    if (c == NULL)
        return NULL;
    memset((char *)c + head, 0, sizeof(*c) - head);
    c->state = state;
    c->module = Py_NewRef(module);
    c->output.memory = &memory;
    c->ready_end = &c->ready;
    c->fd = -1;
    c->armed = ARL_NEVER;
    c->used = clock_now();
    c->idle = CONNECTION_IDLE;
    PyObject_GC_Track(c);
    return c;
}

/* How long the client waits for a reply; -1 with an exception. */
static arl_ns connection_reply_timeout(struct connection *c)
{
    PyObject *timeout = PyObject_GetAttrString(c->client, "reply_timeout");
    double seconds = timeout == NULL ? -1.0 : PyFloat_AsDouble(timeout);

    Py_XDECREF(timeout);
    if (seconds > 0.0)
        return seconds < 1e9 ? (arl_ns)(seconds * 1e9) + 1 : ARL_NEVER;
    if (!PyErr_Occurred())
        PyErr_SetString(PyExc_ValueError, "reply_timeout must be above 0");
    return -1;
}

static int connection_make_engine(struct connection *c)
{
    arl_ns reply_timeout = connection_reply_timeout(c);
    struct arl_settings settings = {
        .alloc = memory_alloc,
        .release = memory_release,
        .draw_token = entropy_token,
        .seed = entropy_seed(),
        .reply_timeout = reply_timeout,
    };

    if (reply_timeout < 0)
        return -1;
    c->engine = arl_engine_new(&settings);
    if (c->engine != NULL)
        c->row = watchdog_row_new(c->state->watchdog, c->engine);
    if (c->row != NULL)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static int connection_make_input(struct connection *c)
{
    PyObject *bytes = PyByteArray_FromStringAndSize(NULL, INPUT_SIZE);

    if (bytes == NULL)
        return -1;
    c->input = PyMemoryView_FromObject(bytes);
    if (c->input != NULL)
        c->input_bytes = PyByteArray_AS_STRING(bytes);
    Py_DECREF(bytes);
    return c->input == NULL ? -1 : 0;
}

static int connection_make_pool_ref(struct connection *c, PyObject *redis)
{
    PyObject *pool = PyObject_GetAttr(redis, c->state->str_connection_pool);
    PyObject *gone = pool == NULL ? NULL : PyObject_GetAttrString((PyObject *)c, "_pool_gone");

    if (gone != NULL)
        c->pool_ref = PyWeakref_NewRef(pool, gone);
    Py_XDECREF(pool);
    Py_XDECREF(gone);
    return c->pool_ref == NULL ? -1 : 0;
}

static int connection_make_done(struct connection *c)
{
    PyObject *result = NULL;

    c->done = PyObject_CallMethod(c->loop, "create_future", NULL);
    if (c->done != NULL)
        result = PyObject_CallMethod(c->done, "set_result", "O", Py_None);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int connection_make(struct connection *c, PyObject *redis, PyObject *loop)
{
    PyObject *self = (PyObject *)c;

    c->loop = Py_NewRef(loop);
    c->client = PyObject_CallOneArg(c->state->describe, redis);
    if (c->client == NULL || connection_make_engine(c) < 0 || connection_make_input(c) < 0)
        return -1;
    if (connection_make_pool_ref(c, redis) < 0 || connection_make_done(c) < 0)
        return -1;
    c->call_soon = PyObject_GetAttrString(loop, "call_soon");
    c->flush_callback = PyObject_GetAttrString(self, "_flush");
    c->tick_callback = PyObject_GetAttrString(self, "_tick");
    if (c->call_soon == NULL || c->flush_callback == NULL || c->tick_callback == NULL)
        return -1;
    c->keeper = PyObject_CallOneArg(c->state->start_keeper, self);
    return c->keeper == NULL ? -1 : 0;
}

struct connection *connection_new(struct module_state *state, PyObject *redis, PyObject *loop)
{
    struct connection *c = connection_alloc(state);

    if (c == NULL)
        return NULL;
    if (connection_make(c, redis, loop) < 0) {
        Py_DECREF(c);
        return NULL;
    }
    connection_enlist(c);
    return c;
}

static int connection_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct connection *c = (struct connection *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(c->module);
    Py_VISIT(c->loop);
    Py_VISIT(c->client);
    Py_VISIT(c->pool_ref);
    Py_VISIT(c->input);
    Py_VISIT(c->transport);
    Py_VISIT(c->write);
    Py_VISIT(c->kept);
    Py_VISIT(c->call_soon);
    Py_VISIT(c->done);
    Py_VISIT(c->flush_callback);
    Py_VISIT(c->tick_callback);
    Py_VISIT(c->timer);
    Py_VISIT(c->keeper);
    Py_VISIT(c->dialling);
    Py_VISIT(c->error);
    Py_VISIT(c->closings);
    Py_VISIT(c->losses);
    for (struct waiter *waiter = c->ready; waiter != NULL; waiter = waiter->next_ready)
        Py_VISIT(waiter);
    return 0;
}

/* The engine stays, and the module: what holds a handle on it may still be cleared after this. */
static int connection_clear(PyObject *self)
{
    struct connection *c = (struct connection *)self;

    connection_delist(c);
    c->closed = true;
    Py_CLEAR(c->loop);
    Py_CLEAR(c->client);
    Py_CLEAR(c->pool_ref);
    Py_CLEAR(c->input);
    Py_CLEAR(c->transport);
    Py_CLEAR(c->write);
    Py_CLEAR(c->kept);
    Py_CLEAR(c->call_soon);
    Py_CLEAR(c->done);
    Py_CLEAR(c->flush_callback);
    Py_CLEAR(c->tick_callback);
    Py_CLEAR(c->timer);
    Py_CLEAR(c->keeper);
    Py_CLEAR(c->dialling);
    Py_CLEAR(c->error);
    Py_CLEAR(c->closings);
    Py_CLEAR(c->losses);
    connection_forget_ready(c);
    return 0;
}

static void connection_dealloc(PyObject *self)
{
    struct connection *c = (struct connection *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject *module = c->module;

    PyObject_GC_UnTrack(self);
    (void)connection_is_foreign(c); /* in a child that no hook told of: before a mutex is touched */
    connection_delist(c);           /* what a weak reference calls must not find it */
    if (c->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    (void)connection_clear(self);
    resp_reader_del(c->reader);
    resp_buffer_free(&c->output);
    watchdog_row_del(c->row);
    arl_engine_del(c->engine);
    PyObject_GC_Del(self);
    Py_DECREF(type);
    Py_DECREF(module);
}

/* ---- asyncio.BufferedProtocol ---- */

#define CONNECTION(self) ((struct connection *)(self))

static PyObject *connection_get_buffer(PyObject *self, PyObject *sizehint)
{
    (void)sizehint;
    if (CONNECTION(self)->input == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the connection is gone");
        return NULL;
    }
    return Py_NewRef(CONNECTION(self)->input);
}

static PyObject *connection_buffer_updated(PyObject *self, PyObject *count)
{
    Py_ssize_t length = PyLong_AsSsize_t(count);

    if (length == -1 && PyErr_Occurred())
        return NULL;
    if (length < 0 || length > INPUT_SIZE) {
        PyErr_SetString(PyExc_ValueError, "more bytes than the buffer holds");
        return NULL;
    }
    if (CONNECTION(self)->closed || connection_is_foreign(CONNECTION(self)))
        Py_RETURN_NONE;
    connection_feed(CONNECTION(self), (size_t)length);
    connection_turn(CONNECTION(self));
    Py_RETURN_NONE;
}

static PyObject *connection_made(PyObject *self, PyObject *transport)
{
    (void)self; /* _opened tells of it */
    (void)transport;
    Py_RETURN_NONE;
}

static PyObject *connection_eof_received(PyObject *self, PyObject *unused)
{
    (void)self; /* None: the transport closes itself */
    (void)unused;
    Py_RETURN_NONE;
}

static PyObject *connection_was_lost(PyObject *self, PyObject *error)
{
    (void)error;
    connection_lost(CONNECTION(self));
    Py_RETURN_NONE;
}

static PyObject *connection_pause_writing(PyObject *self, PyObject *unused)
{
    (void)unused;
    CONNECTION(self)->paused = true;
    Py_RETURN_NONE;
}

static PyObject *connection_resume_writing(PyObject *self, PyObject *unused)
{
    (void)unused;
    CONNECTION(self)->paused = false;
    connection_pump_later(CONNECTION(self));
    Py_RETURN_NONE;
}

/* ---- called by the loop ---- */

static PyObject *connection_flush(PyObject *self, PyObject *unused)
{
    struct connection *c = CONNECTION(self);

    (void)unused;
    c->flush_wanted = false;
    if (c->engine == NULL || c->loop == NULL || connection_is_foreign(c))
        Py_RETURN_NONE;
    connection_collect(c, NULL);
    connection_turn(c);
    Py_RETURN_NONE;
}

static PyObject *connection_timer_fired(PyObject *self, PyObject *unused)
{
    (void)unused;
    connection_tick(CONNECTION(self));
    Py_RETURN_NONE;
}

static PyObject *connection_dial_ended(PyObject *self, PyObject *task)
{
    connection_dial_done(CONNECTION(self), task);
    Py_RETURN_NONE;
}

/* The pool's weak reference has died, on any thread. */
static PyObject *connection_pool_gone(PyObject *self, PyObject *reference)
{
    struct connection *c = CONNECTION(self);

    (void)reference;
    c->orphan = true;
    if (!c->closed)
        connection_pump_later(c);
    Py_RETURN_NONE;
}

/* ---- called by connect.py ---- */

static PyObject *connection_method_opened(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "_opened(transport, keep)");
        return NULL;
    }
    if (connection_opened(CONNECTION(self), args[0], args[1]) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *connection_method_unreachable(PyObject *self, PyObject *error)
{
    connection_unreachable(CONNECTION(self), error);
    Py_RETURN_NONE;
}

static PyObject *connection_method_wants(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(connection_wants(CONNECTION(self)));
}

static PyObject *connection_method_pause(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyFloat_FromDouble(connection_pause(CONNECTION(self)));
}

static PyObject *connection_method_holds(PyObject *self, PyObject *unused)
{
    struct connection *c = CONNECTION(self);

    (void)unused;
    return PyBool_FromLong(!c->closed && !connection_is_foreign(c) && arl_engine_holds(c->engine));
}

static PyObject *connection_method_idle(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(connection_is_idle(CONNECTION(self)));
}

static PyObject *connection_method_release_all(PyObject *self, PyObject *unused)
{
    struct connection *c = CONNECTION(self);
    arl_ns now = clock_now();

    (void)unused;
    if (c->closed || connection_is_foreign(c))
        Py_RETURN_NONE;
    connection_delist(c);
    engine_close(c, now);
    connection_pump(c, now);
    Py_RETURN_NONE;
}

static PyObject *connection_method_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    connection_close(CONNECTION(self));
    Py_RETURN_NONE;
}

static PyObject *connection_method_abort(PyObject *self, PyObject *unused)
{
    (void)unused;
    connection_abort(CONNECTION(self));
    Py_RETURN_NONE;
}

static PyObject *connection_method_wait_closed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return connection_wait_closed(CONNECTION(self));
}

static PyObject *connection_method_stats(PyObject *self, PyObject *unused)
{
    (void)unused;
    return stats_of(CONNECTION(self));
}

static PyMethodDef connection_methods[] = {
    {"get_buffer", connection_get_buffer, METH_O, NULL},
    {"buffer_updated", connection_buffer_updated, METH_O, NULL},
    {"connection_made", connection_made, METH_O, NULL},
    {"connection_lost", connection_was_lost, METH_O, NULL},
    {"eof_received", connection_eof_received, METH_NOARGS, NULL},
    {"pause_writing", connection_pause_writing, METH_NOARGS, NULL},
    {"resume_writing", connection_resume_writing, METH_NOARGS, NULL},
    {"_flush", connection_flush, METH_NOARGS, NULL},
    {"_tick", connection_timer_fired, METH_NOARGS, NULL},
    {"_dial_done", connection_dial_ended, METH_O, NULL},
    {"_pool_gone", connection_pool_gone, METH_O, NULL},
    {"_opened", (PyCFunction)(void (*)(void))connection_method_opened, METH_FASTCALL, NULL},
    {"_unreachable", connection_method_unreachable, METH_O, NULL},
    {"_wants", connection_method_wants, METH_NOARGS, NULL},
    {"_pause", connection_method_pause, METH_NOARGS, NULL},
    {"_holds", connection_method_holds, METH_NOARGS, NULL},
    {"_idle", connection_method_idle, METH_NOARGS, NULL},
    {"_release_all", connection_method_release_all, METH_NOARGS, NULL},
    {"_close", connection_method_close, METH_NOARGS, NULL},
    {"_abort", connection_method_abort, METH_NOARGS, NULL},
    {"_wait_closed", connection_method_wait_closed, METH_NOARGS, NULL},
    {"_stats", connection_method_stats, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyObject *connection_get(PyObject *self, void *closure)
{
    PyObject *value = *(PyObject **)((char *)self + (size_t)closure);

    return Py_NewRef(value == NULL ? Py_None : value);
}

static PyGetSetDef connection_getset[] = {
    {"loop", connection_get, NULL, "The event loop that it serves.",
     (void *)offsetof(struct connection, loop)},
    {"client", connection_get, NULL, "What is known of the user's client.",
     (void *)offsetof(struct connection, client)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef connection_members[] = {
    {"_idle_ns", T_LONGLONG, offsetof(struct connection, idle), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct connection, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(connection_doc, "The connection of every lock of one connection pool on one event loop.\n"
                             "\n"
                             "Made and closed by the locks; not part of the public interface.");

static PyType_Slot connection_slots[] = {
    {Py_tp_doc, (void *)connection_doc}, {Py_tp_traverse, connection_traverse},
    {Py_tp_clear, connection_clear},     {Py_tp_dealloc, connection_dealloc},
    {Py_tp_methods, connection_methods}, {Py_tp_getset, connection_getset},
    {Py_tp_members, connection_members}, {0, NULL},
};

PyType_Spec connection_spec = {
    .name = "aioredlock_c._core.Connection",
    .basicsize = sizeof(struct connection),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = connection_slots,
};
