#include "agenda.h"

#include <stdio.h>
#include <stdlib.h>

static int is_before(const struct agenda_entry *a, const struct agenda_entry *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void place(struct agenda *agenda, uint32_t index, const struct agenda_entry *entry)
{
    agenda->heap[index] = *entry;
    entry->alarm->place = index + 1;
}

/* Puts the entry where it belongs, from a free place at `index`. */
static void sift(struct agenda *agenda, uint32_t index, const struct agenda_entry entry)
{
    struct agenda_entry *heap = agenda->heap;
    while (index > 0 && is_before(&entry, &heap[(index - 1) / 2])) {
        place(agenda, index, &heap[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    for (uint32_t child; (child = 2 * index + 1) < agenda->count; index = child) {
        if (child + 1 < agenda->count && is_before(&heap[child + 1], &heap[child]))
            child++;
        if (!is_before(&heap[child], &entry))
            break;
        place(agenda, index, &heap[child]);
    }
    place(agenda, index, &entry);
}

static void make_room(struct agenda *agenda)
{
    if (agenda->count < agenda->capacity)
        return;
    uint32_t capacity = agenda->capacity == 0 ? 256 : 2 * agenda->capacity;
    struct agenda_entry *heap = realloc(agenda->heap, capacity * sizeof(*heap));
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
    if (alarm->place == 0) {
        make_room(agenda);
        alarm->place = ++agenda->count;
    }
    sift(agenda, alarm->place - 1, (struct agenda_entry){at, agenda->order++, alarm});
}

void agenda_unset(struct agenda *agenda, struct alarm *alarm)
{
    if (alarm->place == 0)
        return;
    uint32_t index = alarm->place - 1;
    const struct agenda_entry last = agenda->heap[--agenda->count];
    alarm->place = 0;
    if (index < agenda->count)
        sift(agenda, index, last);
}

struct alarm *agenda_pop(struct agenda *agenda)
{
    if (agenda->count == 0)
        return NULL;
    struct alarm *first = agenda->heap[0].alarm;
    agenda_unset(agenda, first);
    return first;
}

void agenda_clear(struct agenda *agenda)
{
    for (uint32_t i = 0; i < agenda->count; i++)
        agenda->heap[i].alarm->place = 0;
    agenda->count = 0;
    agenda->order = 0;
}

void agenda_free(struct agenda *agenda)
{
    free(agenda->heap);
    *agenda = (struct agenda){0};
}
