# mod_appbalance
# SPDX-License-Identifier: Apache-2.0
#
#   make                 the module, .libs/mod_appbalance.so
#   make install         copies it to httpd's modules; ACTIVATE=1 loads it too
#   make demo            installs what is missing and shows the module at work on 127.0.0.1:8080
#   make check           installs what is missing and passes all tests
#
# and for those who change it: check-drivers, check-asan, check-tsan, check-clang, fuzz, lint, bench.

.DEFAULT_GOAL := all
.PHONY: all install uninstall clean deps check check-drivers check-asan check-tsan check-clang lint demo bench

include apxs.mk
include t/unit/unit.mk
include t/fuzz/fuzz.mk
include t/module/module.mk

all: .libs/mod_appbalance.so

# ---- Debian packages, by what needs them

PACKAGES_build    := gcc libc6-dev apache2-dev libssl-dev libc-ares-dev libjansson-dev
PACKAGES_demo     := $(PACKAGES_build) apache2-bin perl curl
PACKAGES_catalyst := libcatalyst-perl libcatalyst-devel-perl libcatalyst-plugin-configloader-perl libconfig-general-perl \
	libcatalyst-plugin-static-simple-perl libcatalyst-action-renderview-perl media-types
PACKAGES_check    := $(PACKAGES_demo) $(PACKAGES_catalyst) check pkg-config binutils clang libclang-rt-dev \
	libplack-perl starman wrk prometheus $(if $(shell command -v npm),,npm) nodejs node-ws chromium python3 openssl knot iproute2 util-linux
PACKAGES_lint     := $(PACKAGES_check) clang-format clang-tidy cppcheck
PACKAGES_bench    := $(PACKAGES_demo) wrk nginx-light haproxy libplack-perl gnuplot-nox python3 curl iproute2 util-linux knot

# make deps FOR=demo: only what this needs. Does nothing, and needs no network, when everything is there.
FOR ?= check
deps:
	@t/install-packages $(PACKAGES_$(FOR))

# ---- install

# httpd's folders, below DESTDIR when a package is made.
libexec = $(DESTDIR)$(shell $(APXS) -q LIBEXECDIR)
includes = $(DESTDIR)$(shell $(APXS) -q INCLUDEDIR)
available = $(DESTDIR)$(shell $(APXS) -q SYSCONFDIR)/mods-available/appbalance.load

