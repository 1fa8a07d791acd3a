/* node/core/election.c - votes: who gets mine, whose counts for me [R §5.2, §5.4.1]. */
#include "node/core/inside.h"

static void note_refusal(struct raft *raft, const struct message *request,
                         enum vote_verdict verdict, struct update *update)
{
    if (verdict == VOTE_TERM_OVER) {
        note_add(raft, update, NOTE_VOTE_REFUSED_TERM, request->from)->a = request->term;
    } else if (verdict == VOTE_GIVEN) {
        note_add(raft, update, NOTE_VOTE_REFUSED_VOTED, request->from)->a = raft->voted_for;
    } else {
        struct log_id ours = log_last(&raft->log);
        struct note *note = note_add(raft, update, NOTE_VOTE_REFUSED_LOG, request->from);
        note->a = request->prev.term;
        note->b = request->prev.index;
        note->c = ours.term;
        note->d = ours.index;
    }
}

/* [R Fig.2 RequestVote RPC, receiver] */
void on_vote_request(struct raft *raft, const struct message *request, struct update *update)
{
    enum vote_verdict verdict = raft->config.rules->may_vote(raft, request);
    struct message *reply = send_late(raft, update, MESSAGE_VOTE_REPLY, request->from);
    reply->granted = verdict == VOTE_YES;
    if (raft->role != LEADER && raft->config.rules->is_contact(raft, request, reply->granted))
        reset_election_timer(raft);
    if (!reply->granted) {
        note_refusal(raft, request, verdict, update);
        return;
    }
    if (raft->voted_for != request->from) { /* else: a repeated request gets the same answer */
        raft->voted_for = request->from;
        update->save_hard = true; /* the reply is late: it leaves when the vote is on disk */
        note_add(raft, update, NOTE_VOTE_GRANTED, request->from);
    }
}

/* One vote more, its own included. A majority makes it leader at once, whoever has not answered. */
void count_vote(struct raft *raft, uint32_t from, struct update *update)
{
    if (peer_in(raft->votes, from)) return; /* duplicates count once */
    raft->votes |= peer_bit(from);
    struct note *note = note_add(raft, update, NOTE_VOTE_COUNTED, from);
    note->a = peer_count(raft->votes);
    note->b = raft->config.peers / 2 + 1;
    if (raft->config.rules->is_quorum(raft->votes, raft->config.peers)) become_leader(raft, update);
}

void on_vote_reply(struct raft *raft, const struct message *reply, struct update *update)
{
    if (!raft->config.rules->vote_counts(raft, reply)) {
        if (reply->granted && raft->role == CANDIDATE)
            note_add(raft, update, NOTE_VOTE_STALE, reply->from)->a = reply->term;
        return;
    }
    if (reply->granted) count_vote(raft, reply->from, update);
    else note_add(raft, update, NOTE_VOTE_DENIED, reply->from);
}
