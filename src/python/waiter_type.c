#include "python/engine_calls.h"
#include "python/waiter_type.h"

#include <stddef.h>
#include <string.h>

#include "python/clock.h"
#include "python/connection_type.h"
#include "python/redisson_type.h"
#include "python/waiter_future.h"

#define WAITER(self) ((struct waiter *)(self))

/* ---- life ---- */

struct waiter *waiter_new(struct redisson *redisson, const struct call *call)
{
    size_t head = offsetof(struct waiter, call);
    struct waiter *w;

    if (state_check(redisson->state) < 0)
        return NULL;
    w = PyObject_GC_New(struct waiter, redisson->state->waiter_type);
    if (w == NULL)
        return NULL;
    memset((char *)w + head, 0, sizeof(*w) - head);
    w->call = call;
    w->redisson = (struct redisson *)Py_NewRef((PyObject *)redisson);
    PyObject_GC_Track(w);
    return w;
}

/* Lets go of everything: whoever woke the task that runs on from here still holds the waiter itself. */
static void waiter_finish(struct waiter *w)
{
    w->phase = WAITER_FINISHED;
    w->blocking = false;
    Py_CLEAR(w->callback);
    Py_CLEAR(w->context);
    Py_CLEAR(w->more);
    Py_CLEAR(w->message);
    Py_CLEAR(w->error);
    Py_CLEAR(w->raised);
    Py_CLEAR(w->connection);
    Py_CLEAR(w->redisson);
}

/* Gives back what the call has, and what it waits for; no exception may be set. */
static void waiter_give_back(struct waiter *w)
{
    struct connection *c = w->connection;

    if (w->redisson != NULL)
        w->call->abandon(w);
    if (w->ask != NULL)
        engine_drop_ask(c, w->ask);
    if (w->handle != NULL)
        engine_drop(c, w->handle, clock_now());
    w->ask = NULL;
    w->handle = NULL;
}

/* Ends a call that waits; no exception may be set. Now, or in the loop's next turn: no I/O in a finalizer. */
static void waiter_abandon(struct waiter *w, bool now)
{
    struct connection *c = (struct connection *)Py_XNewRef((PyObject *)w->connection);

    waiter_give_back(w);
    waiter_finish(w);
    if (c != NULL && now)
        connection_pump_anywhere(c, clock_now());
    else if (c != NULL)
        connection_pump_later(c);
    Py_XDECREF(c);
}

static void waiter_finalize(PyObject *self)
{
    struct waiter *w = WAITER(self);
    PyObject *error;

    if (w->phase == WAITER_FINISHED)
        return;
    error = compat_error_take();
    if (w->phase == WAITER_CREATED) {
        if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s' was never awaited", w->call->name) < 0)
            PyErr_WriteUnraisable(self);
        waiter_finish(w);
    } else { /* its task was destroyed */
        waiter_abandon(w, false);
    }
    compat_error_give(error);
}

static int waiter_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct waiter *w = WAITER(self);

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(w->redisson);
    Py_VISIT(w->connection);
    Py_VISIT(w->callback);
    Py_VISIT(w->context);
    Py_VISIT(w->more);
    Py_VISIT(w->message);
    Py_VISIT(w->error);
    Py_VISIT(w->raised);
    return 0;
}

static int waiter_clear(PyObject *self)
{
    struct waiter *w = WAITER(self);

    if (w->phase == WAITER_BEGUN)
        waiter_give_back(w);
    waiter_finish(w);
    return 0;
}

