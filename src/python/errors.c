#include "python/errors.h"

/* ---- exceptions of the client's library ---- */

/* "lock 'no1': <what>"; new reference. */
static PyObject *errors_text(PyObject *key, PyObject *what)
{
    return PyUnicode_FromFormat("lock %R: %S", key, what);
}

/* Sets an exception of the client's class `attribute`; RuntimeError where there is no client. */
static void errors_set_client(struct connection *c, const char *attribute, PyObject *key, const char *what)
{
    PyObject *class = c == NULL || c->client == NULL ? Py_NewRef(PyExc_RuntimeError)
                                                     : PyObject_GetAttrString(c->client, attribute);

    if (class == NULL)
        return;
    PyErr_Format(class, "lock %R: %s", key, what);
    Py_DECREF(class);
}

/* Puts the key in front of the message of an exception that was made for this lock alone. */
static int errors_name_key(PyObject *error, PyObject *key)
{
    PyObject *text = errors_text(key, error);
    PyObject *old = text == NULL ? NULL : PyObject_GetAttrString(error, "args");
    PyObject *rest = NULL, *first = NULL, *args = NULL;
    int result = -1;

    if (old != NULL && PyTuple_Check(old))
        rest = PyTuple_GetSlice(old, 1, PyTuple_GET_SIZE(old));
    if (rest != NULL)
        first = PyTuple_Pack(1, text);
    if (first != NULL)
        args = PySequence_Concat(first, rest);
    if (args != NULL)
        result = PyObject_SetAttrString(error, "args", args);
    Py_XDECREF(text);
    Py_XDECREF(old);
    Py_XDECREF(rest);
    Py_XDECREF(first);
    Py_XDECREF(args);
    return result;
}

static void errors_raise(PyObject *error)
{
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
}

static void errors_set_server(struct connection *c, PyObject *key, PyObject *text)
{
    PyObject *error = text == NULL ? NULL : PyObject_CallMethod(c->client, "server_error", "O", text);

    if (text == NULL)
        errors_set_client(c, "connection_error", key, "the server answered with an error");
    if (error == NULL)
        return;
    if (!PyExceptionInstance_Check(error) || errors_name_key(error, key) < 0) {
        Py_DECREF(error);
        if (!PyErr_Occurred())
            PyErr_Format(PyExc_TypeError, "lock %R: the client made no exception of %R", key, text);
        return;
    }
    errors_raise(error);
}

/* An exception like `cause`, of its class and with its text, for one waiter. */
static PyObject *errors_like(struct connection *c, PyObject *key, PyObject *cause)
{
    PyObject *text = errors_text(key, cause);
    PyObject *error = text == NULL ? NULL : PyObject_CallOneArg((PyObject *)Py_TYPE(cause), text);

    if (text != NULL && (error == NULL || !PyExceptionInstance_Check(error))) {
        PyErr_Clear(); /* its class wants other arguments */
        Py_XDECREF(error);
        error = PyObject_CallMethod(c->client, "connection_error", "O", text);
    }
    Py_XDECREF(text);
    return error;
}

static void errors_set_unreachable(struct connection *c, PyObject *key, PyObject *cause)
{
    PyObject *error;

    if (cause == NULL || !PyExceptionInstance_Check(cause)) {
        errors_set_client(c, "connection_error", key, "the server cannot be reached");
        return;
    }
    error = errors_like(c, key, cause);
    if (error == NULL)
        return;
    PyException_SetCause(error, Py_NewRef(cause));
    errors_raise(error);
}

/* ---- the table ---- */

void errors_set_cause(struct module_state *state, struct connection *c, PyObject *key, enum arl_cause cause,
                      PyObject *detail)
{
    switch (cause) {
    case ARL_SERVER_ERROR:
        errors_set_server(c, key, detail);
        return;
    case ARL_UNREACHABLE:
        errors_set_unreachable(c, key, detail);
        return;
    case ARL_NO_ANSWER:
        errors_set_client(c, "timeout_error", key, "the server did not answer in time");
        return;
    case ARL_CLOSED:
        errors_set_client(c, "connection_error", key, "the connection was closed");
        return;
    case ARL_NOT_OWNED:
    case ARL_LOST:
        PyErr_Format(state->lock_not_owned, "lock %R is not held", key);
        return;
    case ARL_GAVE_UP:
        PyErr_Format(state->lock_not_acquired, "lock %R was not acquired", key);
        return;
    case ARL_NO_MEMORY:
        PyErr_NoMemory();
        return;
    case ARL_NO_ENTROPY:
        PyErr_Format(PyExc_OSError, "lock %R: %s", key, arl_strerror(ARL_EENTROPY));
        return;
    case ARL_DONE:
        break;
    }
    PyErr_Format(PyExc_SystemError, "lock %R: ended without a cause", key);
}

void errors_set_code(struct module_state *state, struct connection *c, PyObject *key, int code)
{
    switch (code) {
    case ARL_ENOMEM:
        errors_set_cause(state, c, key, ARL_NO_MEMORY, NULL);
        return;
    case ARL_ENOTHELD:
        errors_set_cause(state, c, key, ARL_NOT_OWNED, NULL);
        return;
    case ARL_EENTROPY:
        errors_set_cause(state, c, key, ARL_NO_ENTROPY, NULL);
        return;
    case ARL_ECLOSED:
        errors_set_cause(state, c, key, ARL_CLOSED, NULL);
        return;
    default:
        PyErr_Format(PyExc_SystemError, "lock %R: %s", key, arl_strerror(code));
    }
}

/* ---- what nobody awaits ---- */

static int errors_tell_loop(struct connection *c, const char *message, PyObject *error)
{
    PyObject *context = Py_BuildValue("{sssO}", "message", message, "exception", error);
    PyObject *result = NULL;

    if (context != NULL)
        result = PyObject_CallMethod(c->loop, "call_exception_handler", "O", context);
    Py_XDECREF(context);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

void errors_report(struct connection *c, const char *message)
{
    PyObject *error = compat_error_take();
    int told;

    if (error == NULL)
        return;
    if (PyObject_IsInstance(error, PyExc_Exception) == 1)
        told = errors_tell_loop(c, message, error);
    else /* uvloop would take it for an error of the transport */
        told = connection_call_soon(c, c->state->raise_later, error, NULL);
    if (told < 0)
        PyErr_WriteUnraisable((PyObject *)c);
    Py_DECREF(error);
}
