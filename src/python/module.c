/* The module: what it imports, its types, its few functions, and the hook of a fork. */
#include "python/clock.h"
#include "python/connection_type.h"
#include "python/fork.h"
#include "python/loss.h"
#include "python/redisson_type.h"
#include "python/registry.h"
#include "python/state.h"
#include "python/waiter_type.h"
#include "resp/scripts.h"
#include "watchdog/watchdog.h"

/* ---- state ---- */

struct module_state *state_of_type(PyTypeObject *type)
{
#if PY_VERSION_HEX >= 0x030B0000
    PyObject *module = PyType_GetModuleByDef(type, &core_module);

    return module == NULL ? NULL : PyModule_GetState(module);
#else
    PyObject *mro = type->tp_mro;

    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        PyObject *module =
            base->tp_flags & Py_TPFLAGS_HEAPTYPE ? ((PyHeapTypeObject *)base)->ht_module : NULL;

        if (module != NULL && PyModule_GetDef(module) == &core_module)
            return PyModule_GetState(module);
    }
    PyErr_SetString(PyExc_TypeError, "not a type of this module");
    return NULL;
#endif
}

int state_check(struct module_state *state)
{
    if (state->waiter_type != NULL)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "the interpreter is shutting down");
    return -1;
}

PyObject *state_running_loop(struct module_state *state)
{
    PyObject *loop;

    if (state->get_running_loop == NULL) /* the interpreter is on its way out */
        return NULL;
    loop = PyObject_CallNoArgs(state->get_running_loop);
    if (loop == Py_None)
        Py_CLEAR(loop);
    return loop;
}

void state_warn(struct module_state *state, const char *format, PyObject *arguments)
{
    PyObject *method = NULL, *text = NULL, *call = NULL, *result = NULL;

    if (state->logger != NULL && arguments != NULL)
        method = PyObject_GetAttrString(state->logger, "warning");
    if (method != NULL)
        text = PyUnicode_FromString(format);
    if (text != NULL) {
        PyObject *first = PyTuple_Pack(1, text);

        call = first == NULL ? NULL : PySequence_Concat(first, arguments);
        Py_XDECREF(first);
    }
    if (call != NULL)
        result = PyObject_CallObject(method, call);
    if (PyErr_Occurred())
        PyErr_WriteUnraisable(state->logger);
    Py_XDECREF(arguments);
    Py_XDECREF(method);
    Py_XDECREF(text);
    Py_XDECREF(call);
    Py_XDECREF(result);
}

/* ---- functions ---- */

static PyObject *core_scripts(PyObject *module, PyObject *unused)
{
    static const char *const names[ARL_VERBS] = {
        [ARL_TRY] = "TRY", [ARL_RENEW] = "RENEW", [ARL_RELEASE] = "RELEASE", [ARL_PEEK] = "PEEK"};
    PyObject *scripts = PyDict_New();

    (void)module;
    (void)unused;
    for (int verb = 0; scripts != NULL && verb < ARL_VERBS; verb++) {
        const struct resp_script *script = resp_script_of((enum arl_verb)verb);
        PyObject *pair = script == NULL ? NULL : Py_BuildValue("(ss)", script->text, script->sha1);

        if (script == NULL)
            continue;
        if (pair == NULL || PyDict_SetItemString(scripts, names[verb], pair) < 0)
            Py_CLEAR(scripts);
        Py_XDECREF(pair);
    }
    return scripts;
}

static PyObject *core_connection_of(PyObject *module, PyObject *pool)
{
    struct module_state *state = PyModule_GetState(module);
    PyObject *loop = state_running_loop(state);
    struct connection *connection;

    if (loop == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "no running event loop");
        return NULL;
    }
    connection = registry_find(state, pool, loop);
    Py_DECREF(loop);
    return connection == NULL ? Py_NewRef(Py_None) : (PyObject *)connection;
}

PyDoc_STRVAR(core_scripts_doc,
             "_scripts($module, /)\n--\n\nThe scripts that run on the server: verb -> (text, SHA1).");
PyDoc_STRVAR(core_connection_of_doc, "connection_of($module, pool, /)\n"
                                     "--\n"
                                     "\n"
                                     "The connection of a pool on the running loop, or None.");

