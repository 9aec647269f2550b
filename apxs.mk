# How the module is compiled: by apxs, with httpd's own flags and ours.
# SPDX-License-Identifier: Apache-2.0

APXS ?= $(firstword $(shell command -v apxs apxs2 2>/dev/null) apxs)

SOURCES := mod_appbalance.c $(wildcard src/*/*.c)
HEADERS := mod_appbalance.h $(wildcard src/*/*.h)
# parts of the module that the assembler takes in as they are
PAGES := $(wildcard src/httpd/page/*)

# CFLAGS and LDFLAGS are the user's; CC chooses the compiler when it is set on the command line.
# The exception is for APR's own APR_OFFSETOF, which clang finds fault with.
MODULE_CFLAGS := -std=gnu11 -O2 -D_GNU_SOURCE -fvisibility=hidden \
	-Wall -Wextra -Werror -Wno-null-pointer-subtraction $(CFLAGS)
comma := ,
empty :=
space := $(empty) $(empty)
apxs_words = $(if $(strip $(2)),-W$(1)$(comma)'$(strip $(2))')

ifeq ($(origin CC),command line)
APXS_CC := -S CC="$(CC)"
endif

.libs/mod_appbalance.so: $(SOURCES) $(HEADERS) $(PAGES) apxs.mk Makefile
	@echo '$(APXS) $(APXS_CC) -c $(strip $(MODULE_CFLAGS)) -o $@'
	@$(APXS) $(APXS_CC) -c -I. -Isrc $(call apxs_words,c,$(MODULE_CFLAGS)) $(call apxs_words,l,$(LDFLAGS)) \
		-o mod_appbalance.la $(SOURCES) -lssl -lcrypto -lcares -ljansson -lresolv -ldl -lpthread -lm >build.log 2>&1 || \
		{ grep -v 'libtool[ :]' build.log; exit 1; }
	@rm -f build.log
