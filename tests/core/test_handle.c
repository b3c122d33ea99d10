/* handle.c and the owner's inputs of engine.c: what each call does in each state of a handle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static void no_tries_give_up_at_once_without_io(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    want.tries = 0;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    assert_int_equal(arl_handle_state(a), ARL_ENDED);
    assert_int_equal(arl_handle_cause(a), ARL_GAVE_UP);
    world_expect(&w, "1000 ended A gave up\n");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    arl_engine_drop(w.engine, a, w.now);
    assert_false(arl_engine_wants_connection(w.engine));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_tries_give_up_at_once_without_io),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