static PyMethodDef core_methods[] = {
    {"_scripts", core_scripts, METH_NOARGS, core_scripts_doc},
    {"connection_of", core_connection_of, METH_O, core_connection_of_doc},
    {NULL, NULL, 0, NULL},
};

/* Raises what it is called with: the way for a KeyboardInterrupt out of the loop. */
static PyObject *core_raise_later(PyObject *self, PyObject *error)
{
    (void)self;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    return NULL;
}

static PyMethodDef core_raise_later_method = {"raise_later", core_raise_later, METH_O, NULL};

/* ---- making the module ---- */

struct import {
    const char *module;
    const char *name;
    size_t offset; /* of the field in struct module_state */
};

#define IMPORT(module, name, field) {module, name, offsetof(struct module_state, field)}

static const struct import imports[] = {
    IMPORT("asyncio.events", "_get_running_loop", get_running_loop),
    IMPORT("asyncio", "Task", task_type),
    IMPORT("asyncio", "CancelledError", cancelled_error),
    IMPORT("asyncio", "InvalidStateError", invalid_state),
    IMPORT("asyncio", "current_task", current_task),
    IMPORT("asyncio", "iscoroutine", iscoroutine),
    IMPORT("uuid", "UUID", uuid_type),
    IMPORT("aioredlock_c.exceptions", "LockLostError", lock_lost),
    IMPORT("aioredlock_c.exceptions", "LockNotOwnedError", lock_not_owned),
    IMPORT("aioredlock_c.exceptions", "LockNotAcquiredError", lock_not_acquired),
    IMPORT("aioredlock_c.connect", "describe", describe),
    IMPORT("aioredlock_c.connect", "pool_of", pool_of),
    IMPORT("aioredlock_c.connect", "dial", dial),
    IMPORT("aioredlock_c.connect", "start_keeper", start_keeper),
    IMPORT("aioredlock_c.connect", "stop_keeper", stop_keeper),
    IMPORT("aioredlock_c.connect", "wake", wake),
    IMPORT("aioredlock_c.counters", "remember", remember),
};

/* A name of a module, new reference. */
static PyObject *core_import(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *value = module == NULL ? NULL : PyObject_GetAttrString(module, name);

    Py_XDECREF(module);
    return value;
}

static int core_imports(struct module_state *state)
{
    for (size_t i = 0; i < sizeof(imports) / sizeof(imports[0]); i++) {
        PyObject *value = core_import(imports[i].module, imports[i].name);

        if (value == NULL)
            return -1;
        *(PyObject **)((char *)state + imports[i].offset) = value;
    }
    return 0;
}

static int core_names(struct module_state *state)
{
    for (int i = 0; i < ARGS_REDISSON; i++) {
        state->argument_names[i] = PyUnicode_InternFromString(args_redisson_names[i]);
        if (state->argument_names[i] == NULL)
            return -1;
    }
    state->str_connection_pool = PyUnicode_InternFromString("connection_pool");
    state->str_global = PyUnicode_InternFromString("global");
    state->kwnames_context = Py_BuildValue("(s)", "context");
    if (state->str_connection_pool == NULL || state->str_global == NULL || state->kwnames_context == NULL)
        return -1;
    return 0;
}

static int core_logger(struct module_state *state)
{
    PyObject *get = core_import("logging", "getLogger");

    state->logger = get == NULL ? NULL : PyObject_CallFunction(get, "s", "aioredlock_c");
    Py_XDECREF(get);
    return state->logger == NULL ? -1 : 0;
}

static int core_losses(struct module_state *state)
{
    state->loss_call = loss_make_call();
    state->loss_cancel = loss_make_cancel();
    state->telling = PySet_New(NULL);
    return state->loss_call == NULL || state->loss_cancel == NULL || state->telling == NULL ? -1 : 0;
}

/* A type of the module; `base`: a new reference, stolen, or NULL with an exception. */
static PyTypeObject *core_type(PyObject *module, PyType_Spec *spec, PyObject *base)
{
    PyObject *bases = base == NULL ? NULL : PyTuple_Pack(1, base);
    PyObject *type = bases == NULL ? NULL : PyType_FromModuleAndSpec(module, spec, bases);

    Py_XDECREF(base);
    Py_XDECREF(bases);
    return (PyTypeObject *)type;
}

