/* outbox.c: classes of requests, their order, and what may be taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/outbox.h"

static void the_classes_leave_in_their_order_each_first_in_first_out(void **state)
{
    struct arl_outbox outbox = {0};
    struct arl_request requests[8];
    static const enum arl_purpose purposes[] = {ARL_FOR_CLAIM_TRY, ARL_FOR_LEASE,     ARL_FOR_ASK,
                                                ARL_FOR_SETTLE,    ARL_FOR_CLAIM_TRY, ARL_FOR_CLAIM_DOUBT,
                                                ARL_FOR_ASK,       ARL_FOR_SETTLE};
    static const int order[] = {3, 7, 2, 6, 1, 5, 0, 4};
    (void)state;
    arl_outbox_init(&outbox);
    for (int i = 0; i < 8; i++) {
        arl_request_init(&requests[i], ARL_RENEW, purposes[i]);
        arl_outbox_queue(&outbox, &requests[i]);
        arl_outbox_queue(&outbox, &requests[i]); /* once is enough */
    }
    for (int i = 0; i < 8; i++) {
        assert_ptr_equal(arl_outbox_peek(&outbox), &requests[order[i]]);
        arl_outbox_sent(&outbox, &requests[order[i]], i);
    }
    assert_null(arl_outbox_peek(&outbox));
    assert_int_equal(outbox.unanswered_count, 8);
    for (int i = 0; i < 8; i++) {
        assert_ptr_equal(arl_outbox_oldest(&outbox), &requests[order[i]]);
        assert_true(arl_outbox_oldest(&outbox)->sent_at == i);
        assert_ptr_equal(arl_outbox_answered(&outbox), &requests[order[i]]);
        assert_int_equal(requests[order[i]].state, ARL_IDLE);
    }
    assert_null(arl_outbox_answered(&outbox));
    assert_int_equal(outbox.unanswered_count + outbox.renews_unanswered, 0);
}

static void what_is_not_written_can_be_taken_back(void **state)
{
    struct arl_outbox outbox = {0};
    struct arl_request request;
    (void)state;
    arl_outbox_init(&outbox);
    arl_request_init(&request, ARL_TRY, ARL_FOR_CLAIM_TRY);
    assert_false(arl_outbox_unqueue(&request));
    arl_outbox_queue(&outbox, &request);
    assert_true(arl_outbox_unqueue(&request));
    assert_null(arl_outbox_peek(&outbox));
    arl_outbox_queue(&outbox, &request);
    arl_outbox_sent(&outbox, &request, 1);
    assert_false(arl_outbox_unqueue(&request)); /* unanswered: it keeps its slot */
    arl_outbox_queue(&outbox, &request);
    assert_null(arl_outbox_peek(&outbox));
    assert_ptr_equal(arl_outbox_answered(&outbox), &request);
}

static void while_recovering_a_try_waits_for_the_renewals(void **state)
{
    static struct arl_request renewals[ARL_RENEWS_UNANSWERED_MAX + 1];
    struct arl_outbox outbox = {0};
    struct arl_request attempt;
    (void)state;
    arl_outbox_init(&outbox);
    arl_request_init(&attempt, ARL_TRY, ARL_FOR_CLAIM_TRY);
    arl_outbox_queue(&outbox, &attempt);
    for (int i = 0; i <= ARL_RENEWS_UNANSWERED_MAX; i++) {
        arl_request_init(&renewals[i], ARL_RENEW, ARL_FOR_LEASE);
        arl_outbox_queue(&outbox, &renewals[i]);
    }
    outbox.recovering = true;
    for (int i = 0; i < ARL_RENEWS_UNANSWERED_MAX; i++) {
        assert_ptr_equal(arl_outbox_peek(&outbox), &renewals[i]);
        arl_outbox_sent(&outbox, &renewals[i], 0);
    }
    assert_null(arl_outbox_peek(&outbox));
    outbox.recovering = false;
    assert_ptr_equal(arl_outbox_peek(&outbox), &attempt); /* else it passes them */
    outbox.recovering = true;
    assert_ptr_equal(arl_outbox_answered(&outbox), &renewals[0]);
    arl_outbox_sent(&outbox, arl_outbox_peek(&outbox), 0);
    assert_false(outbox.recovering);
    assert_ptr_equal(arl_outbox_peek(&outbox), &attempt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_classes_leave_in_their_order_each_first_in_first_out),
        cmocka_unit_test(what_is_not_written_can_be_taken_back),
        cmocka_unit_test(while_recovering_a_try_waits_for_the_renewals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
