/* base/words.h - Raft's vocabulary, said once: roles, message kinds, and the notes that peers
 * leave.
 * Owns   names and texts that the core, the trail, the log, the dashboard and the checkers share.
 * Leaves what the words do to node/core; where notes travel to shm/trail.h. */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include "base/base.h"

#define ROLE_LIST(X) X(FOLLOWER, "follower") X(CANDIDATE, "candidate") X(LEADER, "leader")
#define ROLE_ENUM(name, text) name,
enum role { ROLE_LIST(ROLE_ENUM) ROLE_COUNT };
#undef ROLE_ENUM
const char *role_name(uint32_t role);

/* The first four are the paper's RPCs (Figure 2), the others a host's. */
#define MESSAGE_LIST(X)                                                                            \
    X(VOTE_REQUEST, "vote?")                                                                       \
    X(VOTE_REPLY, "vote")                                                                          \
    X(APPEND_REQUEST, "append")                                                                    \
    X(APPEND_REPLY, "ack")                                                                         \
    X(TIMEOUT_NOW, "timeout-now")                                                                  \
    X(CLIENT_REQUEST, "request")                                                                   \
    X(CLIENT_REPLY, "reply")                                                                       \
    X(START_REQUEST, "start")                                                                      \
    X(START_REPLY, "started")                                                                      \
    X(APPLIED_QUERY, "applied?")                                                                   \
    X(APPLIED_REPLY, "applied")
#define MESSAGE_ENUM(name, text) MESSAGE_##name,
enum message_kind { MESSAGE_LIST(MESSAGE_ENUM) MESSAGE_KIND_COUNT };
#undef MESSAGE_ENUM
const char *message_kind_name(uint32_t kind);

/* What an entry holds: nothing (a new leader's no-op), a key-value command, or a test's own
 * bytes. */
enum entry_kind { ENTRY_NOOP, ENTRY_COMMAND, ENTRY_OPAQUE, ENTRY_KIND_COUNT };

#define TOPIC_LIST(X)                                                                              \
    X(TIMER, "timer")                                                                              \
    X(VOTE, "vote")                                                                                \
    X(TERM, "term")                                                                                \
    X(LEAD, "leader")                                                                              \
    X(APPEND, "append")                                                                            \
    X(COMMIT, "commit")                                                                            \
    X(DISK, "disk")                                                                                \
    X(DROP, "drop")                                                                                \
    X(FAULT, "fault")
#define TOPIC_ENUM(name, text) TOPIC_##name,
enum topic { TOPIC_LIST(TOPIC_ENUM) TOPIC_COUNT };
#undef TOPIC_ENUM
const char *topic_name(enum topic topic);
/* TOPIC_COUNT when `name` is none. */
enum topic topic_find(const char *name);

/* NOTE(name, topic, text): one transition each. In the text {self} {other} {term} {a} {b} {c} {d}
 * stand for the note's fields, {a.ms} for nanoseconds shown as milliseconds, {a.x} for a rate in
 * ppm as a factor, {a.hex} for a hash. Every refusal says its reason. */
