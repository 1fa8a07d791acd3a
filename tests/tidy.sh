#!/bin/sh
# tests/tidy.sh - the measures of the code: floors, line widths, file and function lengths. Prints what breaks one,
# exits 1 then. Run by `make tidy`.
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8
found=$(mktemp) || exit 1
trap 'rm -f "$found"' EXIT
files=$(find base shm fault node sim viz ctl tests -name '*.[ch]')

# Lines of 100 characters, files of 600 lines, functions of 70 (between a `{` and a `}` in the first column).
grep -nE '.{101,}' $files | sed 's/^\([^:]*:[^:]*\):.*/\1: line is wider than 100 characters/' >>"$found"
for file in $files; do
    lines=$(wc -l <"$file")
    [ "$lines" -le 600 ] || echo "$file: $lines lines; 600 are enough for a file" >>"$found"
done
awk '/^{$/ { start[FILENAME] = FNR }
     /^}$/ { if (FILENAME in start && FNR - start[FILENAME] - 1 > 70)
                 print FILENAME ":" start[FILENAME] ": function of " FNR - start[FILENAME] - 1 " lines; 70 are enough"
             delete start[FILENAME] }' $files >>"$found"

# Floors: who may include whom. A folder's own files are always allowed.
floor() { # folder (not its subfolders), allowed prefixes as a regular expression
    grep -nE '^#include "' "$1"/*.[ch] /dev/null | grep -vE "#include \"($2)" |
        sed "s,^,floor broken (allowed: $2): ," >>"$found"
}
floor base 'base/'
floor shm 'base/|shm/'
floor fault 'base/|fault/'
floor node/core 'base/|node/core/'
floor node 'base/|shm/|fault/|node/core/|node/'
floor sim 'base/|fault/|node/core/|sim/|node/(turn|disk|net|kv|wire|tail)\.h'
floor viz 'base/|shm/|fault/|viz/'
floor ctl 'base/|shm/|fault/|node/|sim/|ctl/|viz/(viz|guard)\.h'
# The core is pure: it asks nobody for time, memory, chance or output.
grep -nE '\b(malloc|calloc|realloc|free|printf|fprintf|clock_gettime|real_now_ns|rand|getrandom|time)\(' node/core/*.c |
    sed 's|^|the core is pure: |' >>"$found"
# Only one file talks to futexes, and only one paints the screen.
grep -ln 'SYS_futex' $files | grep -vE '^(shm/bell.c|ctl/bench_floor.c|tests/)' | sed 's|$|: futexes belong to shm/bell.c|' >>"$found"
grep -n 'doupdate()' viz/*.c | grep -v '\* ' | sed -n '2,$p' | sed 's|$|: a second doupdate|' >>"$found"

cat "$found"
[ ! -s "$found" ]
