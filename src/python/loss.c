#include "python/loss.h"

#include "python/args.h"
#include "python/connection_type.h"
#include "python/errors.h"
#include "python/redisson_type.h"

/* ---- what an object keeps ---- */

void loss_set(struct loss *loss, const struct args_settings *settings)
{
    Py_XSETREF(loss->on_lost, Py_XNewRef(settings->on_lost));
    loss->cancel = settings->cancel;
}

int loss_traverse(struct loss *loss, visitproc visit, void *arg)
{
    Py_VISIT(loss->on_lost);
    Py_VISIT(loss->context);
    Py_VISIT(loss->task);
    return 0;
}

void loss_clear(struct loss *loss)
{
    Py_CLEAR(loss->on_lost);
    Py_CLEAR(loss->context);
    Py_CLEAR(loss->task);
}

/* ---- a hold begins and ends ---- */

/* The number that a method of a task's returns; -1 with an exception. */
static long loss_requests(PyObject *task, const char *method)
{
    PyObject *requests = PyObject_CallMethod(task, method, NULL);
    long count = requests == NULL ? -1 : PyLong_AsLong(requests);

    Py_XDECREF(requests);
    return count;
}

/* The task that runs and how often its cancelling is requested: new reference; NULL with an exception. */
static PyObject *loss_running_task(struct redisson *r, long *requests)
{
    PyObject *task = PyObject_CallNoArgs(r->state->current_task);

    if (task == Py_None) {
        PyErr_Format(PyExc_RuntimeError, "lock %R: on_lost=\"cancel\" cancels a task, and none runs", r->key);
        Py_CLEAR(task);
    }
    *requests = task == NULL ? -1 : loss_requests(task, "cancelling");
    if (*requests < 0)
        Py_CLEAR(task);
    return task;
}

int loss_check(struct redisson *r, bool body)
{
    PyObject *task;
    long requests;

    r->loss.how = LOSS_NONE;
    if (!r->loss.cancel)
        return 0;
    if (!body) {
        PyErr_Format(PyExc_RuntimeError,
                     "lock %R: on_lost=\"cancel\" cancels the body of `async with`; acquire() has none",
                     r->key);
        return -1;
    }
    task = loss_running_task(r, &requests);
    Py_XDECREF(task);
    return task == NULL ? -1 : 0;
}

static int loss_enter(struct redisson *r)
{
    PyObject *task = loss_running_task(r, &r->loss.requests);

    r->loss.cancelled = false;
    Py_XSETREF(r->loss.task, task);
    return task == NULL ? -1 : 0;
}

int loss_hold_begins(struct redisson *r, bool body)
{
    PyObject *context;

    r->loss.holds++;
    if (r->loss.on_lost != NULL) {
        context = PyContext_CopyCurrent();
        if (context == NULL)
            return -1;
        Py_XSETREF(r->loss.context, context);
    }
    return body && r->loss.cancel ? loss_enter(r) : 0;
}

int loss_body_ends(struct redisson *r)
{
    PyObject *task = r->loss.task;
    long left;

    r->loss.task = NULL;
    if (task == NULL || !r->loss.cancelled) {
        Py_XDECREF(task);
        return 0;
    }
    r->loss.cancelled = false;
    left = loss_requests(task, "uncancel");
    Py_DECREF(task);
    return left < 0 ? -1 : left <= r->loss.requests;
}

/* ---- what is raised ---- */

static const char *loss_text(enum loss_how how)
{
    switch (how) {
    case LOSS_KNOWN:
        return "lock %R: the lease was lost";
    case LOSS_LATE:
        return "lock %R was lost before it was released";
    case LOSS_NONE:
        break;
    }
    return "lock %R is not held";
}

static PyObject *loss_error(struct redisson *r)
{
    PyObject *text = PyUnicode_FromFormat(loss_text(r->loss.how), r->key);
    PyObject *error = text == NULL ? NULL : PyObject_CallOneArg(r->state->lock_lost, text);

    Py_XDECREF(text);
    return error;
}