install: all
	$(if $(and $(DESTDIR),$(ACTIVATE)),$(error ACTIVATE=1 changes this machine's httpd; leave it out with DESTDIR))
	$(if $(DESTDIR),mkdir -p $(libexec))
	$(APXS) $(if $(DESTDIR),-S LIBEXECDIR=$(libexec)) -i $(if $(ACTIVATE),-a) mod_appbalance.la
	mkdir -p $(includes) && cp mod_appbalance.h $(includes)/

# The line that `apxs -a` wrote goes too: Debian keeps it in a file, others in httpd.conf.
uninstall:
	rm -f $(libexec)/mod_appbalance.so $(includes)/mod_appbalance.h
ifndef DESTDIR
	if command -v a2dismod >/dev/null; then \
		if [ -e $(available) ]; then a2dismod -q appbalance && rm -f $(available) $(available).bak~; fi; \
	else $(APXS) -e -A -n appbalance mod_appbalance.so; fi
endif

clean:
	rm -rf .libs build mod_appbalance.la build.log
	rm -f *.o *.lo *.slo src/*/*.o src/*/*.lo src/*/*.slo
	rm -rf src/*/.libs

# ---- check

# ABL_ALL: a tool that is missing is a failure, not a reason to skip. Only one test may use fixed ports (39564 to 39567).
# Unit tests run one by one: some of them begin and end thousands of processes. So do those that measure how soon a
# browser shows ten thousand members.
PROVE = ABL_ALL=1 prove -It/lib -j2
ALONE := t/112-page.t t/113-page-live.t

check:
	@$(MAKE) --no-print-directory deps FOR=check
	@$(MAKE) -s --no-print-directory all unit modules check-clang fuzz-replay
	ABL_ALL=1 prove $(UNIT_TESTS)
	ABL_ALL=1 prove -It/lib $(ALONE)
	$(PROVE) $(filter-out $(ALONE),$(wildcard t/*.t))

# Not part of check, for its time: the integration tests in each way of waiting: every request that waits is parked at once, and goes on
# on a loop's thread as far as it may, or on a worker; and a worker waits for it.
check-drivers: all modules
	ABL_CONF='BalancerInline 0' $(PROVE) t/[1-9]*.t
	ABL_CONF='BalancerInline 0%BalancerLane off' $(PROVE) t/[1-9]*.t
	ABL_CONF='BalancerInline 1s%BalancerLane off' $(PROVE) t/[1-9]*.t

# What runs in several threads and needs no httpd, under ThreadSanitizer.
check-tsan: build/tsan/Makefile
	@$(MAKE) --no-print-directory deps FOR=check
	@$(MAKE) -s --no-print-directory -C build/tsan unit UNIT_CC=gcc UNIT_EXTRA=-fsanitize=thread
	TSAN_OPTIONS=halt_on_error=1 prove $(patsubst %,build/tsan/build/unit/%.t,crew loop loop_line stash spool exchange exchange_queue exchange_stashed pool)

# A copy of the sources, so that objects of other compilers and flags stay apart.
build/%/Makefile: FORCE
	@mkdir -p $(@D) && rm -rf $(@D)/src $(@D)/t
	@cp -Rp mod_appbalance.c mod_appbalance.h Makefile apxs.mk src t $(@D)
.PHONY: FORCE
FORCE:

check-clang: build/clang/Makefile
	$(MAKE) --no-print-directory -C build/clang CC=clang all

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
PRELOAD = $(shell gcc -print-file-name=libasan.so) $(shell gcc -print-file-name=libubsan.so)

# httpd's pools look like leaks to the sanitizer; the unit tests have none.
check-asan: build/asan/Makefile
	@$(MAKE) --no-print-directory deps FOR=check
	@$(MAKE) -s --no-print-directory modules
	@$(MAKE) -s --no-print-directory -C build/asan all CC=gcc CFLAGS='-g -O1 -fno-omit-frame-pointer $(SANITIZE)' LDFLAGS='$(SANITIZE)'
	@$(MAKE) -s --no-print-directory -C build/asan unit UNIT_CC=gcc UNIT_EXTRA='$(SANITIZE)'
	LSAN_OPTIONS=suppressions=$(CURDIR)/t/unit/lsan.supp:print_suppressions=0 prove $(UNIT_TESTS:%=build/asan/%)
	ABL_MIX_SECONDS=180 ABL_MODULE=$(CURDIR)/build/asan/.libs/mod_appbalance.so ABL_PRELOAD='$(PRELOAD)' \
		ASAN_OPTIONS=detect_leaks=0:handle_segv=2:handle_sigbus=2:handle_abort=2 UBSAN_OPTIONS=print_stacktrace=1 $(PROVE) t/*.t

TIDY_FLAGS = -std=gnu11 -D_GNU_SOURCE -I. -Isrc -I$(shell $(APXS) -q INCLUDEDIR) $(shell apr-1-config --includes)

# DEMO_PORT=8080, APP=catalyst; see conf/demo/demo.
demo:
	@t/install-packages $(PACKAGES_demo) $(if $(filter catalyst,$(APP)),$(PACKAGES_catalyst))
	@$(MAKE) -s --no-print-directory all
	@conf/demo/demo

# All of them, or BENCH='queue ledger'. Each has more knobs (BENCH_ROUNDS=5 …): see its first lines.
BENCH ?= $(notdir $(wildcard t/bench/bench t/bench/queue t/bench/parked t/bench/applications t/bench/resilience t/bench/ledger))
bench:
	@$(MAKE) --no-print-directory deps FOR=bench
	@$(MAKE) -s --no-print-directory all build/bench/openloop build/bench/clients
	@for bench in $(BENCH); do t/bench/$$bench || exit 1; done

# the layers that need no httpd, as the module is compiled
build/bench/ledger_cost: t/bench/ledger_cost.c $(wildcard src/base/*.[ch] src/balance/*.[ch] src/ledger/*.[ch])
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -I. -Isrc $$(apr-1-config --cppflags --includes) \
		$$(apu-1-config --includes) -o $@ $(filter %.c,$^) $$(apu-1-config --link-ld --libs) \
		$$(apr-1-config --link-ld --libs) -lpthread -lm

build/bench/%: t/bench/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -D_GNU_SOURCE -Wall -Wextra -Werror -o $@ $<

lint:
	@$(MAKE) --no-print-directory deps FOR=lint
	clang-format --dry-run -Werror $(SOURCES) $(HEADERS) $(wildcard t/unit/*.[ch] t/fuzz/*.[ch] t/bench/*.[ch])
	cppcheck --quiet --error-exitcode=1 --enable=warning,style,performance,portability --inline-suppr \
		--std=c11 -I. -Isrc --suppress=missingIncludeSystem $(SOURCES)
	clang-tidy --quiet $(SOURCES) -- $(TIDY_FLAGS)
