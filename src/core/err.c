#include "arl.h"

const char *arl_strerror(int code)
{
    switch (code) {
    case 0:
        return "success";
    case ARL_ENOMEM:
        return "out of memory";
    case ARL_ENOTHELD:
        return "the lock is not held";
    case ARL_EUNASKED:
        return "the server sent a reply that nothing asked for";
    case ARL_EENTROPY:
        return "the system has no randomness to give";
    case ARL_ECLOSED:
        return "the connection was closed";
    default:
        return "unknown error";
    }
}