void loss_set_error(struct redisson *r)
{
    PyErr_Format(r->state->lock_lost, loss_text(r->loss.how), r->key);
}

void loss_set_not_owned(struct redisson *r)
{
    PyObject *class = r->loss.how == LOSS_NONE ? r->state->lock_not_owned : r->state->lock_lost;

    PyErr_Format(class, loss_text(r->loss.how), r->key);
}

/* ---- noting ---- */

/* What is noted, and then handed to a callback of the loop: a tuple. */
enum { NOTED_CONNECTION, NOTED_LOCK, NOTED_ERROR, NOTED_HOLD, NOTED_ON_LOST, NOTED_CONTEXT, NOTED_SIZE };

static PyObject *loss_noted(struct connection *c, struct redisson *r)
{
    PyObject *error = loss_error(r), *hold = PyLong_FromUnsignedLong(r->loss.holds), *noted = NULL;
    PyObject *on_lost = r->loss.on_lost == NULL ? Py_None : r->loss.on_lost;
    PyObject *context = r->loss.context == NULL ? Py_None : r->loss.context;

    if (error != NULL && hold != NULL)
        noted = PyTuple_Pack(NOTED_SIZE, (PyObject *)c, (PyObject *)r, error, hold, on_lost, context);
    Py_XDECREF(error);
    Py_XDECREF(hold);
    return noted;
}

void loss_note(struct connection *c, struct redisson *r, enum loss_how how)
{
    PyObject *noted, *list;

    r->loss.how = (uint8_t)how;
    noted = loss_noted(c, r);
    list = PyList_New(0); /* a garbage collection in here may note a loss itself */
    if (c->losses == NULL)
        c->losses = list;
    else
        Py_XDECREF(list);
    if (noted == NULL || c->losses == NULL || PyList_Append(c->losses, noted) < 0)
        PyErr_WriteUnraisable((PyObject *)c);
    Py_XDECREF(noted);
}

void loss_note_raised(struct connection *c, struct redisson *r, enum loss_how how)
{
    r->loss.how = (uint8_t)how;
    if (r->loss.on_lost == NULL)
        return;
    loss_note(c, r, how);
    loss_tell(c);
}

/* ---- telling ---- */

void loss_warn(struct redisson *r)
{
    const char *format =
        r->loss.how == LOSS_LATE ? "lock %r was lost before it was released" : "lock %r: the lease was lost";

    state_warn(r->state, format, PyTuple_Pack(1, r->key));
}

static void loss_tell_one(struct connection *c, PyObject *noted)
{
    struct redisson *r = (struct redisson *)PyTuple_GET_ITEM(noted, NOTED_LOCK);
    PyObject *context = PyTuple_GET_ITEM(noted, NOTED_CONTEXT);
    int result = 0;

    if (PyTuple_GET_ITEM(noted, NOTED_ON_LOST) != Py_None)
        result = connection_call_soon(c, c->state->loss_call, noted, context == Py_None ? NULL : context);
    else if (r->loss.cancel)
        result = connection_call_soon(c, c->state->loss_cancel, noted, NULL);
    else
        loss_warn(r);
    if (result < 0)
        errors_report(c, "the loss of a lock could not be told");
}

void loss_tell(struct connection *c)
{
    PyObject *losses = c->losses;

    c->losses = NULL;
    for (Py_ssize_t i = 0; losses != NULL && i < PyList_GET_SIZE(losses); i++)
        loss_tell_one(c, PyList_GET_ITEM(losses, i));
    Py_XDECREF(losses);
}

/* ---- the callable, in a turn of the loop ---- */

/* The task of an on_lost that is a coroutine has ended; `self` is what was noted. */
static PyObject *loss_task_done(PyObject *self, PyObject *task)
{
    struct connection *c = (struct connection *)PyTuple_GET_ITEM(self, NOTED_CONNECTION);
    PyObject *error, *cancelled = PyObject_CallMethod(task, "cancelled", NULL);

    if (c->state->telling != NULL && PySet_Discard(c->state->telling, task) < 0)
        PyErr_WriteUnraisable(task);
    if (cancelled != Py_False) {
        Py_XDECREF(cancelled);
        return cancelled == NULL ? NULL : Py_NewRef(Py_None);
    }
    Py_DECREF(cancelled);
    error = PyObject_CallMethod(task, "exception", NULL);
    if (error != NULL && error != Py_None) {
        compat_error_give(error);
        errors_report(c, "on_lost of a lock failed");
        Py_RETURN_NONE;
    }
    return error;
}

