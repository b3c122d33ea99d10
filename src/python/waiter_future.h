/* waiter_future.h - a waiter as the future that it yields: the protocol of asyncio.Future. */
#ifndef PYTHON_WAITER_FUTURE_H
#define PYTHON_WAITER_FUTURE_H

#include "python/waiter_type.h"

/* Calls every done callback in the loop's next turn, and forgets them. 0, or -1 with an exception. */
int waiter_call_back_soon(struct waiter *waiter);

/* Methods of the Python type: those of asyncio.Future, with its meaning of each. */
PyObject *waiter_add_done_callback(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                                   PyObject *kwnames);
PyObject *waiter_remove_done_callback(PyObject *self, PyObject *callback);
PyObject *waiter_cancel(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames);
PyObject *waiter_is_cancelled(PyObject *self, PyObject *unused);
PyObject *waiter_is_done(PyObject *self, PyObject *unused);
PyObject *waiter_result(PyObject *self, PyObject *unused);
PyObject *waiter_get_loop(PyObject *self, PyObject *unused);

#endif
