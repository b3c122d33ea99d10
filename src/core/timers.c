#include "timers.h"

#include "mem.h"

#define KEPT_MAX 64u /* nodes whose room is kept when all are gone */

int arl_timers_reserve(struct arl_timers *timers, const struct arl_settings *settings)
{
    if (timers->reserved == timers->capacity) {
        uint32_t capacity = timers->capacity < 4 ? 4 : timers->capacity * 2;
        if (capacity < timers->capacity)
            return ARL_ENOMEM;
        void *heap = arl_mem_grow(settings, timers->heap, timers->count * sizeof(*timers->heap),
                                  capacity * sizeof(*timers->heap));
        if (heap == NULL)
            return ARL_ENOMEM;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    timers->reserved++;
    return 0;
}

void arl_timers_unreserve(struct arl_timers *timers, const struct arl_settings *settings)
{
    timers->reserved--;
    if (timers->reserved == 0 && timers->capacity > KEPT_MAX)
        arl_timers_free(timers, settings);
}

void arl_timers_free(struct arl_timers *timers, const struct arl_settings *settings)
{
    arl_mem_free(settings, timers->heap);
    *timers = (struct arl_timers){0};
}

static void place(struct arl_timers *timers, uint32_t index, struct arl_timer *timer)
{
    timers->heap[index] = timer;
    timer->place = index + 1;
}

static uint32_t sift_up(struct arl_timers *timers, uint32_t index)
{
    struct arl_timer *timer = timers->heap[index];
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (timers->heap[parent]->at <= timer->at)
            break;
        place(timers, index, timers->heap[parent]);
        index = parent;
    }
    place(timers, index, timer);
    return index;
}

static void sift_down(struct arl_timers *timers, uint32_t index)
{
    struct arl_timer *timer = timers->heap[index];
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && timers->heap[child + 1]->at < timers->heap[child]->at)
            child++;
        if (timer->at <= timers->heap[child]->at)
            break;
        place(timers, index, timers->heap[child]);
        index = child;
    }
    place(timers, index, timer);
}

void arl_timers_set(struct arl_timers *timers, struct arl_timer *timer, arl_ns at)
{
    if (at == ARL_NEVER) {
        arl_timers_unset(timers, timer);
        return;
    }
    if (timer->place != 0 && timer->at == at)
        return;
    timer->at = at;
    if (timer->place == 0)
        place(timers, timers->count++, timer);
    sift_down(timers, sift_up(timers, timer->place - 1));
}

void arl_timers_unset(struct arl_timers *timers, struct arl_timer *timer)
{
    if (timer->place == 0)
        return;
    uint32_t index = timer->place - 1;
    timer->place = 0;
    struct arl_timer *last = timers->heap[--timers->count];
    if (last != timer) {
        place(timers, index, last);
        sift_down(timers, sift_up(timers, index));
    }
}

struct arl_timer *arl_timers_first(const struct arl_timers *timers)
{
    return timers->count > 0 ? timers->heap[0] : NULL;
}

arl_ns arl_timers_deadline(const struct arl_timers *timers)
{
    return timers->count > 0 ? timers->heap[0]->at : ARL_NEVER;
}
