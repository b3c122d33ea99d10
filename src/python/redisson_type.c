/* The class that users see: its life, its methods, its attributes. */
#include "python/engine_calls.h"
#include "python/redisson_type.h"

#include <stddef.h>
#include <string.h>

#include "python/clock.h"
#include "python/connection_type.h"
#include "python/entropy.h"
#include "python/redisson_doc.h"
#include "python/registry.h"
#include "python/waiter_type.h"
#include "resp/format.h"

#define REDISSON(self) ((struct redisson *)(self))

/* ---- what is held ---- */

void redisson_take(struct redisson *r, struct arl_handle *handle, struct connection *connection)
{
    r->handle = handle;
    r->connection = connection;
    arl_handle_set_owner(handle, r);
    memcpy(r->token, arl_handle_token(handle), ARL_TOKEN_SIZE);
    r->has_token = true;
}

/* Gives the handle back, and with it the lease; the connection, still referred to, is the caller's. */
static struct connection *redisson_give_back(struct redisson *r)
{
    struct connection *c = r->connection;

    if (r->handle != NULL)
        engine_drop(c, r->handle, clock_now());
    r->handle = NULL;
    r->connection = NULL;
    return c;
}

void redisson_lose(struct redisson *r)
{
    struct connection *c = redisson_give_back(r);

    Py_XDECREF(c);
}

/* In the child of a fork nothing of the parent's is held, and nothing is said about it. */
static void redisson_forget_foreign(struct redisson *r)
{
    struct connection *c = r->connection;

    if (r->acquiring != NULL && r->acquiring->connection != NULL &&
        connection_is_foreign(r->acquiring->connection))
        r->acquiring = NULL; /* a task of the parent waits, none of this process */
    if (c == NULL || !connection_is_foreign(c))
        return;
    r->handle = NULL;
    r->connection = NULL;
    if (r->entered == REDISSON_ENTERED)
        r->entered = REDISSON_EMPTY;
    Py_DECREF(c);
}

bool redisson_looks_held(struct redisson *r)
{
    struct connection *c;
    arl_ns now;

    redisson_forget_foreign(r);
    if (r->handle == NULL)
        return false;
    now = clock_now();
    if (engine_look(r->connection, r->handle, now))
        return true;
    c = (struct connection *)Py_NewRef((PyObject *)r->connection);
    connection_pump_anywhere(c, now); /* takes the loss, and forgets the handle */
    Py_DECREF(c);
    return false;
}

int redisson_check_loop(struct redisson *r)
{
    redisson_forget_foreign(r);
    if (r->handle == NULL)
        return 0;
    if (connection_on_loop(r->connection))
        return 1;
    PyErr_Format(PyExc_RuntimeError, "lock %R is held on another event loop", r->key);
    return -1;
}

/* Its __init__ has run: 0, or -1 with RuntimeError. */
static int redisson_check_made(struct redisson *r)
{
    if (r->redis != NULL)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "Redisson.__init__ was not called");
    return -1;
}

int redisson_check_free(struct redisson *r)
{
    struct connection *c;

    redisson_forget_foreign(r);
    c = r->acquiring != NULL ? r->acquiring->connection : r->connection;
    if (r->acquiring == NULL && r->entered == REDISSON_OUTSIDE && !redisson_looks_held(r))
        return 0;
    if (c != NULL && !connection_is_foreign(c) && !connection_on_loop(c))
        PyErr_Format(PyExc_RuntimeError, "lock %R is held or waited for on another event loop", r->key);
    else
        PyErr_Format(PyExc_RuntimeError,
                     "lock %R is in use by another task of this process: make one Redisson for each "
                     "`async with`; it costs nothing",
                     r->key);
    return -1;
}

/* ---- life ---- */

static struct redisson *redisson_alloc(PyTypeObject *type, struct module_state *state)
{
    struct redisson *r = (struct redisson *)type->tp_alloc(type, 0);

    if (r != NULL)
        r->state = state;
    return r;
}

static PyObject *redisson_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    struct module_state *state = state_of_type(type);

    (void)args;
    (void)kwargs;
    return state == NULL ? NULL : (PyObject *)redisson_alloc(type, state);
}