static void waiter_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    if (WAITER(self)->phase != WAITER_FINISHED && PyObject_CallFinalizerFromDealloc(self) < 0)
        return;
    PyObject_GC_UnTrack(self);
    (void)waiter_clear(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

bool waiter_check(PyObject *object)
{
    return Py_TYPE(object)->tp_dealloc == waiter_dealloc;
}

/* ---- driving ---- */

static PySendResult waiter_stepped(struct waiter *w, enum call_step step, PyObject *value, PyObject **result)
{
    if (step == CALL_WAIT) {
        w->woken = false;
        w->cancelled = false;
        w->blocking = true;
        *result = Py_NewRef((PyObject *)w);
        return PYGEN_NEXT;
    }
    if (step == CALL_ERROR) {
        PyObject *error = compat_error_take();

        waiter_give_back(w);
        waiter_finish(w);
        compat_error_give(error);
        *result = NULL;
        return PYGEN_ERROR;
    }
    waiter_finish(w);
    *result = value;
    return PYGEN_RETURN;
}

static PySendResult waiter_am_send(PyObject *self, PyObject *sent, PyObject **result)
{
    struct waiter *w = WAITER(self);
    PyObject *value = NULL;
    enum call_step step;

    *result = NULL;
    if (w->phase == WAITER_FINISHED) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return PYGEN_ERROR;
    }
    if (w->phase == WAITER_CREATED) {
        if (sent != Py_None) {
            PyErr_SetString(PyExc_TypeError, "can't send non-None value to a just-started coroutine");
            return PYGEN_ERROR;
        }
        w->phase = WAITER_BEGUN;
        step = w->call->begin(w, &value);
    } else {
        step = w->call->resume(w, &value);
    }
    return waiter_stepped(w, step, value, result);
}

/* What a step gave, the way of an iterator: NULL with StopIteration when it returned. */
static PyObject *waiter_as_iteration(PySendResult status, PyObject *result)
{
    if (status != PYGEN_RETURN)
        return result;
    if (result == Py_None)
        PyErr_SetNone(PyExc_StopIteration);
    else
        PyErr_SetObject(PyExc_StopIteration, result);
    Py_DECREF(result);
    return NULL;
}

static PyObject *waiter_send(PyObject *self, PyObject *sent)
{
    PyObject *result;
    PySendResult status = waiter_am_send(self, sent, &result);

    return waiter_as_iteration(status, result);
}

static PyObject *waiter_iternext(PyObject *self)
{
    return waiter_send(self, Py_None);
}

static PyObject *waiter_await(PyObject *self)
{
    if (WAITER(self)->phase == WAITER_CREATED)
        return Py_NewRef(self);
    PyErr_SetString(PyExc_RuntimeError, WAITER(self)->phase == WAITER_BEGUN
                                            ? "coroutine is being awaited already"
                                            : "cannot reuse already awaited coroutine");
    return NULL;
}

static PyObject *waiter_await_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return waiter_await(self);
}

/* ---- throw and close ---- */

/* The exception that throw(type[, value[, traceback]]) means, new reference; NULL with TypeError. */
static PyObject *waiter_thrown(PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *type = args[0], *value = nargs > 1 && args[1] != Py_None ? args[1] : NULL;
    PyObject *traceback = nargs > 2 && args[2] != Py_None ? args[2] : NULL;
    PyObject *error = NULL;

    if (PyExceptionInstance_Check(type) && value == NULL)
        error = Py_NewRef(type);
    else if (PyExceptionClass_Check(type) && value != NULL && PyExceptionInstance_Check(value))
        error = Py_NewRef(value);
    else if (PyExceptionClass_Check(type))
        error = value == NULL ? PyObject_CallNoArgs(type) : PyObject_CallOneArg(type, value);
    else
        PyErr_SetString(PyExc_TypeError,
                        "exceptions must be classes or instances deriving from BaseException");
    if (error != NULL && !PyExceptionInstance_Check(error)) {
        PyErr_SetString(PyExc_TypeError, "calling an exception class must give an instance of BaseException");
        Py_CLEAR(error);
    }
    if (error != NULL && traceback != NULL && PyException_SetTraceback(error, traceback) < 0)
        Py_CLEAR(error);
    return error;
}

static PyObject *waiter_throw(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    struct waiter *w = WAITER(self);
    PyObject *error;

    if (nargs < 1 || nargs > 3) {
        PyErr_SetString(PyExc_TypeError, "throw(type[, value[, traceback]])");
        return NULL;
    }
    if (w->phase == WAITER_FINISHED) {
        PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
        return NULL;
    }
    error = waiter_thrown(args, nargs);
    if (error == NULL)
        return NULL;
    if (w->phase == WAITER_BEGUN)
        waiter_abandon(w, true);
    else
        waiter_finish(w);
    compat_error_give(error);
    return NULL;
}

