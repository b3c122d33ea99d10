/* loss.h - how the end of a lease that was not released is told: by a WARNING, a callable, or a cancel.
 *
 * A loss is noted where it is found, which may be within any call or on any thread, and told on the loop's:
 * a callable and a cancel from callbacks of the loop alone, in its next turn. */
#ifndef PYTHON_LOSS_H
#define PYTHON_LOSS_H

#include "python/compat.h"

#include <stdbool.h>

struct args_settings;
struct connection;
struct redisson;

enum loss_how {
    LOSS_NONE,  /* not lost */
    LOSS_KNOWN, /* the lease was over, or not ours any more */
    LOSS_LATE   /* its RELEASE was answered "no" */
};

/* What a Redisson keeps for it. All zeros: a WARNING tells. */
struct loss {
    PyObject *on_lost;   /* the callable, owned, or NULL */
    PyObject *context;   /* a copy of the last acquire's, owned: on_lost runs in it; or NULL */
    PyObject *task;      /* that runs the body, owned, while it is inside; for on_lost="cancel" alone */
    unsigned long holds; /* how many there were: a cancel meant for one must not hit the next */
    long requests;       /* cancel requests of the task that were open when the body was entered */
    bool cancel;         /* on_lost="cancel" */
    bool cancelled;      /* the task was cancelled by us, and that has not been taken back */
    uint8_t how;         /* enum loss_how, of the last hold */
};

/* Takes on what the constructor was given. */
void loss_set(struct loss *loss, const struct args_settings *settings);

int loss_traverse(struct loss *loss, visitproc visit, void *arg);
void loss_clear(struct loss *loss);

/* May it be acquired so (`body`: by `async with`)? 0, or -1 with RuntimeError. Forgets the last hold's loss. */
int loss_check(struct redisson *redisson, bool body);

/* The running task holds the lock from now on. 0, or -1 with an exception. */
int loss_hold_begins(struct redisson *redisson, bool body);

/* The body has ended, and is not cancelled any more: our cancel is taken back. 1: a CancelledError that leaves
 * the body is ours alone; 0: it is not; -1 with an exception. */
int loss_body_ends(struct redisson *redisson);

/* Its hold was lost. loss_tell later, on the loop's thread; calls nobody. */
void loss_note(struct connection *connection, struct redisson *redisson, enum loss_how how);

/* The same where whoever calls is about to raise it: only a callable is told besides. */
void loss_note_raised(struct connection *connection, struct redisson *redisson, enum loss_how how);

/* Tells what was noted. */
void loss_tell(struct connection *connection);

/* A WARNING about a loss that nothing else tells. */
void loss_warn(struct redisson *redisson);

/* Sets LockLostError for the last hold, or for there being none. */
void loss_set_error(struct redisson *redisson);

/* LockLostError where the last hold was lost, else LockNotOwnedError. */
void loss_set_not_owned(struct redisson *redisson);

/* The functions that loops call, made with the module: call_soon(tell, noted), call_soon(cancel, noted). */
PyObject *loss_make_call(void);
PyObject *loss_make_cancel(void);

#endif
