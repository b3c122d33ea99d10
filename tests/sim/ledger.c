#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_room(struct ledger *ledger)
{
    if (ledger->count < ledger->capacity)
        return;
    uint32_t capacity = ledger->capacity == 0 ? 256 : 2 * ledger->capacity;
    struct token *tokens = realloc(ledger->tokens, capacity * sizeof(*tokens));
    if (tokens == NULL) {
        fprintf(stderr, "no memory\n");
        exit(2);
    }
    ledger->tokens = tokens;
    ledger->capacity = capacity;
}

uint32_t ledger_draw(struct sim *sim, int process, int incarnation)
{
    struct ledger *ledger = &sim->ledger;
    make_room(ledger);
    uint32_t number = ledger->count++;
    struct token *token = &ledger->tokens[number];
    *token = (struct token){.process = process, .incarnation = incarnation, .key = -1};
    token->release_at = token->doubted_at = token->gone_at = ARL_NEVER;
    uint64_t word = dice_word(&sim->dice);
    memcpy(token->id, &number, sizeof(number)); /* so that it is found again, and unique */
    memcpy(token->id + sizeof(number), &word, sizeof(word));
    return number;
}

uint32_t ledger_find(const struct sim *sim, const uint8_t id[ARL_TOKEN_SIZE])
{
    uint32_t number;
    memcpy(&number, id, sizeof(number));
    if (number == LEDGER_NOBODY || number >= sim->ledger.count ||
        memcmp(sim->ledger.tokens[number].id, id, ARL_TOKEN_SIZE) != 0) {
        fprintf(stderr, "a token that nobody drew\n");
        abort();
    }
    return number;
}

void ledger_clear(struct ledger *ledger)
{
    make_room(ledger);
    ledger->tokens[LEDGER_NOBODY] = (struct token){.process = LEDGER_FOREIGN, .key = -1};
    ledger->count = 1;
}

void ledger_free(struct ledger *ledger)
{
    free(ledger->tokens);
    *ledger = (struct ledger){0};
}