static PyObject *waiter_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (WAITER(self)->phase == WAITER_BEGUN)
        waiter_abandon(WAITER(self), false); /* a coroutine that is collected closes what it waits for */
    else
        waiter_finish(WAITER(self));
    Py_RETURN_NONE;
}

/* ---- attributes ---- */

static PyObject *waiter_get_blocking(PyObject *self, void *closure)
{
    (void)closure;
    if (WAITER(self)->blocking)
        Py_RETURN_TRUE;
    Py_RETURN_NONE;
}

/* A task that takes what was yielded sets it to False. */
static int waiter_set_blocking(PyObject *self, PyObject *value, void *closure)
{
    (void)closure;
    WAITER(self)->blocking = value == Py_True;
    return 0;
}

static PyObject *waiter_get_qualname(PyObject *self, void *closure)
{
    (void)closure;
    return PyUnicode_FromString(WAITER(self)->call->name);
}

static PyObject *waiter_get_name(PyObject *self, void *closure)
{
    (void)closure;
    return PyUnicode_FromString(strchr(WAITER(self)->call->name, '.') + 1);
}

static PyObject *waiter_repr(PyObject *self)
{
    static const char *const phases[] = {"created", "waiting", "finished"};

    return PyUnicode_FromFormat("<coroutine %s %s>", WAITER(self)->call->name, phases[WAITER(self)->phase]);
}

#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function))

PyDoc_STRVAR(waiter_send_doc,
             "send($self, value, /)\n--\n\nBegins the call, or looks whether it has come to its end.");
PyDoc_STRVAR(waiter_throw_doc,
             "Ends the call: what it waited for is given back, and the exception is raised.");
PyDoc_STRVAR(waiter_close_doc, "close($self, /)\n--\n\nEnds the call: what it waited for is given back.");

static PyMethodDef waiter_methods[] = {
    {"send", waiter_send, METH_O, waiter_send_doc},
    {"throw", FASTCALL(waiter_throw), METH_FASTCALL, waiter_throw_doc},
    {"close", waiter_close, METH_NOARGS, waiter_close_doc},
    {"__await__", waiter_await_method, METH_NOARGS, NULL},
    {"add_done_callback", FASTCALL(waiter_add_done_callback), METH_FASTCALL | METH_KEYWORDS, NULL},
    {"remove_done_callback", waiter_remove_done_callback, METH_O, NULL},
    {"cancel", FASTCALL(waiter_cancel), METH_FASTCALL | METH_KEYWORDS, NULL},
    {"cancelled", waiter_is_cancelled, METH_NOARGS, NULL},
    {"done", waiter_is_done, METH_NOARGS, NULL},
    {"result", waiter_result, METH_NOARGS, NULL},
    {"exception", waiter_result, METH_NOARGS, NULL},
    {"get_loop", waiter_get_loop, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef waiter_getset[] = {
    {"_asyncio_future_blocking", waiter_get_blocking, waiter_set_blocking, NULL, NULL},
    {"__name__", waiter_get_name, NULL, NULL, NULL},
    {"__qualname__", waiter_get_qualname, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(waiter_doc, "A call on a lock that is to be awaited, once.");

static PyType_Slot waiter_slots[] = {
    {Py_tp_doc, (void *)waiter_doc},   {Py_tp_traverse, waiter_traverse}, {Py_tp_clear, waiter_clear},
    {Py_tp_finalize, waiter_finalize}, {Py_tp_dealloc, waiter_dealloc},   {Py_tp_repr, waiter_repr},
    {Py_tp_iternext, waiter_iternext}, {Py_am_await, waiter_await},       {Py_am_send, waiter_am_send},
    {Py_tp_methods, waiter_methods},   {Py_tp_getset, waiter_getset},     {0, NULL},
};

PyType_Spec waiter_spec = {
    .name = "aioredlock_c._core.Waiter",
    .basicsize = sizeof(struct waiter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = waiter_slots,
};