#define NOTE_LIST(X)                                                                               \
    X(STARTED, FAULT, "starts: life {a}, term {term}, log ends at index {b} term {c}")             \
    X(ELECTION_TIMEOUT, TIMER, "election timer ran out after {a.ms} ms without a leader")          \
    X(TIMEOUT_FORCED, TIMER, "told to time out now")                                               \
    X(BECAME_FOLLOWER, TERM, "follower in term {term}")                                            \
    X(BECAME_CANDIDATE, VOTE, "candidate in term {term}, log ends at index {b} term {a}")          \
    X(BECAME_LEADER, LEAD, "leader of term {term} with {a} votes of {b}; log ends at index {c}")   \
    X(TERM_SEEN, TERM, "sees term {term} from {other}, was in term {a}")                           \
    X(STEPPED_DOWN, LEAD, "no longer leader of term {a}: {other} has term {term}")                 \
    X(LEADER_KNOWN, LEAD, "follows {other}, leader of term {term}")                                \
    X(VOTE_GRANTED, VOTE, "votes for {other} in term {term}")                                      \
    X(VOTE_REFUSED_TERM, VOTE, "refuses {other} its vote: term {a} is over, this is {term}")       \
    X(VOTE_REFUSED_VOTED, VOTE, "refuses {other} its vote: voted for {a} in term {term}")          \
    X(VOTE_REFUSED_LOG, VOTE,                                                                      \
      "refuses {other} its vote: candidate log (term {a}, index {b}) behind mine (term {c}, "      \
      "index {d})")                                                                                \
    X(VOTE_COUNTED, VOTE, "has the vote of {other}: {a} of {b} needed")                            \
    X(VOTE_DENIED, VOTE, "did not get the vote of {other} in term {term}")                         \
    X(VOTE_STALE, VOTE, "ignores a vote of {other}: it is for term {a}, this is {term}")           \
    X(APPENDED, APPEND, "appends {a}..{b} from {other}")                                           \
    X(PROPOSED, APPEND, "takes {a}..{b} from clients")                                             \
    X(TRUNCATED, APPEND, "deletes {a}..{b}: they conflict with leader {other}")                    \
    X(APPEND_REFUSED_TERM, APPEND, "refuses append of {other}: term {a} is over, this is {term}")  \
    X(APPEND_REFUSED_SHORT, APPEND,                                                                \
      "refuses append of {other}: it starts after {a}, my log ends at {b}")                        \
    X(APPEND_REFUSED_PREV, APPEND,                                                                 \
      "refuses append of {other}: index {a} has term {b} there, term {c} here")                    \
    X(BACKED_OFF, APPEND, "moves next_index of {other} from {a} back to {b}")                      \
    X(MATCH_BACK, APPEND, "takes back that {other} has up to {a}: it is {b}")                      \
    X(COMMITTED, COMMIT, "commits up to {a}")                                                      \
    X(COMMIT_LEARNED, COMMIT, "learns that {a} is committed")                                      \
    X(APPLIED, COMMIT, "applied up to {a} (state {b.hex})")                                        \
    X(DISK_FAILED, DISK, "cannot write its disk (errno {a}): promises nothing until it can")       \
    X(DISK_RESUMED, DISK, "writes its disk again after {a.ms} ms")                                 \
    X(STORED, DISK, "has on disk: term {term}, vote {other}, log up to {b} of term {c} ({d.hex})") \
    X(PROMISED, DISK, "promises in term {term}: its vote to {other}, its log up to {a}")           \
    X(DROPPED_LOSS, DROP, "loses a message of {other} (rule: loss)")                               \
    X(DROPPED_CUT, DROP, "loses a message of {other} (rule: cut)")                                 \
    X(DROPPED_CORRUPT, DROP, "drops a message of {other}: checksum is wrong")                      \
    X(DROPPED_FULL, DROP, "cannot send to {other}: its ring is full")                              \
    X(DUPLICATED, DROP, "receives a message of {other} twice (rule: dup)")                         \
    X(KILLED, FAULT, "kills {other} (SIGKILL)")                                                    \
    X(PAUSED, FAULT, "pauses {other} (SIGSTOP)")                                                   \
    X(RESUMED, FAULT, "resumes {other} (SIGCONT)")                                                 \
    X(RESTARTED, FAULT, "starts {other} again as pid {a}")                                         \
    X(DIED, FAULT, "finds {other} dead: signal {a}, exit code {b}")                                \
    X(LINKS_CHANGED, FAULT, "changes {a} links: {b} of all links are cut")                         \
    X(CLOCK_RATE, FAULT, "sets the cluster clock to {a.x}")                                        \
    X(SLOW_DISK, FAULT, "makes the disk of {other} {a.ms} ms slower")                              \
    X(SKEWED, FAULT, "makes the clock of {other} run at {a.x}")                                    \
    X(UNSAFE, FAULT, "SAFETY BROKEN in term {term}: {other} contradicts {a}")
#define NOTE_ENUM(name, topic, text) NOTE_##name,
enum note_kind { NOTE_LIST(NOTE_ENUM) NOTE_KIND_COUNT };
#undef NOTE_ENUM

/* One transition, fixed 56 bytes; what a..d mean is in NOTE_LIST. time_ns is cluster time. Beside
 * what the sentences show, for checkers (sim/safety.h):
 *   STARTED        other: the vote; d: hash of the log (0: not known)
 *   STORED         a commit of the disk has ended. term, other: what is on disk; a: first index
 *                  that it wrote (0: none); d: hash of the log up to b (0: not known)
 *   PROMISED       what is about to leave promises this. Left for each vote, other's or own, and
 *                  for what passes the disk; acknowledgements of what is stored go without
 *   BECAME_LEADER  d: term of the entry c
 *   COMMITTED      b: the peers that it knows to have a; c: term of that entry; d: of how many
 * The hash of a log is the sum of those of its entries, each with its index and term. */
struct note {
    uint64_t time_ns;
    uint16_t kind; /* enum note_kind */
    uint8_t self;  /* the peer that tells; 0 is the supervisor */
    uint8_t other; /* the peer that it tells about, or 0 */
    uint32_t spare;
    uint64_t term; /* current_term of `self` after the transition */
    uint64_t a, b, c, d;
};
_Static_assert(sizeof(struct note) == 56,
               "with its sequence number an event of the trail is 64 bytes");

const char *note_name(uint32_t kind); /* "VOTE_GRANTED"; "?" for a kind that is none */
enum topic note_topic(uint32_t kind);
/* The sentence of `note` without time and peer, cut to `size` with a 0 at the end; returns its
 * length. */
size_t note_text(const struct note *note, char *text, size_t size);

#endif