/* Takes on the constructor's arguments, or leaves all as it was. */
static int redisson_set(struct redisson *r, PyObject *const *given)
{
    struct args_settings settings;
    PyObject *key;

    if (state_check(r->state) < 0 || args_settings(given, &settings) < 0)
        return -1;
    key = given[ARGS_KEY] == NULL ? Py_NewRef(r->state->str_global)
                                  : args_key(given[ARGS_KEY], r->state->uuid_type);
    if (key == NULL)
        return -1;
    if (registry_check(r->state, given[ARGS_REDIS]) < 0) {
        Py_DECREF(key);
        return -1;
    }
    Py_XSETREF(r->key, key);
    Py_XSETREF(r->redis, Py_NewRef(given[ARGS_REDIS]));
    Py_XSETREF(r->carry, Py_NewRef(given[ARGS_CARRY] == NULL ? Py_None : given[ARGS_CARRY]));
    r->ttl = settings.ttl;
    r->sleep_low = settings.sleep_low;
    r->sleep_high = settings.sleep_high;
    r->tries = settings.tries;
    r->patience = settings.patience;
    r->stall_limit = settings.stall_limit;
    r->required = settings.required;
    loss_set(&r->loss, &settings);
    return 0;
}

static int redisson_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    struct redisson *r = REDISSON(self);
    PyObject *given[ARGS_REDISSON];

    if (r->redis != NULL && redisson_check_free(r) < 0)
        return -1;
    if (args_sort_tuple(&args_redisson_shape, args, kwargs, given) < 0)
        return -1;
    return redisson_set(r, given);
}

static PyObject *redisson_vectorcall(PyObject *type, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    struct module_state *state = PyType_GetModuleState((PyTypeObject *)type);
    PyObject *given[ARGS_REDISSON];
    struct redisson *r;

    if (state == NULL || args_sort(&args_redisson_shape, state->argument_names, args,
                                   PyVectorcall_NARGS(nargsf), kwnames, given) < 0)
        return NULL;
    r = redisson_alloc((PyTypeObject *)type, state);
    if (r != NULL && redisson_set(r, given) < 0)
        Py_CLEAR(r);
    return (PyObject *)r;
}

void redisson_type_speed_up(PyTypeObject *type)
{
    type->tp_vectorcall = redisson_vectorcall;
}

static int redisson_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct redisson *r = REDISSON(self);

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->redis);
    Py_VISIT(r->carry);
    Py_VISIT(r->connection);
    return loss_traverse(&r->loss, visit, arg);
}

static int redisson_clear(PyObject *self)
{
    struct redisson *r = REDISSON(self);

    if (r->connection != NULL && connection_is_foreign(r->connection))
        redisson_forget_foreign(r);
    else
        redisson_lose(r);
    Py_CLEAR(r->redis);
    Py_CLEAR(r->carry);
    loss_clear(&r->loss);
    return 0;
}

/* Collected while held: the lease is given back in the loop's next turn. */
static void redisson_finalize(PyObject *self)
{
    struct redisson *r = REDISSON(self);
    struct connection *c;
    PyObject *error;

    if (r->handle == NULL || connection_is_foreign(r->connection))
        return;
    error = compat_error_take();
    if (engine_look(r->connection, r->handle, clock_now()) &&
        PyErr_ResourceWarning(self, 1, "lock %R was collected while it was held; it is released", r->key) < 0)
        PyErr_WriteUnraisable(self);
    c = redisson_give_back(r);
    if (c != NULL)
        connection_pump_later(c);
    Py_XDECREF(c);
    compat_error_give(error);
}

