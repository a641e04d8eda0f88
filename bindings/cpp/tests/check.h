// Shared by the tests: checks that print their place, and a temporary directory.

#ifndef TERRACE_BINDINGS_CPP_TESTS_CHECK_H_
#define TERRACE_BINDINGS_CPP_TESTS_CHECK_H_

#include <cstdio>
#include <cstdlib>
#include <string>

#include "leveldb/status.h"

#define CHECK(condition)                                                               \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);     \
      std::exit(1);                                                                    \
    }                                                                                  \
  } while (0)

#define CHECK_OK(expression)                                                                        \
  do {                                                                                              \
    const leveldb::Status checked_status = (expression);                                            \
    if (!checked_status.ok()) {                                                                     \
      std::fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #expression,                      \
                   checked_status.ToString().c_str());                                              \
      std::exit(1);                                                                                 \
    }                                                                                               \
  } while (0)

#define CHECK_EQ(a, b)                                                                              \
  do {                                                                                              \
    const std::string checked_a(a), checked_b(b);                                                   \
    if (checked_a != checked_b) {                                                                   \
      std::fprintf(stderr, "%s:%d: \"%s\" is not \"%s\"\n", __FILE__, __LINE__, checked_a.c_str(),   \
                   checked_b.c_str());                                                              \
      std::exit(1);                                                                                 \
    }                                                                                               \
  } while (0)

inline std::string Scratch(const char* name) {
  const char* directory = std::getenv("TEST_TMPDIR");
  return std::string(directory != nullptr ? directory : "/tmp") + "/" + name;
}

#endif  // TERRACE_BINDINGS_CPP_TESTS_CHECK_H_
