/* inside.h - what must hold within an engine between any two inputs, whatever a server answered. */
#ifndef INSIDE_H
#define INSIDE_H

#include "core/engine.h"

/* NULL, or the text of the first condition that does not hold. */
const char *inside_wrong(const struct arl_engine *engine);

#endif