static void redisson_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    if (REDISSON(self)->handle != NULL && PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    if (REDISSON(self)->weakrefs != NULL)
        PyObject_ClearWeakRefs(self);
    (void)redisson_clear(self);
    Py_CLEAR(REDISSON(self)->key);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- what is awaited ---- */

static PyObject *redisson_call(struct redisson *r, const struct call *call)
{
    return redisson_check_made(r) < 0 ? NULL : (PyObject *)waiter_new(r, call);
}

static int redisson_acquire_arguments(PyObject *const *given, bool *once, arl_ns *patience)
{
    int blocking = given[0] == NULL ? 1 : PyObject_IsTrue(given[0]);

    if (blocking < 0 || args_patience(given[1], patience) < 0)
        return -1;
    *once = !blocking;
    if (blocking || *patience == ARGS_PATIENCE_UNSET)
        return 0;
    PyErr_SetString(PyExc_ValueError, "blocking_timeout must not be given with blocking=False");
    return -1;
}

static PyObject *redisson_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"blocking", "blocking_timeout"};
    static const struct args_shape shape = {"acquire", names, 2, 2, 0};
    arl_ns patience = ARGS_PATIENCE_UNSET;
    bool once = false;
    PyObject *given[2], *call;

    if (nargs > 0 || kwnames != NULL) {
        if (args_sort(&shape, NULL, args, nargs, kwnames, given) < 0)
            return NULL;
        if (redisson_acquire_arguments(given, &once, &patience) < 0)
            return NULL;
    }
    call = redisson_call(REDISSON(self), &call_acquire);
    if (call != NULL) {
        ((struct waiter *)call)->argument = patience;
        ((struct waiter *)call)->once = once;
    }
    return call;
}

static PyObject *redisson_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    return redisson_call(REDISSON(self), &call_release);
}

static PyObject *redisson_extend(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    static const char *const names[] = {"seconds"};
    static const struct args_shape shape = {"extend", names, 1, 1, 1};
    PyObject *given[1], *call;
    arl_ns ttl;

    if (args_sort(&shape, NULL, args, nargs, kwnames, given) < 0 || args_ttl(given[0], "seconds", &ttl) < 0)
        return NULL;
    call = redisson_call(REDISSON(self), &call_extend);
    if (call != NULL)
        ((struct waiter *)call)->argument = ttl;
    return call;
}

static PyObject *redisson_locked(PyObject *self, PyObject *unused)
{
    (void)unused;
    return redisson_call(REDISSON(self), &call_locked);
}

static PyObject *redisson_aenter(PyObject *self, PyObject *unused)
{
    PyObject *call = redisson_call(REDISSON(self), &call_aenter);

    (void)unused;
    if (call != NULL)
        ((struct waiter *)call)->argument = ARGS_PATIENCE_UNSET;
    return call;
}

static PyObject *redisson_aexit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *call;

    if (nargs != 3) {
        PyErr_Format(PyExc_TypeError, "__aexit__() takes 3 arguments (%zd given)", nargs);
        return NULL;
    }
    call = redisson_call(REDISSON(self), &call_aexit);
    if (call != NULL && args[0] != Py_None)
        ((struct waiter *)call)->raised = Py_NewRef(args[1] == Py_None ? args[0] : args[1]);
    return call;
}

/* ---- what is answered at once ---- */

static PyObject *redisson_is_locked(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(redisson_looks_held(REDISSON(self)));
}

static double redisson_seconds_left(struct redisson *r)
{
    if (!redisson_looks_held(r))
        return 0.0;
    return (double)engine_remaining(r->connection, r->handle, clock_now()) / 1e9;
}

static PyObject *redisson_remaining(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyFloat_FromDouble(redisson_seconds_left(REDISSON(self)));
}

/* Raises LockLostError: the lease is certain, but not for so long. */
static void redisson_set_too_short(struct redisson *r, double left, double wanted)
{
    char numbers[2][32];

    (void)PyOS_snprintf(numbers[0], sizeof(numbers[0]), "%.3f", left);
    (void)PyOS_snprintf(numbers[1], sizeof(numbers[1]), "%.3f", wanted);
    PyErr_Format(r->state->lock_lost, "lock %R is certain for %s s, not for %s s", r->key, numbers[0],
                 numbers[1]);
}

static PyObject *redisson_ensure_held(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *kwnames)
{
    static const char *const names[] = {"seconds"};
    static const struct args_shape shape = {"ensure_held", names, 1, 1, 0};
    struct redisson *r = REDISSON(self);
    PyObject *given[1];
    arl_ns wanted = 0;
    double left;

    if (redisson_check_made(r) < 0 || args_sort(&shape, NULL, args, nargs, kwnames, given) < 0)
        return NULL;
    if (given[0] != NULL && given[0] != Py_None && args_ttl(given[0], "seconds", &wanted) < 0)
        return NULL;
    left = redisson_seconds_left(r);
    if (left > 0.0 && left >= (double)wanted / 1e9)
        Py_RETURN_NONE;
    if (left > 0.0)
        redisson_set_too_short(r, left, (double)wanted / 1e9);
    else
        loss_set_error(r);
    return NULL;
}