static PyMethodDef loss_task_done_method = {"on_lost_done", loss_task_done, METH_O, NULL};

/* Runs what on_lost returned, a coroutine, as a task that is kept until it is done. 0, or -1 with an exception. */
static int loss_run(PyObject *noted, PyObject *coroutine)
{
    struct connection *c = (struct connection *)PyTuple_GET_ITEM(noted, NOTED_CONNECTION);
    PyObject *task = PyObject_CallMethod(c->loop, "create_task", "O", coroutine);
    PyObject *done = task == NULL ? NULL : PyCFunction_New(&loss_task_done_method, noted);
    PyObject *result = NULL;

    if (done != NULL && PySet_Add(c->state->telling, task) == 0)
        result = PyObject_CallMethod(task, "add_done_callback", "O", done);
    Py_XDECREF(task);
    Py_XDECREF(done);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int loss_is_coroutine(struct module_state *state, PyObject *object)
{
    PyObject *is = PyObject_CallOneArg(state->iscoroutine, object);

    Py_XDECREF(is);
    return is == NULL ? -1 : is == Py_True;
}

static PyObject *loss_call(PyObject *self, PyObject *noted)
{
    struct connection *c = (struct connection *)PyTuple_GET_ITEM(noted, NOTED_CONNECTION);
    PyObject *result;
    int failed = -1;

    (void)self;
    if (connection_is_foreign(c) || c->loop == NULL)
        Py_RETURN_NONE;
    result = PyObject_CallFunctionObjArgs(PyTuple_GET_ITEM(noted, NOTED_ON_LOST),
                                          PyTuple_GET_ITEM(noted, NOTED_LOCK),
                                          PyTuple_GET_ITEM(noted, NOTED_ERROR), NULL);
    if (result != NULL)
        failed = loss_is_coroutine(c->state, result);
    if (failed > 0)
        failed = loss_run(noted, result);
    Py_XDECREF(result);
    if (failed < 0)
        errors_report(c, "on_lost of a lock failed");
    Py_RETURN_NONE;
}

static PyMethodDef loss_call_method = {"on_lost", loss_call, METH_O, NULL};

PyObject *loss_make_call(void)
{
    return PyCFunction_New(&loss_call_method, NULL);
}

/* ---- the cancel, in a turn of the loop ---- */

/* From a callback of the loop alone: a cancel from within the task's own step would stay pending after
 * uncancel() on Python 3.11 and 3.12. */
static PyObject *loss_cancel(PyObject *self, PyObject *noted)
{
    struct connection *c = (struct connection *)PyTuple_GET_ITEM(noted, NOTED_CONNECTION);
    struct redisson *r = (struct redisson *)PyTuple_GET_ITEM(noted, NOTED_LOCK);
    PyObject *result;

    (void)self;
    if (connection_is_foreign(c) || r->loss.task == NULL || r->loss.cancelled)
        Py_RETURN_NONE;
    if (r->loss.holds != PyLong_AsUnsignedLong(PyTuple_GET_ITEM(noted, NOTED_HOLD)))
        Py_RETURN_NONE; /* that body was left, and another entered */
    result = PyObject_CallMethod(r->loss.task, "cancel", NULL);
    if (result == NULL)
        return NULL;
    r->loss.cancelled = result == Py_True;
    Py_DECREF(result);
    Py_RETURN_NONE;
}

static PyMethodDef loss_cancel_method = {"cancel_body", loss_cancel, METH_O, NULL};

PyObject *loss_make_cancel(void)
{
    return PyCFunction_New(&loss_cancel_method, NULL);
}
