/* The heap of deadlines against a plain array. */
#include "core/timers.h"
#include "fuzz.h"

#define NODES 40

static const arl_ns moments[] = {INT64_MIN, -1, 0, 1, 2, 3, 1000, ARL_NEVER - 1, ARL_NEVER};

struct heap {
    struct arl_timers timers;
    struct arl_timer nodes[NODES];
    arl_ns naive[NODES]; /* ARL_NEVER: not set */
    bool reserved[NODES];
    struct fuzz_memory memory;
    struct arl_settings settings;
};

static void check(const struct heap *heap)
{
    const struct arl_timers *timers = &heap->timers;
    arl_ns earliest = ARL_NEVER;
    uint32_t set = 0, reserved = 0;
    for (int i = 0; i < NODES; i++) {
        const struct arl_timer *node = &heap->nodes[i];
        FUZZ_CHECK((node->place != 0) == (heap->naive[i] != ARL_NEVER));
        FUZZ_CHECK(node->place == 0 || node->at == heap->naive[i]);
        FUZZ_CHECK(node->place <= timers->count);
        FUZZ_CHECK(node->place == 0 || timers->heap[node->place - 1] == node);
        earliest = arl_ns_min(earliest, heap->naive[i]);
        set += heap->naive[i] != ARL_NEVER;
        reserved += heap->reserved[i];
    }
    FUZZ_CHECK(timers->count == set && timers->reserved == reserved);
    FUZZ_CHECK(timers->reserved <= timers->capacity);
    FUZZ_CHECK(arl_timers_deadline(timers) == earliest);
    const struct arl_timer *first = arl_timers_first(timers);
    FUZZ_CHECK((first == NULL) == (set == 0));
    FUZZ_CHECK(first == NULL || first->at == earliest);
}

static void set(struct heap *heap, int i, arl_ns at)
{
    if (!heap->reserved[i])
        return; /* room is reserved first */
    arl_timers_set(&heap->timers, &heap->nodes[i], at);
    heap->naive[i] = at;
}

static void unset(struct heap *heap, int i)
{
    arl_timers_unset(&heap->timers, &heap->nodes[i]);
    heap->naive[i] = ARL_NEVER;
}

static void reserve(struct heap *heap, int i)
{
    if (heap->reserved[i])
        return;
    int error = arl_timers_reserve(&heap->timers, &heap->settings);
    FUZZ_CHECK(error == 0 || error == ARL_ENOMEM);
    heap->reserved[i] = error == 0;
}

static void unreserve(struct heap *heap, int i)
{
    if (!heap->reserved[i])
        return;
    unset(heap, i);
    arl_timers_unreserve(&heap->timers, &heap->settings);
    heap->reserved[i] = false;
}

/* Takes the earliest out, as the engine does. */
static void fire(struct heap *heap)
{
    struct arl_timer *first = arl_timers_first(&heap->timers);
    if (first != NULL)
        unset(heap, (int)(first - heap->nodes));
}

static void step(struct heap *heap, struct fuzz_input *input)
{
    unsigned what = fuzz_below(input, 16);
    int node = (int)fuzz_below(input, NODES);
    if (what < 4)
        set(heap, node, (arl_ns)fuzz_byte(input));
    else if (what < 7)
        set(heap, node, moments[fuzz_below(input, sizeof(moments) / sizeof(moments[0]))]);
    else if (what < 9)
        unset(heap, node);
    else if (what < 12)
        reserve(heap, node);
    else if (what < 13)
        unreserve(heap, node);
    else if (what < 15)
        fire(heap);
    else
        heap->memory = (struct fuzz_memory){.out = heap->memory.out, .fine = 0, .fail = fuzz_below(input, 3)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, data + size};
    struct heap heap = {.settings = {.alloc = fuzz_alloc, .release = fuzz_release}};
    heap.settings.ctx = &heap.memory;
    for (int i = 0; i < NODES; i++)
        heap.naive[i] = ARL_NEVER;
    for (unsigned i = fuzz_below(&input, NODES + 1); i > 0; i--)
        reserve(&heap, (int)i - 1);
    while (fuzz_more(&input)) {
        step(&heap, &input);
        check(&heap);
    }
    for (int i = 0; i < NODES; i++)
        unreserve(&heap, i);
    check(&heap);
    arl_timers_free(&heap.timers, &heap.settings);
    FUZZ_CHECK(heap.memory.out == 0);
    return 0;
}
