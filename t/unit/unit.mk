# SPDX-License-Identifier: Apache-2.0
#
# Unit tests: `make unit` builds build/unit/*.t, `prove build/unit/*.t` runs them.
# Included by the Makefile at the top of the repository; all paths are relative to there.

UNIT_CC ?= $(CC)
UNIT_CFLAGS ?= -std=c11 -g -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -Isrc $(UNIT_EXTRA)
UNIT_LDFLAGS ?= $(UNIT_EXTRA)

# Asked for when first used, so that other targets need neither Check nor the -config scripts.
UNIT_CPPFLAGS = $(eval UNIT_CPPFLAGS := $(shell apr-1-config --cppflags --includes) \
	$(shell apu-1-config --includes) $(shell pkg-config --cflags check))$(UNIT_CPPFLAGS)
UNIT_LIBS = $(eval UNIT_LIBS := $(shell apu-1-config --link-ld --libs) \
	$(shell apr-1-config --link-ld --libs) $(shell pkg-config --libs check) -lssl -lcrypto -lcares -ljansson -lresolv -lm)$(UNIT_LIBS)

UNIT_DIR := build/unit
UNIT_LIB := $(UNIT_DIR)/libabl.a
UNIT_SRC := $(sort $(wildcard src/base/*.c src/wire/*.c src/balance/*.c src/ledger/*.c src/engine/*.c src/control/*.c))
UNIT_OBJ := $(UNIT_SRC:%.c=$(UNIT_DIR)/%.o)
UNIT_TESTS := $(patsubst t/unit/%.c,$(UNIT_DIR)/%.t,$(sort $(wildcard t/unit/*.c)))
UNIT_TEST_OBJ := $(UNIT_TESTS:$(UNIT_DIR)/%.t=$(UNIT_DIR)/t/unit/%.o)

.PHONY: unit
unit: $(UNIT_TESTS)

# Changes when the compiler, its flags or the list of sources change: other flags make other objects, and a
# file that went away must leave the library.
UNIT_FLAGS := $(UNIT_DIR)/flags
.PHONY: unit-flags
$(UNIT_FLAGS): unit-flags
	@mkdir -p $(@D)
	@echo '$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_LDFLAGS) $(UNIT_SRC)' | cmp -s - $@ || \
	 echo '$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_LDFLAGS) $(UNIT_SRC)' > $@

$(UNIT_OBJ) $(UNIT_TEST_OBJ): $(UNIT_DIR)/%.o: %.c $(UNIT_FLAGS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_CPPFLAGS) -MMD -MP -c -o $@ $<

$(UNIT_LIB): $(UNIT_OBJ)
	rm -f $@
	$(AR) rcs $@ $(UNIT_OBJ)

$(UNIT_TESTS): $(UNIT_DIR)/%.t: $(UNIT_DIR)/t/unit/%.o $(UNIT_LIB)
	$(UNIT_CC) $(UNIT_CFLAGS) $(UNIT_LDFLAGS) -o $@ $< $(UNIT_LIB) $(UNIT_LIBS)

-include $(UNIT_OBJ:.o=.d) $(UNIT_TEST_OBJ:.o=.d)
