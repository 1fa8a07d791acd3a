# Ringside: one Makefile, no recursion. A build is a variant in its own folder: make VARIANT=asan.
#   make run   installs what is missing, builds, opens the dashboard on five peers
#   make test  installs what is missing, builds, runs every test
#   make fuzz  FUZZ_TIME seconds of libFuzzer for each entrance of hostile bytes; needs clang
VARIANT ?= release
BUILD   ?= build
OUT     := $(BUILD)/$(VARIANT)
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
            -Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wformat=2 -Werror=implicit
FLAGS.release := -O2 -g
FLAGS.debug   := -O0 -g3
FLAGS.asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS.tsan    := -O1 -g -fsanitize=thread
ifeq ($(FLAGS.$(VARIANT)),)
$(error VARIANT is '$(VARIANT)'; it can be release, debug, asan or tsan)
endif
CFLAGS  += -std=gnu11 -D_GNU_SOURCE -I. $(WARNINGS) $(FLAGS.$(VARIANT))
LDLIBS  := -llmdb -lncursesw -ljansson -lxxhash -lm

# Debian package : a file that proves it is there
NEEDS := liblmdb-dev:/usr/include/lmdb.h libcmocka-dev:/usr/include/cmocka.h \
         libncurses-dev:/usr/include/ncursesw/curses.h libjansson-dev:/usr/include/jansson.h \
         libxxhash-dev:/usr/include/xxhash.h uthash-dev:/usr/include/uthash.h
ifneq ($(filter test,$(MAKECMDGOALS)),) # the line of the README for shards is a test
NEEDS += parallel:/usr/bin/parallel
endif
MISSING := $(strip $(foreach n,$(NEEDS),$(if $(wildcard $(lastword $(subst :, ,$(n)))),,$(firstword $(subst :, ,$(n))))))

FLOORS  := base shm fault node/core node sim viz ctl
SOURCES := $(filter-out ctl/main.c,$(wildcard $(addsuffix /*.c,$(FLOORS))))
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)
HARNESS := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/harness/*.c))
TESTS   ?= $(patsubst tests/%_test.c,%,$(wildcard tests/*_test.c))
CHOSEN  := $(TESTS:%=$(OUT)/tests/%_test)
PROGRAM := $(OUT)/ringside

# Entrances of hostile bytes (tests/fuzz/fuzz.h), as libFuzzer takes them; tests/fuzz_test.c is the
# short form. FUZZ: some of them.
FUZZ      ?= plan history control wire ring trail region
FUZZ_TIME ?= 60
FUZZ_CC   ?= clang
FUZZ_OUT  := $(BUILD)/fuzz
FUZZ_FLAGS := -std=gnu11 -D_GNU_SOURCE -I. $(WARNINGS) -O1 -g -fno-omit-frame-pointer \
              -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ENTRANCES := $(filter-out tests/fuzz/libfuzzer.c,$(wildcard tests/fuzz/*.c))

.PHONY: all run test museum campaign rewrite fuzz fuzz-cc deps tidy lint format install clean
all: deps $(PROGRAM)

run: all
	@$(PROGRAM) up

# All tests of VARIANT, JOBS programs at a time; `make test TESTS=kv` runs tests/kv_test.c alone.
JOBS ?= 2
test: all $(CHOSEN)
	@tests/run.sh $(JOBS) $(CHOSEN)

# Every layer against every bug of the museum, as a table; NAMES="sync-rpc ..." are some of them.
museum: all
	@tests/museum.sh $(PROGRAM) $(NAMES)

# The long form of the tests: new seeds, exploration, plans, fuzzing, for CAMPAIGN_TIME seconds.
CAMPAIGN_TIME ?= 3600
campaign: all
	@tests/campaign.sh $(PROGRAM) $(CAMPAIGN_TIME)

# Regenerate expected transcripts and screens; review the diff.
rewrite: all $(OUT)/tests/transcript_test $(OUT)/tests/viz_test
	REWRITE=1 $(OUT)/tests/transcript_test
	REWRITE=1 $(OUT)/tests/viz_test

fuzz: $(FUZZ_OUT)/ringside-fuzz
	@tests/fuzz.sh $(FUZZ_OUT) $(JOBS) $(FUZZ_TIME) $(FUZZ)

deps:
ifneq ($(strip $(MISSING)),)
	@if [ "$$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi; \
	{ command -v apt-get && { [ "$$(id -u)" = 0 ] || sudo -n true; } && \
	  $$as apt-get update -q && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -q $(MISSING); } >/dev/null 2>&1 || \
	{ echo "ringside needs some packages; type: sudo apt-get install $(MISSING)" >&2; exit 1; }
endif

$(PROGRAM): $(OUT)/ctl/main.o $(OUT)/ringside.a
	@$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS)

# A test takes from the program and the harness only what it uses.
$(OUT)/ringside.a: $(OBJECTS)
$(OUT)/harness.a: $(HARNESS)
%.a:
	@rm -f $@ && ar rcs $@ $^

$(OUT)/%.o: %.c Makefile | deps
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

# what it builds in as text
$(OUT)/sim/bug_story.o: sim/stories.txt node/core/rules.c node/steps.c node/turn.c node/store.c \
                        sim/wrong_rules.c sim/wrong_steps.c

$(OUT)/tests/%_test: $(OUT)/tests/%_test.o $(OUT)/harness.a $(OUT)/ringside.a
	@$(CC) $(CFLAGS) $^ -o $@ -lcmocka $(LDLIBS)

# The stand-ins of tests/fuzz/stage.c come before what they stand for.
$(OUT)/tests/fuzz_test: $(OUT)/tests/fuzz_test.o $(ENTRANCES:%.c=$(OUT)/%.o) $(OUT)/ringside.a
	@$(CC) $(CFLAGS) $^ -o $@ -lcmocka $(LDLIBS)

fuzz-cc:
	@command -v $(FUZZ_CC) >/dev/null || \
	    { echo "make fuzz needs clang; type: sudo apt-get install clang" >&2; exit 1; }
$(FUZZ_OUT)/%.o: %.c Makefile | deps fuzz-cc
	@mkdir -p $(@D)
	@$(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -c $< -o $@
$(FUZZ_OUT)/ringside.a: $(SOURCES:%.c=$(FUZZ_OUT)/%.o)
$(FUZZ_OUT)/ringside-fuzz: $(FUZZ_OUT)/tests/fuzz/libfuzzer.o $(ENTRANCES:%.c=$(FUZZ_OUT)/%.o) \
                           $(FUZZ_OUT)/ringside.a
	@$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer $^ -o $@ $(LDLIBS)

# Measures of the code (fast), then what clang-format and clang-tidy say of it.
tidy:
	@sh tests/tidy.sh

CODE := $(foreach f,$(FLOORS) tests tests/fuzz tests/harness,$(wildcard $(f)/*.[ch]))
lint: tidy
	@clang-format --dry-run -Werror $(CODE)
	@clang-tidy --quiet $(filter-out tests/%,$(filter %.c,$(CODE))) -- -std=gnu11 -D_GNU_SOURCE -I. 2>&1 | \
	    { ! grep -E 'warning:|error:'; }

format:
	@clang-format -i $(CODE)

install: all
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/ringside
	install -D -m 644 docs/ringside.1 $(DESTDIR)$(PREFIX)/share/man/man1/ringside.1

clean:
	rm -rf $(BUILD)

.SECONDARY:
-include $(shell find $(OUT) $(FUZZ_OUT) -name '*.d' 2>/dev/null)
