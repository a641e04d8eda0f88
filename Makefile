# Builds, checks and installs Terrace. `make` alone builds target/release/libterrace.so and libterrace.a.
#
# PREFIX, LIBDIR, INCLUDEDIR and DESTDIR say where `make install` puts things; CARGO, CC and CXX name the tools.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
CARGO ?= cargo
INSTALL ?= install

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SONAME := libterrace.so.$(firstword $(subst ., ,$(VERSION)))
TARGET := $(or $(CARGO_TARGET_DIR),target)
RELEASE := $(TARGET)/release
LIBRARY := libterrace.so.$(VERSION)

# Names under which programs look for LevelDB: the linker's, LevelDB's own, and Debian's.
LEVELDB_NAMES := libleveldb.so libleveldb.so.1 libleveldb.so.1d

lib := $(DESTDIR)$(LIBDIR)
include := $(DESTDIR)$(INCLUDEDIR)/terrace

.PHONY: all install uninstall headers check check-headers test demo bench fuzz hostile-report clean

all:
	$(CARGO) build --release --lib

install: all
	$(INSTALL) -d $(lib)/pkgconfig $(lib)/terrace/pkgconfig $(include)/leveldb
	$(INSTALL) -m 755 $(RELEASE)/libterrace.so $(lib)/$(LIBRARY)
	$(INSTALL) -m 644 $(RELEASE)/libterrace.a $(lib)/libterrace.a
	ln -sf $(LIBRARY) $(lib)/$(SONAME)
	ln -sf $(SONAME) $(lib)/libterrace.so
	for name in $(LEVELDB_NAMES) $(SONAME); do ln -sf ../$(LIBRARY) $(lib)/terrace/$$name; done
	$(INSTALL) -m 644 include/terrace.h $(include)/terrace.h
	$(INSTALL) -m 644 include/leveldb/c.h $(include)/leveldb/c.h
	$(call instantiate,terrace.pc) > $(lib)/pkgconfig/terrace.pc
	$(call instantiate,leveldb.pc) > $(lib)/terrace/pkgconfig/leveldb.pc

instantiate = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	-e 's|@VERSION@|$(VERSION)|' packaging/$(1).in

uninstall:
	rm -f $(lib)/$(LIBRARY) $(lib)/$(SONAME) $(lib)/libterrace.so $(lib)/libterrace.a
	rm -f $(addprefix $(lib)/terrace/,$(LEVELDB_NAMES) $(SONAME))
	rm -f $(lib)/pkgconfig/terrace.pc $(lib)/terrace/pkgconfig/leveldb.pc
	rm -f $(include)/terrace.h $(include)/leveldb/c.h
	-rmdir $(lib)/terrace/pkgconfig $(lib)/terrace $(include)/leveldb $(include) 2>/dev/null

# include/ holds copies of what build.rs generates from src/ffi.
headers:
	TERRACE_UPDATE_HEADERS=1 $(CARGO) test --lib ffi::tests::headers

# The quick round: under three minutes on two cores.
check: check-headers
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) test --lib
	$(CARGO) test --test main layering

# The headers in the oldest dialects that have what they need, and in C++.
check-headers:
	$(CC) -std=c99 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only -xc include/terrace.h
	$(CXX) -std=c++98 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only tests/c/header_test.cc
	$(CXX) -std=c++17 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only tests/c/header_test.cc

test:
	scripts/test.sh

demo:
	scripts/demo.sh

bench:
	scripts/bench.sh

# FUZZ_SECONDS for each target, one after the other.
FUZZ_SECONDS ?= 60
fuzz:
	scripts/fuzz.sh $(FUZZ_SECONDS)

# What hostile databases do to Google's LevelDB and to us, as a table.
hostile-report:
	$(CARGO) test --test main hostile::beside -- --nocapture

clean:
	$(CARGO) clean
