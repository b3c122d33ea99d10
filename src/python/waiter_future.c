/* The future's side of a waiter: what asyncio.Task, in C and in Python, asks of what was yielded to it. */
#include "python/connection_type.h"
#include "python/waiter_future.h"

#define WAITER(self) ((struct waiter *)(self))

static struct module_state *waiter_state(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

static bool waiter_done(const struct waiter *w)
{
    return w->woken || w->cancelled;
}

/* ---- calling back ---- */

static int waiter_call_soon(struct waiter *w, PyObject *callback, PyObject *context)
{
    PyObject *news;

    if (w->connection == NULL || w->connection->call_soon == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "nothing is waited for");
        return -1;
    }
    news = w->woken ? connection_news_for(w->connection, w, callback) : (PyObject *)w;
    return connection_call_soon(w->connection, callback, news, context);
}

static int waiter_call_pair_soon(struct waiter *w, PyObject *pair)
{
    PyObject *context = PyTuple_GET_ITEM(pair, 1);

    return waiter_call_soon(w, PyTuple_GET_ITEM(pair, 0), context == Py_None ? NULL : context);
}

int waiter_call_back_soon(struct waiter *w)
{
    PyObject *callback = w->callback, *context = w->context, *more = w->more;
    int result = 0;

    w->callback = w->context = w->more = NULL;
    if (callback != NULL)
        result = waiter_call_soon(w, callback, context);
    for (Py_ssize_t i = 0; result == 0 && more != NULL && i < PyList_GET_SIZE(more); i++)
        result = waiter_call_pair_soon(w, PyList_GET_ITEM(more, i));
    Py_XDECREF(callback);
    Py_XDECREF(context);
    Py_XDECREF(more);
    return result;
}

static int waiter_add_more(struct waiter *w, PyObject *callback, PyObject *context)
{
    PyObject *pair = PyTuple_Pack(2, callback, context == NULL ? Py_None : context);
    int result = -1;

    if (w->more == NULL)
        w->more = PyList_New(0);
    if (w->more != NULL && pair != NULL)
        result = PyList_Append(w->more, pair);
    Py_XDECREF(pair);
    return result;
}

static int waiter_add_callback(struct waiter *w, PyObject *callback, PyObject *context)
{
    if (waiter_done(w))
        return waiter_call_soon(w, callback, context);
    if (w->callback != NULL)
        return waiter_add_more(w, callback, context);
    w->callback = Py_NewRef(callback);
    w->context = context == NULL ? PyContext_CopyCurrent() : Py_NewRef(context);
    return w->context == NULL ? -1 : 0;
}

PyObject *waiter_add_done_callback(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *context = NULL;

    if (nargs == 1 && kwnames != NULL && PyTuple_GET_SIZE(kwnames) == 1 &&
        PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), "context") == 0) {
        context = args[1] == Py_None ? NULL : args[1];
    } else if (nargs != 1 || kwnames != NULL) {
        PyErr_SetString(PyExc_TypeError, "add_done_callback(callback, *, context=None)");
        return NULL;
    }
    if (waiter_add_callback(WAITER(self), args[0], context) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* How often `callback` was among `more`, which it is taken out of; -1 with an exception. */
static Py_ssize_t waiter_remove_more(struct waiter *w, PyObject *callback)
{
    Py_ssize_t removed = 0;

    for (Py_ssize_t i = w->more == NULL ? 0 : PyList_GET_SIZE(w->more); i > 0; i--) {
        int equal =
            PyObject_RichCompareBool(PyTuple_GET_ITEM(PyList_GET_ITEM(w->more, i - 1), 0), callback, Py_EQ);

        if (equal < 0 || (equal > 0 && PySequence_DelItem(w->more, i - 1) < 0))
            return -1;
        removed += equal;
        if (w->more == NULL || i - 1 > PyList_GET_SIZE(w->more))
            break; /* the comparison called back */
    }
    return removed;
}

PyObject *waiter_remove_done_callback(PyObject *self, PyObject *callback)
{
    struct waiter *w = WAITER(self);
    Py_ssize_t removed = waiter_remove_more(w, callback);
    int equal =
        removed < 0 || w->callback == NULL ? 0 : PyObject_RichCompareBool(w->callback, callback, Py_EQ);

    if (removed < 0 || equal < 0)
        return NULL;
    if (equal > 0) {
        Py_CLEAR(w->callback);
        Py_CLEAR(w->context);
        removed++;
    }
    return PyLong_FromSsize_t(removed);
}

/* ---- state ---- */

PyObject *waiter_is_done(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(waiter_done(WAITER(self)));
}

PyObject *waiter_is_cancelled(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(WAITER(self)->cancelled);
}

/* cancel(msg=None): True where the task will be told of it, as asyncio.Future's. */
PyObject *waiter_cancel(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    struct waiter *w = WAITER(self);
    Py_ssize_t given = nargs + (kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames));

    if (given > 1 || (kwnames != NULL && given == 1 &&
                      PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), "msg") != 0)) {
        PyErr_SetString(PyExc_TypeError, "cancel(msg=None)");
        return NULL;
    }
    if (waiter_done(w) || w->phase != WAITER_BEGUN)
        Py_RETURN_FALSE;
    Py_XSETREF(w->message, given == 0 || args[0] == Py_None ? NULL : Py_NewRef(args[0]));
    w->cancelled = true;
    if (waiter_call_back_soon(w) < 0)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *waiter_raise_cancelled(struct waiter *w)
{
    PyObject *class = waiter_state((PyObject *)w)->cancelled_error;

    if (w->message == NULL)
        PyErr_SetNone(class);
    else
        PyErr_SetObject(class, w->message);
    return NULL;
}

/* None once it was woken: what the call gives is told by the coroutine's side. Also as exception(). */
PyObject *waiter_result(PyObject *self, PyObject *unused)
{
    struct waiter *w = WAITER(self);

    (void)unused;
    if (w->cancelled)
        return waiter_raise_cancelled(w);
    if (w->woken)
        Py_RETURN_NONE;
    PyErr_SetString(waiter_state(self)->invalid_state, "Result is not set.");
    return NULL;
}

PyObject *waiter_get_loop(PyObject *self, PyObject *unused)
{
    struct waiter *w = WAITER(self);

    (void)unused;
    return Py_NewRef(w->connection == NULL || w->connection->loop == NULL ? Py_None : w->connection->loop);
}
