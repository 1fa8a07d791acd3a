# Ringside: one Makefile, no recursion. A build is a variant in its own folder: make VARIANT=asan.
#   make run   installs what is missing, builds, opens the dashboard on five peers
#   make test  installs what is missing, builds, runs every test
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
MISSING := $(foreach n,$(NEEDS),$(if $(wildcard $(lastword $(subst :, ,$(n)))),,$(firstword $(subst :, ,$(n)))))

FLOORS  := base shm fault node/core node sim viz ctl
SOURCES := $(filter-out ctl/main.c,$(wildcard $(addsuffix /*.c,$(FLOORS))))
OBJECTS := $(SOURCES:%.c=$(OUT)/%.o)
HARNESS := $(patsubst %.c,$(OUT)/%.o,$(wildcard tests/harness/*.c))
TESTS   := $(patsubst tests/%.c,$(OUT)/tests/%,$(wildcard tests/*_test.c))
PROGRAM := $(OUT)/ringside

.PHONY: all run test deps tidy format install clean
all: deps $(PROGRAM)

run: all
	@$(PROGRAM) up

deps:
ifneq ($(strip $(MISSING)),)
	@if [ "$$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi; \
	{ command -v apt-get && { [ "$$(id -u)" = 0 ] || sudo -n true; } && \
	  $$as apt-get update -q && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -q $(MISSING); } >/dev/null 2>&1 || \
	{ echo "ringside needs some packages; type: sudo apt-get install $(MISSING)" >&2; exit 1; }
endif

$(PROGRAM): $(OBJECTS) $(OUT)/ctl/main.o
	@$(CC) $(CFLAGS) $^ -o $@ $(LDLIBS)

$(OUT)/%.o: %.c Makefile | deps
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/tests/%_test: $(OUT)/tests/%_test.o $(HARNESS) $(OBJECTS)
	@$(CC) $(CFLAGS) $^ -o $@ -lcmocka $(LDLIBS)

clean:
	rm -rf $(BUILD)

.SECONDARY:
-include $(shell find $(OUT) -name '*.d' 2>/dev/null)