static int core_types(PyObject *module, struct module_state *state)
{
    PyObject *object = (PyObject *)&PyBaseObject_Type;

    state->redisson_type = core_type(module, &redisson_spec, Py_NewRef(object));
    state->waiter_type = core_type(module, &waiter_spec, Py_NewRef(object));
    state->connection_type = core_type(module, &connection_spec, core_import("asyncio", "BufferedProtocol"));
    if (state->redisson_type == NULL || state->waiter_type == NULL || state->connection_type == NULL)
        return -1;
    redisson_type_speed_up(state->redisson_type);
    if (PyModule_AddType(module, state->redisson_type) < 0)
        return -1;
    return PyModule_AddType(module, state->connection_type);
}

static int core_exec(PyObject *module)
{
    struct module_state *state = PyModule_GetState(module);

    state->watchdog = watchdog_new(clock_now);
    if (state->watchdog == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (core_imports(state) < 0 || core_names(state) < 0 || core_logger(state) < 0)
        return -1;
    state->raise_later = PyCFunction_New(&core_raise_later_method, NULL);
    if (state->raise_later == NULL || core_losses(state) < 0 || core_types(module, state) < 0)
        return -1;
    return fork_register(module);
}

/* Every object of the state, for the garbage collector. */
#define STATE_OBJECTS(DO)                                                                                    \
    DO(redisson_type)                                                                                        \
    DO(connection_type)                                                                                      \
    DO(waiter_type)                                                                                          \
    DO(get_running_loop)                                                                                     \
    DO(task_type)                                                                                            \
    DO(cancelled_error)                                                                                      \
    DO(invalid_state)                                                                                        \
    DO(current_task)                                                                                         \
    DO(iscoroutine)                                                                                          \
    DO(lock_lost)                                                                                            \
    DO(lock_not_owned)                                                                                       \
    DO(lock_not_acquired)                                                                                    \
    DO(uuid_type)                                                                                            \
    DO(logger)                                                                                               \
    DO(raise_later)                                                                                          \
    DO(loss_call)                                                                                            \
    DO(loss_cancel)                                                                                          \
    DO(telling)                                                                                              \
    DO(describe)                                                                                             \
    DO(pool_of)                                                                                              \
    DO(dial)                                                                                                 \
    DO(start_keeper)                                                                                         \
    DO(stop_keeper)                                                                                          \
    DO(wake)                                                                                                 \
    DO(remember)                                                                                             \
    DO(known_type)                                                                                           \
    DO(known_pool_ref)                                                                                       \
    DO(str_connection_pool)                                                                                  \
    DO(str_global)                                                                                           \
    DO(kwnames_context)

static int core_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct module_state *state = PyModule_GetState(module);

#define VISIT(field) Py_VISIT(state->field);
    STATE_OBJECTS(VISIT)
#undef VISIT
    return 0;
}

static int core_clear(PyObject *module)
{
    struct module_state *state = PyModule_GetState(module);

#define CLEAR(field) Py_CLEAR(state->field);
    STATE_OBJECTS(CLEAR)
#undef CLEAR
    for (int i = 0; i < ARGS_REDISSON; i++)
        Py_CLEAR(state->argument_names[i]);
    return 0;
}

static void core_free(void *module)
{
    struct module_state *state = PyModule_GetState(module);

    (void)core_clear(module);
    watchdog_del(state->watchdog); /* the collector may have cleared the types: connections can be left */
    state->watchdog = NULL;
    fork_forget(state);
}

static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
#ifdef Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#ifdef Py_MOD_GIL_USED
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

PyDoc_STRVAR(core_doc, "Locks for asyncio, in C. Use it by the names that aioredlock_c exports.");

PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,       .m_name = "aioredlock_c._core",
    .m_doc = core_doc,           .m_size = sizeof(struct module_state),
    .m_methods = core_methods,   .m_slots = core_slots,
    .m_traverse = core_traverse, .m_clear = core_clear,
    .m_free = core_free,
};

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}
