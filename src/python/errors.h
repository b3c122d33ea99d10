/* errors.h - from the codes and causes of the floors below to Python's exceptions. */
#ifndef PYTHON_ERRORS_H
#define PYTHON_ERRORS_H

#include "python/compat.h"

#include "core/arl.h"
#include "python/connection_type.h"

/* Sets the exception for the way that a call on the lock `key` ended. `detail`: the waiter's error, the server's
 * text or the dial's exception, or NULL. The connection gives the client's classes; NULL where there is none. */
void errors_set_cause(struct module_state *state, struct connection *connection, PyObject *key,
                      enum arl_cause cause, PyObject *detail);

/* The same for a negative code of an engine's function. */
void errors_set_code(struct module_state *state, struct connection *connection, PyObject *key, int code);

/* Hands the exception that is set to loop.call_exception_handler; KeyboardInterrupt and SystemExit leave the loop
 * in its next turn. No exception is set afterwards. */
void errors_report(struct connection *connection, const char *message);

#endif
