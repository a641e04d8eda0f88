// The bytewise order, and passing an order of C++ to C.

#ifndef TERRACE_LEVELDB_DETAIL_COMPARATOR_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_COMPARATOR_IMPL_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "leveldb/comparator.h"
#include "leveldb/detail/c_functions.h"
#include "leveldb/slice.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE Comparator::~Comparator() = default;

namespace detail {

class BytewiseComparatorImpl final : public Comparator {
 public:
  const char* Name() const override { return "leveldb.BytewiseComparator"; }

  int Compare(const Slice& a, const Slice& b) const override { return a.compare(b); }

  void FindShortestSeparator(std::string* start, const Slice& limit) const override {
    const size_t length = start->size() < limit.size() ? start->size() : limit.size();
    size_t common = 0;
    while (common < length && (*start)[common] == limit[common]) common++;
    // If one key is a prefix of the other, there is no shorter key between them.
    if (common == length) return;
    const uint8_t byte = static_cast<uint8_t>((*start)[common]);
    if (byte < 0xff && byte + 1 < static_cast<uint8_t>(limit[common])) {
      (*start)[common] = static_cast<char>(byte + 1);
      start->resize(common + 1);
    }
  }

  void FindShortSuccessor(std::string* key) const override {
    for (size_t i = 0; i < key->size(); i++) {
      const uint8_t byte = static_cast<uint8_t>((*key)[i]);
      if (byte != 0xff) {
        (*key)[i] = static_cast<char>(byte + 1);
        key->resize(i + 1);
        return;
      }
    }
  }
};

// A malloc()ed copy, for callbacks whose results C frees; NULL if memory ran out.
inline char* MallocCopy(const char* data, size_t length) {
  char* copy = static_cast<char*>(std::malloc(length == 0 ? 1 : length));
  if (copy != nullptr && length != 0) std::memcpy(copy, data, length);
  return copy;
}

// The callbacks for an order of C++. The state is the order.
struct ComparatorCallbacks {
  static const Comparator* Get(void* state) { return static_cast<const Comparator*>(state); }

  static int Compare(void* state, const char* a, size_t alen, const char* b, size_t blen) noexcept {
    TERRACE_LEVELDB_TRY { return Get(state)->Compare(Slice(a, alen), Slice(b, blen)); }
    TERRACE_LEVELDB_CATCH_ALL {
      terrace_comparator_fail("an exception in Comparator::Compare");
      return 0;
    }
  }

  static const char* Name(void* state) noexcept { return Get(state)->Name(); }

  static char* Separator(void* state, const char* start, size_t start_len, const char* limit, size_t limit_len,
                         size_t* length) noexcept {
    TERRACE_LEVELDB_TRY {
      std::string key(start, start_len);
      Get(state)->FindShortestSeparator(&key, Slice(limit, limit_len));
      *length = key.size();
      return MallocCopy(key.data(), key.size());
    }
    TERRACE_LEVELDB_CATCH_ALL { return nullptr; }
  }

  static char* Successor(void* state, const char* start, size_t start_len, size_t* length) noexcept {
    TERRACE_LEVELDB_TRY {
      std::string key(start, start_len);
      Get(state)->FindShortSuccessor(&key);
      *length = key.size();
      return MallocCopy(key.data(), key.size());
    }
    TERRACE_LEVELDB_CATCH_ALL { return nullptr; }
  }

  // Creates a handle for C; NULL, which means the bytewise order, for NULL and for the bytewise order.
  static leveldb_comparator_t* Create(const Comparator* comparator) {
    if (comparator == nullptr || comparator == BytewiseComparator()) return nullptr;
    return terrace_comparator_create(const_cast<Comparator*>(comparator), nullptr, &Compare, &Name, &Separator, &Successor);
  }
};

}  // namespace detail

TERRACE_LEVELDB_INLINE const Comparator* BytewiseComparator() {
  // Never destroyed: databases may be used until the last destructor of the program has run.
  static const Comparator* const comparator = new detail::BytewiseComparatorImpl;
  return comparator;
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_COMPARATOR_IMPL_H_
