#include "python/args.h"

#include <float.h>
#include <math.h>

#include "resp/format.h"

#define EX_LEAST 0.05
#define EX_MOST 1e9
#define SLEEP_MOST 1e9 /* seconds; a longer sleep is as good as this one */

const char *const args_redisson_names[ARGS_REDISSON] = {
    "redis",       "key",         "ex",          "sleeptime_l",      "sleeptime_h",
    "retry_count", "carry",       "retry_times", "blocking_timeout", "required",
    "on_lost",     "stall_limit",
};

const struct args_shape args_redisson_shape = {
    .function = "Redisson",
    .names = args_redisson_names,
    .count = ARGS_REDISSON,
    .positional = ARGS_POSITIONAL,
    .required = 1,
};

/* ---- sorting ---- */

static int args_index(const struct args_shape *shape, PyObject *const *interned, PyObject *name)
{
    for (int i = 0; interned != NULL && i < shape->count; i++)
        if (interned[i] == name)
            return i;
    for (int i = 0; PyUnicode_Check(name) && i < shape->count; i++)
        if (PyUnicode_CompareWithASCIIString(name, shape->names[i]) == 0)
            return i;
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%S'", shape->function, name);
    return -1;
}

static int args_put(const struct args_shape *shape, PyObject *const *interned, PyObject *name,
                    PyObject *value, PyObject **out)
{
    int i = args_index(shape, interned, name);

    if (i < 0)
        return -1;
    if (out[i] != NULL) {
        PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%s'", shape->function,
                     shape->names[i]);
        return -1;
    }
    out[i] = value;
    return 0;
}

static int args_positional(const struct args_shape *shape, PyObject *const *args, Py_ssize_t nargs,
                           PyObject **out)
{
    if (nargs > shape->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %d positional argument%s (%zd given)",
                     shape->function, shape->positional, shape->positional == 1 ? "" : "s", nargs);
        return -1;
    }
    for (int i = 0; i < shape->count; i++)
        out[i] = i < nargs ? args[i] : NULL;
    return 0;
}

static int args_complete(const struct args_shape *shape, PyObject *const *out)
{
    for (int i = 0; i < shape->required; i++) {
        if (out[i] != NULL)
            continue;
        PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", shape->function,
                     shape->names[i]);
        return -1;
    }
    return 0;
}

int args_sort(const struct args_shape *shape, PyObject *const *interned, PyObject *const *args,
              Py_ssize_t nargs, PyObject *kwnames, PyObject **out)
{
    Py_ssize_t named = kwnames == NULL ? 0 : PyTuple_GET_SIZE(kwnames);

    if (args_positional(shape, args, nargs, out) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < named; i++)
        if (args_put(shape, interned, PyTuple_GET_ITEM(kwnames, i), args[nargs + i], out) < 0)
            return -1;
    return args_complete(shape, out);
}

int args_sort_tuple(const struct args_shape *shape, PyObject *args, PyObject *kwargs, PyObject **out)
{
    PyObject *name, *value;
    Py_ssize_t position = 0;

    if (args_positional(shape, &PyTuple_GET_ITEM(args, 0), PyTuple_GET_SIZE(args), out) < 0)
        return -1;
    while (kwargs != NULL && PyDict_Next(kwargs, &position, &name, &value))
        if (args_put(shape, NULL, name, value, out) < 0)
            return -1;
    return args_complete(shape, out);
}

/* ---- numbers ---- */

/* ValueError "name must rule, not value"; the value is left out where it cannot be shown, as an int of too many
 * digits, and cut short where it is long. */
static void args_refuse_value(PyObject *value, const char *name, const char *rule)
{
    PyObject *shown = PyObject_Repr(value);

    if (shown != NULL) {
        PyErr_Format(PyExc_ValueError, "%s must %s, not %.200U", name, rule, shown);
    } else if (PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s must %s", name, rule);
    }
    Py_XDECREF(shown);
}

static bool args_is_number(PyObject *value)
{
    const PyNumberMethods *number = Py_TYPE(value)->tp_as_number;

    if (PyBool_Check(value) || PyComplex_Check(value))
        return false;
    return number != NULL && (number->nb_float != NULL || number->nb_index != NULL);
}

