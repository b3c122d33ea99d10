/* claim.c: the wait queue's one bid on the server, in flight, in doubt, answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void a_lease_settled_late_is_not_granted_where_it_may_outlive_the_holders_ex(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want longer = world_want("no1"), shorter = world_want("no1");
    longer.ttl = 5 * ARL_SECOND;
    shorter.ttl = ARL_SECOND;
    struct arl_handle *a = world_acquire(&w, &longer, "A");
    struct arl_handle *b = world_acquire(&w, &shorter, "B");
    world_down(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_run(&w, 5500);
    world_forget(&w);
    world_up(&w);
    world_expect(&w, "6500 RENEW no1 t1 1000\n");
    /* The TRY may have reached the server only a moment ago, from the old connection. */
    world_reply(&w, 1, ARL_YES);
    world_expect(&w, "6501 RELEASE no1 t1\n6501 TRY no1 t2 1000\n");
    world_reply(&w, 1, ARL_YES);
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "6502 granted B\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_settled_late_is_not_granted_where_it_may_outlive_the_holders_ex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
