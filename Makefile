# Builds, checks and installs Terrace. `make` alone builds three files in target/release: libterrace.so,
# libterrace.a, and libleveldb.so.1, which replaces LevelDB's library for programs in C and C++. Without a C++
# compiler the third is not built; LevelDB's names are then links to libterrace.so, which serve programs in C
# only.
#
# PREFIX, LIBDIR, INCLUDEDIR and DESTDIR are the directories of `make install`; CARGO, CC and CXX are the
# tools.

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

# The names under which programs look for LevelDB: LevelDB's own, the linker's, and Debian's. The name of
# libterrace is among them, so that a process loads only one engine from this directory, whichever name it
# asks for.
LEVELDB := libleveldb.so.1
LEVELDB_NAMES := libleveldb.so libleveldb.so.1d $(SONAME)

# Is there a C++ compiler?
has_cxx := $(shell command -v $(firstword $(CXX)) 2>/dev/null)
LEVELDB_OBJECT := $(if $(has_cxx),$(RELEASE)/$(LEVELDB))

CPP := bindings/cpp
CPP_HEADERS := $(wildcard $(addprefix $(CPP)/include/,leveldb/*.h leveldb/detail/*.h helpers/*.h terrace/*.h terrace/detail/*.h))
CXXFLAGS ?= -O2 -g1

lib := $(DESTDIR)$(LIBDIR)
include := $(DESTDIR)$(INCLUDEDIR)/terrace

.PHONY: all install uninstall headers rust-api check check-headers test test-clients sanitize soak demo bench bench-families wheel clean fuzz hostile-report rust

all: rust $(LEVELDB_OBJECT)

rust:
	$(CARGO) build --release --lib

$(RELEASE)/libterrace.a: rust ;

# All of libterrace.a under one name, with LevelDB's C++ interface on top: one engine, and no other file is
# needed at run time.
$(RELEASE)/$(LEVELDB): $(CPP)/src/leveldb.cc $(CPP_HEADERS) include/terrace.h include/leveldb/c.h packaging/leveldb.map \
    $(RELEASE)/libterrace.a
	$(CXX) -std=c++17 $(CXXFLAGS) -fPIC -shared -fvisibility=hidden -DLEVELDB_SHARED_LIBRARY -DLEVELDB_COMPILE_LIBRARY \
	    -Iinclude -I$(CPP)/include -o $@ $(CPP)/src/leveldb.cc -Wl,-soname,$(LEVELDB) \
	    -Wl,--version-script=packaging/leveldb.map -Wl,-Bsymbolic-functions -Wl,-z,nodelete -Wl,-z,relro,-z,now \
	    -Wl,--whole-archive $(RELEASE)/libterrace.a -Wl,--no-whole-archive -Wl,--gc-sections -Wl,--no-undefined \
	    -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc

install: all
	$(INSTALL) -d $(lib)/pkgconfig $(lib)/terrace/pkgconfig $(lib)/cmake/terrace $(lib)/terrace/cmake
	$(INSTALL) -d $(include)/leveldb/detail $(include)/helpers $(include)/terrace/detail
	$(INSTALL) -m 755 $(RELEASE)/libterrace.so $(lib)/$(LIBRARY)
	$(INSTALL) -m 644 $(RELEASE)/libterrace.a $(lib)/libterrace.a
	ln -sf $(LIBRARY) $(lib)/$(SONAME)
	ln -sf $(SONAME) $(lib)/libterrace.so
	rm -f $(lib)/terrace/$(LEVELDB)
ifneq ($(LEVELDB_OBJECT),)
	$(INSTALL) -m 755 $(LEVELDB_OBJECT) $(lib)/terrace/$(LEVELDB)
else
	ln -sf ../$(LIBRARY) $(lib)/terrace/$(LEVELDB)
	@echo "install: no C++ compiler ($(CXX)): $(lib)/terrace serves programs in C only. To serve those in C++, name a compiler in CXX"
endif
	for name in $(LEVELDB_NAMES); do ln -sf $(LEVELDB) $(lib)/terrace/$$name; done
	$(INSTALL) -m 644 include/terrace.h $(include)/terrace.h
	$(INSTALL) -m 644 include/leveldb/c.h $(CPP)/include/leveldb/*.h $(include)/leveldb
	$(INSTALL) -m 644 $(CPP)/include/leveldb/detail/*.h $(include)/leveldb/detail
	$(INSTALL) -m 644 $(CPP)/include/helpers/*.h $(include)/helpers
	$(INSTALL) -m 644 $(CPP)/include/terrace/*.h $(include)/terrace
	$(INSTALL) -m 644 $(CPP)/include/terrace/detail/*.h $(include)/terrace/detail
	@$(call instantiate,terrace.pc) > $(lib)/pkgconfig/terrace.pc
	@$(call instantiate,leveldb.pc) > $(lib)/terrace/pkgconfig/leveldb.pc
	@$(call instantiate,terraceConfig.cmake) > $(lib)/cmake/terrace/terraceConfig.cmake
	@$(call instantiate,ConfigVersion.cmake,$(VERSION)) > $(lib)/cmake/terrace/terraceConfigVersion.cmake
	@$(call instantiate,leveldbConfig.cmake) > $(lib)/terrace/cmake/leveldbConfig.cmake
	@$(call instantiate,ConfigVersion.cmake,1.23.0) > $(lib)/terrace/cmake/leveldbConfigVersion.cmake

# instantiate NAME [VERSION OF THE PACKAGE]
instantiate = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
	-e 's|@VERSION@|$(VERSION)|' -e 's|@PACKAGE_VERSION@|$(2)|' -e 's|@LIBRARY@|$(LIBRARY)|' -e 's|@SONAME@|$(SONAME)|' \
	packaging/$(1).in

uninstall:
	rm -f $(lib)/$(LIBRARY) $(lib)/$(SONAME) $(lib)/libterrace.so $(lib)/libterrace.a
	rm -f $(addprefix $(lib)/terrace/,$(LEVELDB) $(LEVELDB_NAMES))
	rm -f $(lib)/pkgconfig/terrace.pc $(lib)/terrace/pkgconfig/leveldb.pc
	rm -f $(addprefix $(lib)/cmake/terrace/terraceConfig,.cmake Version.cmake)
	rm -f $(addprefix $(lib)/terrace/cmake/leveldbConfig,.cmake Version.cmake)
	rm -f $(include)/terrace.h $(include)/leveldb/c.h $(patsubst $(CPP)/include/%,$(include)/%,$(CPP_HEADERS))
	-rmdir $(lib)/terrace/pkgconfig $(lib)/terrace/cmake $(lib)/terrace $(lib)/cmake/terrace 2>/dev/null
	-rmdir $(include)/leveldb/detail $(include)/leveldb $(include)/helpers 2>/dev/null
	-rmdir $(include)/terrace/detail $(include)/terrace $(include) 2>/dev/null

# include/ has copies of the headers that build.rs generates from src/ffi.
headers:
	TERRACE_UPDATE_HEADERS=1 $(CARGO) test --lib ffi::tests::headers

# doc/rust-api.txt lists the public Rust API.
rust-api:
	TERRACE_UPDATE_RUST_API=1 $(CARGO) test --test main layering::rust_api

# The quick round: takes less than three minutes on two cores.
check: check-headers
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) test --lib
	$(CARGO) test --test main layering
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps

# Compiles the headers in the oldest dialects of C and C++ that they support, and in C++17.
check-headers:
	$(CC) -std=c99 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only -xc include/terrace.h
	$(CXX) -std=c++98 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only tests/c/header_test.cc
	$(CXX) -std=c++17 -Wall -Wextra -pedantic -Werror -Iinclude -fsyntax-only tests/c/header_test.cc

test:
	scripts/test.sh

# The test suites of LevelDB's clients, with Terrace in LevelDB's place; CLIENTS="levigo leveldb" runs only
# these two.
CLIENTS ?=
test-clients:
	CLIENTS='$(CLIENTS)' scripts/test-clients.sh

# The unit tests and the C programs under the address and the thread sanitizer, the models with more
# preemptions, and Miri.
sanitize:
	scripts/sanitize.sh

# The stages of tests/README.md, repeated with new seeds: make soak HOURS=0.2 takes twelve minutes.
HOURS ?= 1
soak:
	HOURS=$(HOURS) scripts/soak.sh

demo:
	scripts/demo.sh

# make bench PROFILE=record|all|growth|tuned|... ROUNDS=3 KEYS=1000000 ROWS=fillseq,readseq THREADS=1,2,4
# BUDGET=1800 ROCKSDB=release, or INSTRUCTIONS=FILE; tests/bench/README.md explains each of them and how long
# it takes.
bench:
	PROFILE='$(PROFILE)' ROUNDS='$(ROUNDS)' KEYS='$(KEYS)' ROWS='$(ROWS)' THREADS='$(THREADS)' BUDGET='$(BUDGET)' \
		INSTRUCTIONS='$(INSTRUCTIONS)' ROCKSDB='$(ROCKSDB)' scripts/bench.sh

# Prints what 1, 10 and 1,000 column families cost, and how large the WALs get beside an idle family while
# WAL_MIB are written to another one.
WAL_MIB ?= 1024
bench-families:
	WAL_MIB='$(WAL_MIB)' scripts/bench-families.sh

# Builds a Python wheel that contains the library, in target/wheel.
wheel: all
	scripts/wheel.sh

# Runs the fuzz targets one after the other, each for FUZZ_SECONDS.
FUZZ_SECONDS ?= 60
fuzz:
	scripts/fuzz.sh $(FUZZ_SECONDS)

# Prints a table of what hostile databases do to Google's LevelDB and to Terrace.
hostile-report:
	$(CARGO) test --test main hostile::beside -- --nocapture

clean:
	$(CARGO) clean
