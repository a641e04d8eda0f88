// A Slice is a pointer to bytes of somebody else's, and how many. Whoever makes one sees to it that the bytes stay.
//
// Threads: as a pointer and a number.

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
  // The bytes of `s`, as long as it lives unchanged.
  Slice(const std::string& s) : data_(s.data()), size_(s.size()) {}
  // The bytes of `s` before its NUL.
  Slice(const char* s) : data_(s), size_(std::strlen(s)) {}

  Slice(const Slice&) = default;
  Slice& operator=(const Slice&) = default;

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // The byte `n`, which must be there.
  char operator[](size_t n) const {
    assert(n < size());
    return data_[n];
  }

  // Refers to no bytes from now on.
  void clear() {
    data_ = "";
    size_ = 0;
  }

  // Leaves out the first `n` bytes, which must be there.
  void remove_prefix(size_t n) {
    assert(n <= size());
    data_ += n;
    size_ -= n;
  }

  // A copy of the bytes.
  std::string ToString() const { return std::string(data_, size_); }

  // Negative, 0 or positive, as these bytes are before, the same as, or behind those of `b`: unsigned, shorter first.
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
  // A NULL pointer is fine where there are no bytes; memcmp does not take it.
  const int order = common == 0 ? 0 : std::memcmp(data_, b.data_, common);
  if (order != 0 || size_ == b.size_) return order;
  return size_ < b.size_ ? -1 : +1;
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // STORAGE_LEVELDB_INCLUDE_SLICE_H_
