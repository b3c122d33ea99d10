#include "python/fork.h"

#include <pthread.h>
#include <sys/mman.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "python/connection_type.h"
#include "python/registry.h"
#include "watchdog/watchdog.h"

/* ---- the mark ---- */

static size_t fork_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static void fork_mark(struct module_state *state)
{
    state->pid = getpid();
#ifdef MADV_WIPEONFORK
    void *page = mmap(NULL, fork_page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (page == MAP_FAILED)
        return;
    if (madvise(page, fork_page(), MADV_WIPEONFORK) != 0) {
        (void)munmap(page, fork_page());
        return;
    }
    state->mark = page;
    *state->mark = 1;
#endif
}

void fork_forget(struct module_state *state)
{
    if (state->mark != NULL)
        (void)munmap((void *)state->mark, fork_page());
    state->mark = NULL;
}

void fork_happened(struct module_state *state)
{
    state->pid = getpid();
    if (state->mark != NULL)
        *state->mark = 1;
    watchdog_forked(state->watchdog);
    registry_forked(state);
}

/* ---- the hooks: each is called with a weak reference to the module ---- */

static struct module_state *fork_state(PyObject *reference, PyObject **module)
{
    *module = compat_weakref_get(reference);
    return *module == NULL ? NULL : PyModule_GetState(*module);
}

/* With the GIL, so that no thread starts it again: it needs none to end, which takes less than a millisecond. */
static PyObject *fork_before(PyObject *reference, PyObject *unused)
{
    PyObject *module;
    struct module_state *state = fork_state(reference, &module);

    (void)unused;
    if (state != NULL && !fork_is_unnoticed(state))
        watchdog_stop(state->watchdog);
    Py_XDECREF(module);
    Py_RETURN_NONE;
}

static int fork_go_on(void *reference)
{
    PyObject *module;
    struct module_state *state = fork_state(reference, &module);

    if (state != NULL && !fork_is_unnoticed(state))
        registry_watch(state);
    Py_XDECREF(module);
    Py_DECREF((PyObject *)reference);
    return 0;
}

/* The process's first thread, which alone runs pending calls of CPython's. */
static bool fork_is_main_thread(void)
{
#if defined(__linux__)
    return syscall(SYS_gettid) == getpid();
#elif defined(__APPLE__)
    return pthread_main_np() != 0;
#else
    return true;
#endif
}

/* The watchdog starts when the fork is over: CPython counts the threads after this hook. But at once where another
 * thread forked: it is warned of anyhow, and the main one may stand still. */
static PyObject *fork_after_in_parent(PyObject *reference, PyObject *unused)
{
    (void)unused;
    Py_INCREF(reference);
    if (!fork_is_main_thread() || Py_AddPendingCall(fork_go_on, reference) < 0)
        (void)fork_go_on(reference);
    Py_RETURN_NONE;
}

static PyObject *fork_after_in_child(PyObject *reference, PyObject *unused)
{
    PyObject *module;
    struct module_state *state = fork_state(reference, &module);

    (void)unused;
    if (state != NULL)
        fork_happened(state);
    Py_XDECREF(module);
    Py_RETURN_NONE;
}

static PyMethodDef fork_methods[] = {
    {"before", fork_before, METH_NOARGS, NULL},
    {"after_in_parent", fork_after_in_parent, METH_NOARGS, NULL},
    {"after_in_child", fork_after_in_child, METH_NOARGS, NULL},
};

/* The hooks by name; os.register_at_fork has no way back, so that they hold the module weakly. */
static PyObject *fork_hooks(PyObject *module)
{
    PyObject *reference = PyWeakref_NewRef(module, NULL);
    PyObject *hooks = reference == NULL ? NULL : PyDict_New();

    for (size_t i = 0; hooks != NULL && i < sizeof(fork_methods) / sizeof(fork_methods[0]); i++) {
        PyObject *hook = PyCFunction_New(&fork_methods[i], reference);

        if (hook == NULL || PyDict_SetItemString(hooks, fork_methods[i].ml_name, hook) < 0)
            Py_CLEAR(hooks);
        Py_XDECREF(hook);
    }
    Py_XDECREF(reference);
    return hooks;
}

int fork_register(PyObject *module)
{
    PyObject *hooks = fork_hooks(module);
    PyObject *os = hooks == NULL ? NULL : PyImport_ImportModule("os");
    PyObject *method = os == NULL ? NULL : PyObject_GetAttrString(os, "register_at_fork");
    PyObject *none = method == NULL ? NULL : PyTuple_New(0);
    PyObject *result = none == NULL ? NULL : PyObject_Call(method, none, hooks);

    fork_mark(PyModule_GetState(module));
    Py_XDECREF(hooks);
    Py_XDECREF(os);
    Py_XDECREF(method);
    Py_XDECREF(none);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}
