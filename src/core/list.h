/* list.h - intrusive doubly linked lists. A list is a ring through its head; a link that is in no list
 * points at itself. Nothing is allocated, nothing can fail; the memory belongs to the structs around. */
#ifndef ARL_LIST_H
#define ARL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct arl_link {
    struct arl_link *prev;
    struct arl_link *next;
};

/* The struct of `type` whose field `member` is the link at `pointer`. */
#define ARL_OF(pointer, type, member) ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

static inline void arl_link_init(struct arl_link *link)
{
    link->prev = link->next = link;
}

static inline bool arl_link_alone(const struct arl_link *link)
{
    return link->next == link;
}

static inline void arl_link_remove(struct arl_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    arl_link_init(link);
}

/* Puts `link`, which is in no list, before `place`: at the end where place is the head. */
static inline void arl_link_insert_before(struct arl_link *place, struct arl_link *link)
{
    link->prev = place->prev;
    link->next = place;
    place->prev->next = link;
    place->prev = link;
}

static inline void arl_list_push(struct arl_link *head, struct arl_link *link)
{
    arl_link_insert_before(head, link);
}

static inline void arl_list_push_front(struct arl_link *head, struct arl_link *link)
{
    arl_link_insert_before(head->next, link);
}

/* The first link, or NULL. */
static inline struct arl_link *arl_list_first(const struct arl_link *head)
{
    return arl_link_alone(head) ? NULL : head->next;
}

/* Takes the first link out; NULL when the list is empty. */
static inline struct arl_link *arl_list_pop(struct arl_link *head)
{
    struct arl_link *first = arl_list_first(head);
    if (first != NULL)
        arl_link_remove(first);
    return first;
}

#endif
