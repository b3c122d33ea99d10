#include "agenda.h"

#include <stdio.h>
#include <stdlib.h>

static int is_before(const struct alarm *a, const struct alarm *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void place(struct agenda *agenda, uint32_t index, struct alarm *alarm)
{
    agenda->heap[index] = alarm;
    alarm->place = index + 1;
}

static void sift(struct agenda *agenda, uint32_t index)
{
    struct alarm *alarm = agenda->heap[index];
    while (index > 0 && is_before(alarm, agenda->heap[(index - 1) / 2])) {
        place(agenda, index, agenda->heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (uint32_t child; (child = 2 * index + 1) < agenda->count; index = child) {
        if (child + 1 < agenda->count && is_before(agenda->heap[child + 1], agenda->heap[child]))
            child++;
        if (!is_before(agenda->heap[child], alarm))
            break;
        place(agenda, index, agenda->heap[child]);
    }
    place(agenda, index, alarm);
}

static void make_room(struct agenda *agenda)
{
    if (agenda->count < agenda->capacity)
        return;
    uint32_t capacity = agenda->capacity == 0 ? 256 : 2 * agenda->capacity;
    struct alarm **heap = realloc(agenda->heap, capacity * sizeof(struct alarm *));
    if (heap == NULL) {
        fprintf(stderr, "no memory\n");
        exit(2);
    }
    agenda->heap = heap;
    agenda->capacity = capacity;
}

void agenda_set(struct agenda *agenda, struct alarm *alarm, arl_ns at)
{
    if (at == ARL_NEVER) {
        agenda_unset(agenda, alarm);
        return;
    }
    alarm->at = at;
    alarm->order = agenda->order++;
    if (alarm->place == 0) {
        make_room(agenda);
        place(agenda, agenda->count++, alarm);
    }
    sift(agenda, alarm->place - 1);
}

void agenda_unset(struct agenda *agenda, struct alarm *alarm)
{
    if (alarm->place == 0)
        return;
    uint32_t index = alarm->place - 1;
    struct alarm *last = agenda->heap[--agenda->count];
    alarm->place = 0;
    if (last != alarm) {
        place(agenda, index, last);
        sift(agenda, index);
    }
}

struct alarm *agenda_pop(struct agenda *agenda)
{
    if (agenda->count == 0)
        return NULL;
    struct alarm *first = agenda->heap[0];
    agenda_unset(agenda, first);
    return first;
}

void agenda_clear(struct agenda *agenda)
{
    for (uint32_t i = 0; i < agenda->count; i++)
        agenda->heap[i]->place = 0;
    agenda->count = 0;
    agenda->order = 0;
}

void agenda_free(struct agenda *agenda)
{
    free(agenda->heap);
    *agenda = (struct agenda){0};
}
