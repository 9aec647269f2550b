# SPDX-License-Identifier: Apache-2.0
#
# A third party's module, for t/13-third-party-method.t: `make modules` builds it as apxs would build anybody's,
# and once more as one that was written for another version of mod_appbalance. And one that makes races likely,
# for t/81-races.t.
# Included by the Makefile at the top of the repository; all paths are relative to there.

MODULE_DIR := build/module
MODULES := $(MODULE_DIR)/.libs/mod_lbmethod_sample.so $(MODULE_DIR)/.libs/mod_lbmethod_old.so \
	$(MODULE_DIR)/.libs/mod_slow_worker.so

.PHONY: modules
modules: $(MODULES)

$(MODULE_DIR)/mod_lbmethod_sample.c: t/module/mod_lbmethod_sample.c
	@mkdir -p $(@D)
	cp $< $@

$(MODULE_DIR)/mod_slow_worker.c: t/module/mod_slow_worker.c
	@mkdir -p $(@D)
	cp $< $@

$(MODULE_DIR)/mod_lbmethod_old.c: t/module/mod_lbmethod_sample.c
	@mkdir -p $(@D)
	sed 's/ABL_METHOD_VERSION/"1"/; s/lbmethod_sample/lbmethod_old/' $< > $@

$(MODULES): $(MODULE_DIR)/.libs/%.so: $(MODULE_DIR)/%.c mod_appbalance.h
	$(APXS) -c -I. -Wc,'-Wall -Wextra -Werror -Wno-missing-field-initializers' -o $(MODULE_DIR)/$*.la $< >$(MODULE_DIR)/$*.log 2>&1 || \
		{ cat $(MODULE_DIR)/$*.log; exit 1; }
