/* sim/search.h - the search for one order that explains the operations on one key.
 * Owns   one key as a register (absent, or a string), and the set of all situations it can be in.
 * Leaves which operations, and what to do with a NO, to sim/linear.h.
 * Source Wing and Gong 1993; Lowe 2017, "Testing for linearizability", just-in-time linearization.
 *
 * The search walks through calls and returns in the order of time. A *situation* is a state of the
 * register and, for each operation that is open, how it stands. At a return, each situation in
 * which that operation has not taken effect is continued by all sequences of open operations that
 * end with it; then the situations are compared, and those that another one covers are forgotten.
 * When none is left, nothing explains the history.
 *
 * An open operation is todo (has to take effect), done (it did), or free: it may take effect or
 * may not.
 *  (Q1) `unknown` operations are free from their call on and for ever: they never have to happen.
 *       Unknown reads say nothing and are not looked at.
 *  (Q2) A todo operation that would change nothing now becomes free: put it here, or let it happen
 *       later. A read that the state satisfies is done at once: nobody can be worse off for it.
 *  (Q3) When a blind overwrite (put, del) takes effect, all blind writes that are todo become
 *       free: each of them can be put immediately before it, where nobody sees it. That is worth
 *       an overwrite even where it leaves the value as it was.
 *  (Q4) So a blind or free write is tried before a return only if another open operation could
 *       see it next (a read of that value, a cas that expects it, an append to it). Else it can be
 *       left out, or buried (Q3).
 *  (Q5) Of equal unknown operations the one called first is used first.
 *  (Q6) Free covers todo and done: a situation that has an operation free covers one of the same
 *       state that has it todo or done, all else equal.
 *
 * A state is a place in the sorted list of all values that anybody claims to have seen: (first
 * value that begins so, length). All other values are one state, OTHER, because nobody can tell
 * them apart. Appending moves along that list by binary search, so long chains of appends cost
 * neither copies nor hashes of contents.
 *  (Q7) Only a cas that found another value and a del that found some value can tell OTHER from
 *       the state before it. Where a key has none of these, no free write need lead to OTHER. */
#ifndef SIM_SEARCH_H
#define SIM_SEARCH_H

#include "sim/linear.h"

/* Is there an order of `operations` (all of one key, sorted by call)? `optional[i]`: count it as
 * if its status were unknown; NULL: count all as they are. NO: *failed is the place in
 * `operations` of the first that returned when no order was left: all that were called before form
 * the shortest prefix that cannot be explained. UNDECIDED: it needs more than `memory_bytes`, or
 * `deadline_ns` (of real_now_ns) has passed. */
enum linear_verdict search_key(const struct operation **operations, size_t count,
                               const bool *optional, uint64_t memory_bytes, uint64_t deadline_ns,
                               size_t *failed);

#endif
