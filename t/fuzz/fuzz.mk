# SPDX-License-Identifier: Apache-2.0
#
# Fuzz targets: `make fuzz` runs each for FUZZ_SECONDS, `make fuzz-replay` runs the committed corpus once.
# Included by the Makefile at the top of the repository; all paths are relative to there.

FUZZ_CC ?= clang
FUZZ_CFLAGS ?= -std=c11 -g -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -Isrc \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
FUZZ_SECONDS ?= 60
FUZZ_FLAGS ?=

FUZZ_CPPFLAGS = $(eval FUZZ_CPPFLAGS := $(shell apr-1-config --cppflags --includes) \
	$(shell apu-1-config --includes))$(FUZZ_CPPFLAGS)
FUZZ_LIBS = $(eval FUZZ_LIBS := $(shell apu-1-config --link-ld --libs) \
	$(shell apr-1-config --link-ld --libs))$(FUZZ_LIBS)

FUZZ_DIR := build/fuzz
FUZZ_SRC := $(sort $(wildcard src/base/*.c src/wire/*.c))
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(FUZZ_DIR)/%.o)
FUZZ_NAMES := $(patsubst t/fuzz/%.c,%,$(sort $(wildcard t/fuzz/fuzz_*.c)))
FUZZ_TARGETS := $(FUZZ_NAMES:%=$(FUZZ_DIR)/%)
FUZZ_TARGET_OBJ := $(FUZZ_NAMES:%=$(FUZZ_DIR)/t/fuzz/%.o)

.PHONY: fuzz fuzz-build fuzz-replay
fuzz-build: $(FUZZ_TARGETS)

# One after the other: a fuzzer keeps a core busy. New units go to the first directory, the corpus is only
# read. A crash leaves its input in build/fuzz/ and fails the target.
fuzz: $(FUZZ_NAMES:%=fuzz-run-%)

.PHONY: $(FUZZ_NAMES:%=fuzz-run-%) $(FUZZ_NAMES:%=fuzz-replay-%)
$(FUZZ_NAMES:%=fuzz-run-%): fuzz-run-%: $(FUZZ_DIR)/%
	@mkdir -p $(FUZZ_DIR)/corpus/$*
	$< -max_total_time=$(FUZZ_SECONDS) -timeout=10 -artifact_prefix=$(FUZZ_DIR)/$*- -print_final_stats=1 \
	 $(addprefix -dict=,$(wildcard t/fuzz/$*.dict)) $(FUZZ_FLAGS) $(FUZZ_DIR)/corpus/$* t/fuzz/corpus/$*

# An empty corpus would pass without having run anything.
fuzz-replay: $(FUZZ_NAMES:%=fuzz-replay-%)
$(FUZZ_NAMES:%=fuzz-replay-%): fuzz-replay-%: $(FUZZ_DIR)/%
	@test -n "$$(ls t/fuzz/corpus/$*)"
	$< -runs=0 -timeout=10 -artifact_prefix=$(FUZZ_DIR)/$*- t/fuzz/corpus/$* >$(FUZZ_DIR)/$*.log 2>&1 || \
	 { cat $(FUZZ_DIR)/$*.log; exit 1; }

FUZZ_STAMP := $(FUZZ_DIR)/flags
.PHONY: fuzz-flags
$(FUZZ_STAMP): fuzz-flags
	@mkdir -p $(@D)
	@echo '$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_SRC)' | cmp -s - $@ || \
	 echo '$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_SRC)' > $@

$(FUZZ_OBJ) $(FUZZ_TARGET_OBJ): $(FUZZ_DIR)/%.o: %.c $(FUZZ_STAMP)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) $(FUZZ_CPPFLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_TARGETS): $(FUZZ_DIR)/%: $(FUZZ_DIR)/t/fuzz/%.o $(FUZZ_OBJ)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $^ $(FUZZ_LIBS)

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_TARGET_OBJ:.o=.d)
