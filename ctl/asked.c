/* ctl/asked.c - see ctl/asked.h. */
#include "ctl/asked.h"

#include <stdlib.h>
#include <string.h>

static void answered(struct question *question, const struct client_result *result)
{
    struct asked *asked = question->context;
    asked->return_ns = real_now_ns();
    asked->done = true;
    asked->status = result->status;
    asked->reply = result->reply;
    asked->timed_out = result->timed_out;
    if (result->status != RESULT_OK) return;
    const struct frame *frame = &result->packet->frame;
    asked->found = frame->flag != 0;
    if (asked->command.verb != VERB_GET || !asked->found) return;
    asked->output = strndup((const char *)result->packet->body, frame->body_bytes);
    CHECK(asked->output != NULL);
}

err_t asked_new(struct asked_list *list, struct supervisor *supervisor,
                const struct command *command, struct asked **made)
{
    struct asked *asked = calloc(1, sizeof(*asked));
    CHECK(asked != NULL);
    asked->question = (struct question){ .done = answered, .context = asked };
    asked->command = *command;
    asked->call_ns = real_now_ns();
    err_t err = carry_ask(supervisor, &asked->command, &asked->question);
    if (err != ERR_OK) {
        free(asked);
        return err;
    }
    asked->next = list->first;
    list->first = asked;
    *made = asked;
    return ERR_OK;
}

static const enum history_status statuses[] = {
    [RESULT_OK] = HISTORY_OK, [RESULT_FAIL] = HISTORY_FAIL, [RESULT_UNKNOWN] = HISTORY_UNKNOWN
};

bool asked_answer(const struct asked *asked, struct answer *answer)
{
    if (!asked->done) return false;
    *answer =
        (struct answer){ .status = statuses[asked->status],
                         .found = asked->found,
                         .output = asked->output,
                         .why = asked->timed_out ? "no answer in time" : reply_text(asked->reply) };
    return true;
}

err_t asked_history(const struct asked_list *list, struct history *history)
{
    static const enum history_op ops[VERB_COUNT] = { [VERB_PUT] = HISTORY_PUT,
                                                     [VERB_GET] = HISTORY_GET,
                                                     [VERB_DEL] = HISTORY_DEL,
                                                     [VERB_APPEND] = HISTORY_APPEND,
                                                     [VERB_CAS] = HISTORY_CAS };
    err_t err = ERR_OK;
    for (const struct asked *asked = list->first; err == ERR_OK && asked != NULL;
         asked = asked->next) {
        bool ok = asked->done && asked->status == RESULT_OK;
        struct operation operation = {
            .call_ns = asked->call_ns,
            .return_ns = asked->done ? asked->return_ns : TIME_NEVER,
            .op = ops[asked->command.verb],
            .status = asked->done ? statuses[asked->status] : HISTORY_UNKNOWN,
            .key = asked->command.key,
            .value = asked->command.value,
            .expect = asked->command.expected,
            .output = asked->output,
            .done = ok && asked->found,
            .done_known = ok && asked->command.verb == VERB_DEL,
        };
        err = history_add(history, &operation);
    }
    return err;
}

void asked_free(struct asked_list *list)
{
    for (struct asked *asked = list->first, *next; asked != NULL; asked = next) {
        next = asked->next;
        free(asked->output);
        free(asked);
    }
    list->first = NULL;
}
