#include "python/stats.h"

#include "python/connection_type.h"
#include "python/engine_calls.h"

struct stat_named {
    const char *name;
    unsigned long long value;
};

static PyObject *stats_dict(const struct stat_named *stats, size_t count)
{
    PyObject *dict = PyDict_New();

    for (size_t i = 0; dict != NULL && i < count; i++) {
        PyObject *value = PyLong_FromUnsignedLongLong(stats[i].value);

        if (value == NULL || PyDict_SetItemString(dict, stats[i].name, value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

PyObject *stats_of(struct connection *c)
{
    struct arl_counters counters;

    engine_count(c, &counters);
    const struct stat_named stats[] = {
        {"acquired", counters.acquired},
        {"handed_off", counters.handed_off},
        {"released", counters.released},
        {"given_up", counters.given_up},
        {"waiting_now", arl_engine_waiting_now(c->engine)},
        {"held_now", arl_engine_held_now(c->engine)},
        {"tries", counters.tries},
        {"renewals", counters.renewals},
        {"renewed_elsewhere", counters.renewed_elsewhere},
        {"lost", counters.lost},
        {"reconnects", c->reconnects},
        {"bytes_in", c->bytes_in},
        {"bytes_out", c->bytes_out},
    };
    return stats_dict(stats, sizeof(stats) / sizeof(stats[0]));
}

void stats_remember(struct connection *c)
{
    PyObject *error, *result;

    if (c->state->remember == NULL) /* the interpreter is on its way out */
        return;
    error = compat_error_take();
    result = PyObject_CallOneArg(c->state->remember, (PyObject *)c);
    if (result == NULL)
        PyErr_WriteUnraisable((PyObject *)c);
    Py_XDECREF(result);
    compat_error_give(error);
}