/* Seconds as a double; a number too large for one becomes an infinity. 0, or -1 with TypeError. */
static int args_seconds(PyObject *value, const char *name, const char *what, double *out)
{
    PyObject *zero;
    int negative;

    if (PyFloat_CheckExact(value)) {
        *out = PyFloat_AS_DOUBLE(value);
        return 0;
    }
    if (!args_is_number(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be %s, not %.200s", name, what, Py_TYPE(value)->tp_name);
        return -1;
    }
    *out = PyFloat_AsDouble(value);
    if (*out != -1.0 || !PyErr_Occurred())
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_OverflowError))
        return -1;
    PyErr_Clear();
    zero = PyLong_FromLong(0);
    if (zero == NULL)
        return -1;
    negative = PyObject_RichCompareBool(value, zero, Py_LT);
    Py_DECREF(zero);
    if (negative < 0)
        return -1;
    *out = negative ? -(double)INFINITY : (double)INFINITY;
    return 0;
}

/* Seconds > 0 below 9.2e9 as nanoseconds, never 0. */
static arl_ns args_ns(double seconds)
{
    arl_ns ns = (arl_ns)(seconds * 1e9 + 0.5);

    return ns > 0 ? ns : 1;
}

int args_ttl(PyObject *value, const char *name, arl_ns *out)
{
    double seconds;

    if (args_seconds(value, name, "a number of seconds", &seconds) < 0)
        return -1;
    if (!(seconds >= EX_LEAST && seconds <= EX_MOST)) {
        args_refuse_value(value, name, "be from 0.05 to 1e9 seconds");
        return -1;
    }
    *out = args_ns(seconds);
    return 0;
}

static int args_sleep(PyObject *value, const char *name, double *out)
{
    if (args_seconds(value, name, "a number of seconds", out) < 0)
        return -1;
    if (!(*out >= 0.0 && *out <= DBL_MAX)) {
        args_refuse_value(value, name, "be a finite number of seconds from 0 on");
        return -1;
    }
    return 0;
}

static arl_ns args_sleep_ns(double seconds)
{
    if (seconds <= 0.0)
        return 0;
    return seconds >= SLEEP_MOST ? args_ns(SLEEP_MOST) : args_ns(seconds);
}

static int args_sleeps(PyObject *low, PyObject *high, struct args_settings *out)
{
    double low_seconds = 0.02, high_seconds = 0.1;

    if (low != NULL && args_sleep(low, "sleeptime_l", &low_seconds) < 0)
        return -1;
    if (high != NULL && args_sleep(high, "sleeptime_h", &high_seconds) < 0)
        return -1;
    if (low_seconds > high_seconds) {
        PyErr_SetString(PyExc_ValueError, "sleeptime_l must not be above sleeptime_h");
        return -1;
    }
    out->sleep_low = args_sleep_ns(low_seconds);
    out->sleep_high = args_sleep_ns(high_seconds);
    return 0;
}

int args_patience(PyObject *value, arl_ns *out)
{
    double seconds;

    *out = ARGS_PATIENCE_UNSET;
    if (value == NULL || value == Py_None)
        return 0;
    if (args_seconds(value, "blocking_timeout", "None or a number of seconds", &seconds) < 0)
        return -1;
    if (!(seconds >= 0.0)) {
        args_refuse_value(value, "blocking_timeout", "be a number of seconds from 0 on");
        return -1;
    }
    if (seconds >= 9e9)
        *out = ARL_NEVER;
    else
        *out = seconds > 0.0 ? args_ns(seconds) : 0;
    return 0;
}

static int args_tries(PyObject *value, const char *name, int64_t *out)
{
    PyObject *index;
    int overflow;
    long long count;

    if (value == Py_None) {
        *out = ARL_TRIES_WITHOUT_LIMIT;
        return 0;
    }
    if (PyBool_Check(value) || !PyIndex_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be an int or None, not %.200s", name, Py_TYPE(value)->tp_name);
        return -1;
    }
    index = PyNumber_Index(value);
    if (index == NULL)
        return -1;
    count = PyLong_AsLongLongAndOverflow(index, &overflow);
    Py_DECREF(index);
    if (count == -1 && PyErr_Occurred())
        return -1;
    if (overflow < 0 || (overflow == 0 && count < 0)) {
        PyErr_Format(PyExc_ValueError, "%s must not be negative", name);
        return -1;
    }
    *out = overflow > 0 ? INT64_MAX : (int64_t)count;
    return 0;
}

static int args_count(PyObject *retry_count, PyObject *retry_times, int64_t *out)
{
    *out = 10;
    if (retry_times == NULL || retry_times == Py_None)
        return retry_count == NULL ? 0 : args_tries(retry_count, "retry_count", out);
    if (retry_count != NULL) {
        PyErr_SetString(PyExc_TypeError, "retry_times is another name of retry_count: give only one of them");
        return -1;
    }
    return args_tries(retry_times, "retry_times", out);
}

