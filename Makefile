# mod_appbalance
# SPDX-License-Identifier: Apache-2.0

.DEFAULT_GOAL := all
.PHONY: all install uninstall clean

include apxs.mk

all: .libs/mod_appbalance.so

# ACTIVATE=1 also adds the LoadModule line (apxs -a).
install: all
	$(APXS) -i $(if $(ACTIVATE),-a) mod_appbalance.la

clean:
	rm -rf .libs build mod_appbalance.la build.log
	rm -f *.o *.lo *.slo src/*/*.o src/*/*.lo src/*/*.slo
