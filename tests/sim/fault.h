/* fault.h - what goes wrong, and when: at a drawn time, or at a drawn step of a command on its way. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "agenda.h"
#include "core/arl.h"
#include "plan.h"

struct link;
struct message;
struct process;

enum fault_kind {
    /* safe */
    FAULT_PAUSE,       /* a process does nothing */
    FAULT_STALL,       /* a loop does nothing; its watchdog goes on */
    FAULT_CUT,         /* a connection is cut */
    FAULT_FALL_SILENT, /* a connection carries nothing any more, and nobody says so */
    FAULT_SILENT,      /* the server does nothing */
    FAULT_UNREACHABLE, /* a connection is cut, and dialling fails for a while */
    FAULT_FORGET,      /* the server forgets its scripts */
    FAULT_ERROR,       /* a command is answered by an error */
    FAULT_KILL,        /* a process dies; another takes its place */
    FAULT_CLOSE,       /* a loop shuts down; another takes its place */
    FAULT_SAFE_KINDS,
    /* unsafe */
    FAULT_DELETE = FAULT_SAFE_KINDS, /* a key is deleted by others */
    FAULT_OVERWRITE,                 /* .. set without asking */
    FAULT_CHANGE_TYPE,               /* .. replaced by another type */
    FAULT_EMPTY,                     /* the server restarts with nothing */
    FAULT_GO_BACK,                   /* failover to a copy that is behind */
    FAULT_KINDS
};

/* Steps of a command at which a fault may wait for it. */
enum fault_stage { FAULT_WRITTEN, FAULT_EXECUTED, FAULT_ANSWERED, FAULT_STAGES };

/* A fault that waits for the next command of this kind of its process. */
struct trap {
    bool set;
    enum fault_kind kind;
    enum fault_stage stage;
    enum arl_verb verb;
    uint8_t which;       /* enum process_link: the connection that it sprang on */
    struct alarm spring; /* it happens once the step at hand is done */
};

struct fault {
    struct alarm alarm;
};

#define FAULTS_MAX 64

struct faults {
    struct fault planned[FAULTS_MAX];
    struct alarm copy; /* the replica takes its copy */
};

void faults_start(struct sim *sim);

/* Nothing goes wrong any more, and what was disturbed goes on. */
void faults_stop(struct sim *sim);

/* A command of a process is at this step. */
void fault_stage(struct sim *sim, struct link *link, enum fault_stage stage, const struct message *message);

/* The server's answer to a command, or the error that is to come instead. */
enum arl_outcome fault_answer(struct sim *sim, const struct link *link, const struct message *message);

#endif
