// A Slice is a pointer to bytes that it does not own, and their number. Its user ensures that the bytes
// outlive it.
//
// Threads: as for a pointer and a number.

#ifndef STORAGE_LEVELDB_INCLUDE_SLICE_H_
#define STORAGE_LEVELDB_INCLUDE_SLICE_H_

#include <cassert>
#include <cstddef>
#include <cstring>
#include <string>

#include "leveldb/export.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class LEVELDB_EXPORT Slice {
 public:
  // No bytes.
  Slice() : data_(""), size_(0) {}
  // The `n` bytes at `d`.
  Slice(const char* d, size_t n) : data_(d), size_(n) {}
  // The bytes of `s`, which must outlive the slice unchanged.
  Slice(const std::string& s) : data_(s.data()), size_(s.size()) {}
  // The bytes of `s`, without its NUL.
  Slice(const char* s) : data_(s), size_(std::strlen(s)) {}

  Slice(const Slice&) = default;
  Slice& operator=(const Slice&) = default;

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The byte at index `n`, which must exist.
  char operator[](size_t n) const {
    assert(n < size());
    return data_[n];
  }

  // Refers to no bytes from now on.
  void clear() {
    data_ = "";
    size_ = 0;
  }

  // Removes the first `n` bytes, which must exist.
  void remove_prefix(size_t n) {
    assert(n <= size());
    data_ += n;
    size_ -= n;
  }

  // A copy of the bytes.
  std::string ToString() const { return std::string(data_, size_); }

  // Returns a negative number, 0 or a positive number if these bytes are before, equal to, or after those of
  // `b`, in the order of unsigned bytes, a prefix first.
  int compare(const Slice& b) const;

  bool starts_with(const Slice& x) const {
    return size_ >= x.size_ && (x.size_ == 0 || std::memcmp(data_, x.data_, x.size_) == 0);
  }

 private:
  const char* data_;
  size_t size_;
};

inline bool operator==(const Slice& x, const Slice& y) {
  return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size()) == 0);
}

inline bool operator!=(const Slice& x, const Slice& y) { return !(x == y); }

inline int Slice::compare(const Slice& b) const {
  const size_t common = size_ < b.size_ ? size_ : b.size_;
  // An empty slice may have a NULL pointer, which memcmp does not accept.
  const int order = common == 0 ? 0 : std::memcmp(data_, b.data_, common);
  if (order != 0 || size_ == b.size_) return order;
  return size_ < b.size_ ? -1 : +1;
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // STORAGE_LEVELDB_INCLUDE_SLICE_H_
