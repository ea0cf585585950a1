# SPDX-License-Identifier: BSD-2-Clause
# weir: `make` builds build/weir; `make help` lists the rest.

CC ?= cc
CLANG ?= clang
BPFTOOL ?= bpftool
PREFIX ?= /usr/local
B := build

VERSION := 0.1.0
PACKAGES := libbpf libxdp jansson libevent libcurl libmnl libxxhash libsystemd
ifeq ($(filter clean help,$(MAKECMDGOALS)),)
PACKAGE_CFLAGS := $(shell pkg-config --cflags $(PACKAGES))
PACKAGE_LIBS := $(shell pkg-config --libs $(PACKAGES) || echo missing-packages)
ifneq ($(findstring missing-packages,$(PACKAGE_LIBS)),)
$(error libraries are missing: run scripts/install-deps.sh)
endif
endif

WARNINGS := -Wall -Wextra -Werror -Wmissing-prototypes
CPPFLAGS += -Iinclude -Iuser -I$(B)/bpf -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' -MMD -MP
CFLAGS += -std=gnu11 -O2 -g $(WARNINGS) $(PACKAGE_CFLAGS)
HARDEN := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2
LDFLAGS += -pie -Wl,-z,relro,-z,now
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# -mcpu=v3: 64-bit compare-and-swap. <asm/types.h> is in a multiarch folder on Debian.
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g -fno-strict-aliasing -Wall -Wextra -Werror \
	-Iinclude -Ibpf $(patsubst %/asm/types.h,-I%,$(wildcard /usr/include/*/asm/types.h)) -MMD -MP

BPF_OBJECTS := $(patsubst bpf/%.bpf.c,$(B)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
SKELETONS := $(BPF_OBJECTS:.bpf.o=.skel.h)
SOURCES := $(wildcard user/*.c user/*/*.c)
OBJECTS := $(SOURCES:%.c=$(B)/%.o)
LIBRARY_OBJECTS := $(filter-out $(B)/user/main.o,$(OBJECTS))
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*.c))
E2E_TESTS := $(patsubst tests/e2e/%.c,$(B)/tests/e2e/%,$(wildcard tests/e2e/*.c))
PACKET_TESTS := $(patsubst tests/packet/%.c,$(B)/tests/packet/%.o,$(wildcard tests/packet/*.c))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(patsubst $(B)/%,%,$@))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all tests install uninstall clean help

all: $(B)/weir

$(B)/weir: $(OBJECTS)
	$(call say,LINK)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(PACKAGE_LIBS)

$(B)/user/%.o: user/%.c | $(SKELETONS)
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(HARDEN) -c -o $@ $<

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	$(call say,BPF)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(B)/bpf/%.skel.h: $(B)/bpf/%.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# Tests: userspace code under ASan and UBSan, everything but main.
tests: $(B)/weir $(UNIT_TESTS) $(E2E_TESTS) $(B)/tests/packet/packet

# cmocka hands every test a state that few need.
$(B)/sanitized/tests/%.o: WARNINGS += -Wno-unused-parameter

$(B)/sanitized/%.o: %.c | $(SKELETONS)
	$(call say,CC)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(SANITIZE) -c -o $@ $<

$(B)/sanitized/libweir.a: $(LIBRARY_OBJECTS:$(B)/%=$(B)/sanitized/%)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

define link-test
$(call say,LINK)
$(Q)mkdir -p $(@D)
$(Q)$(CC) $(SANITIZE) -o $@ $^ -lcmocka -lm $(PACKAGE_LIBS)
endef

$(B)/tests/unit/%: $(B)/sanitized/tests/unit/%.o $(B)/sanitized/libweir.a
	$(link-test)

$(B)/tests/e2e/%: $(B)/sanitized/tests/e2e/%.o $(B)/sanitized/libweir.a
	$(link-test)

$(B)/tests/packet/packet: $(PACKET_TESTS:$(B)/%=$(B)/sanitized/%) $(B)/sanitized/libweir.a
	$(link-test)

install: $(B)/weir
	install -d $(DESTDIR)$(PREFIX)/sbin
	install -m 0755 $(B)/weir $(DESTDIR)$(PREFIX)/sbin/weir

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/weir

clean:
	rm -rf $(B)

help:
	@echo 'make            build/weir'
	@echo 'make tests      the test programs (scripts/test.sh runs them)'
	@echo 'make install    to $$DESTDIR$$PREFIX/sbin ($(PREFIX)/sbin)'
	@echo 'make clean      remove build/'
	@echo 'variables: CC CLANG BPFTOOL PREFIX DESTDIR V=1'

-include $(OBJECTS:.o=.d) $(BPF_OBJECTS:.o=.d) $(shell find $(B)/sanitized -name '*.d' 2>/dev/null)