static PyObject *redisson_uuid(PyObject *self, PyObject *unused)
{
    struct redisson *r = REDISSON(self);
    char text[RESP_TOKEN_TEXT];

    (void)unused;
    if (!r->has_token && entropy_token(NULL, r->token) < 0) {
        PyErr_SetString(PyExc_OSError, arl_strerror(ARL_EENTROPY));
        return NULL;
    }
    r->has_token = true;
    resp_token_text(r->token, text);
    return PyUnicode_FromStringAndSize(text, RESP_TOKEN_TEXT - 1);
}

static PyObject *redisson_no_copy(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyErr_Format(
        PyExc_TypeError,
        "%.200s cannot be copied or pickled: a lease belongs to one object of one process; make another "
        "with the same key",
        Py_TYPE(self)->tp_name);
    return NULL;
}

static PyObject *redisson_repr(PyObject *self)
{
    struct redisson *r = REDISSON(self);
    const char *dot = strrchr(Py_TYPE(self)->tp_name, '.');
    const char *name = dot == NULL ? Py_TYPE(self)->tp_name : dot + 1;
    double left;
    char number[32];

    if (r->key == NULL)
        return PyUnicode_FromFormat("<%s not made>", name);
    left = redisson_seconds_left(r);
    if (left <= 0.0)
        return PyUnicode_FromFormat("<%s key=%R not held>", name, r->key);
    (void)PyOS_snprintf(number, sizeof(number), "%.2f", left);
    return PyUnicode_FromFormat("<%s key=%R held remaining=%ss>", name, r->key, number);
}

/* ---- the type ---- */

#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef redisson_methods[] = {
    {"acquire", FASTCALL(redisson_acquire), METH_FASTCALL | METH_KEYWORDS, redisson_acquire_doc},
    {"release", redisson_release, METH_NOARGS, redisson_release_doc},
    {"extend", FASTCALL(redisson_extend), METH_FASTCALL | METH_KEYWORDS, redisson_extend_doc},
    {"locked", redisson_locked, METH_NOARGS, redisson_locked_doc},
    {"is_locked", redisson_is_locked, METH_NOARGS, redisson_is_locked_doc},
    {"ensure_held", FASTCALL(redisson_ensure_held), METH_FASTCALL | METH_KEYWORDS, redisson_ensure_held_doc},
    {"remaining", redisson_remaining, METH_NOARGS, redisson_remaining_doc},
    {"uuid", redisson_uuid, METH_NOARGS, redisson_uuid_doc},
    {"__aenter__", redisson_aenter, METH_NOARGS, redisson_aenter_doc},
    {"__aexit__", FASTCALL(redisson_aexit), METH_FASTCALL, redisson_aexit_doc},
    {"__reduce__", redisson_no_copy, METH_NOARGS, redisson_no_copy_doc},
    {"__reduce_ex__", redisson_no_copy, METH_O, redisson_no_copy_doc},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef redisson_members[] = {
    {"redis", T_OBJECT_EX, offsetof(struct redisson, redis), READONLY, redisson_redis_doc},
    {"key", T_OBJECT_EX, offsetof(struct redisson, key), READONLY, redisson_key_doc},
    {"carry", T_OBJECT, offsetof(struct redisson, carry), 0, redisson_carry_doc},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct redisson, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot redisson_slots[] = {
    {Py_tp_doc, (void *)redisson_doc},
    {Py_tp_new, redisson_new},
    {Py_tp_init, redisson_init},
    {Py_tp_traverse, redisson_traverse},
    {Py_tp_clear, redisson_clear},
    {Py_tp_finalize, redisson_finalize},
    {Py_tp_dealloc, redisson_dealloc},
    {Py_tp_repr, redisson_repr},
    {Py_tp_methods, redisson_methods},
    {Py_tp_members, redisson_members},
    {0, NULL},
};

PyType_Spec redisson_spec = {
    .name = "aioredlock_c.Redisson",
    .basicsize = sizeof(struct redisson),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = redisson_slots,
};