static int args_required(PyObject *value, bool *out)
{
    int truth = value == NULL ? 0 : PyObject_IsTrue(value);

    *out = truth > 0;
    return truth < 0 ? -1 : 0;
}

static int args_stall_limit(PyObject *value, arl_ns *out)
{
    double seconds = 60.0;

    if (value != NULL && args_seconds(value, "stall_limit", "a number of seconds", &seconds) < 0)
        return -1;
    if (!(seconds >= 0.0)) {
        args_refuse_value(value, "stall_limit", "be a number of seconds from 0 on");
        return -1;
    }
    if (seconds >= 9e9)
        *out = ARL_NEVER;
    else
        *out = seconds > 0.0 ? args_ns(seconds) : 0;
    return 0;
}

static int args_on_lost_text(PyObject *value, bool *cancel)
{
    if (PyUnicode_CompareWithASCIIString(value, "cancel") != 0) {
        args_refuse_value(value, "on_lost", "be a callable, \"cancel\" or None");
        return -1;
    }
#if PY_VERSION_HEX < 0x030B0000
    (void)cancel;
    PyErr_SetString(PyExc_ValueError, "on_lost=\"cancel\" needs Python 3.11 or later");
    return -1;
#else
    *cancel = true;
    return 0;
#endif
}

static int args_on_lost(PyObject *value, struct args_settings *out)
{
    out->on_lost = NULL;
    out->cancel = false;
    if (value == NULL || value == Py_None)
        return 0;
    if (PyUnicode_Check(value))
        return args_on_lost_text(value, &out->cancel);
    if (PyCallable_Check(value)) {
        out->on_lost = value;
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "on_lost must be a callable, \"cancel\" or None, not %.200s",
                 Py_TYPE(value)->tp_name);
    return -1;
}

int args_settings(PyObject *const *given, struct args_settings *out)
{
    out->ttl = 10 * ARL_SECOND;
    if (given[ARGS_EX] != NULL && args_ttl(given[ARGS_EX], "ex", &out->ttl) < 0)
        return -1;
    if (args_sleeps(given[ARGS_SLEEPTIME_L], given[ARGS_SLEEPTIME_H], out) < 0)
        return -1;
    if (args_count(given[ARGS_RETRY_COUNT], given[ARGS_RETRY_TIMES], &out->tries) < 0)
        return -1;
    if (args_patience(given[ARGS_BLOCKING_TIMEOUT], &out->patience) < 0)
        return -1;
    if (args_on_lost(given[ARGS_ON_LOST], out) < 0 ||
        args_stall_limit(given[ARGS_STALL_LIMIT], &out->stall_limit) < 0)
        return -1;
    return args_required(given[ARGS_REQUIRED], &out->required);
}

/* ---- the key ---- */

static PyObject *args_key_text(PyObject *key, PyObject *uuid_type)
{
    int is_uuid;

    if (PyUnicode_CheckExact(key))
        return Py_NewRef(key);
    if (PyBytes_Check(key) || PyByteArray_Check(key)) {
        PyErr_SetString(PyExc_TypeError, "key must be text, not bytes: decode it, as in key=name.decode()");
        return NULL;
    }
    is_uuid = PyObject_IsInstance(key, uuid_type);
    if (is_uuid < 0)
        return NULL;
    if (!is_uuid && !PyUnicode_Check(key) && (!PyLong_Check(key) || PyBool_Check(key))) {
        PyErr_Format(PyExc_TypeError, "key must be a str, an int or a uuid.UUID, not %.200s",
                     Py_TYPE(key)->tp_name);
        return NULL;
    }
    return PyObject_Format(key, NULL);
}

/* An int too long for Python to print, or text with lone surrogates, is a bad key. */
static void args_key_refused(void)
{
    if (!PyErr_ExceptionMatches(PyExc_ValueError))
        return;
    PyErr_Clear();
    PyErr_SetString(PyExc_ValueError, "key cannot be written as UTF-8 of at most 2048 bytes");
}

PyObject *args_key(PyObject *key, PyObject *uuid_type)
{
    PyObject *text = args_key_text(key, uuid_type);
    Py_ssize_t length;

    if (text == NULL || PyUnicode_AsUTF8AndSize(text, &length) == NULL) {
        args_key_refused();
        Py_XDECREF(text);
        return NULL;
    }
    if (length >= 1 && length <= RESP_KEY_MAX)
        return text;
    PyErr_Format(PyExc_ValueError, "key must be 1 to %d bytes long as UTF-8, not %zd", RESP_KEY_MAX, length);
    Py_DECREF(text);
    return NULL;
}
