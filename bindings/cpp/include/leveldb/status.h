// A Status is the result of an operation: success, or one of five kinds of failure with a message.
//
// Threads: as for a string.

#ifndef STORAGE_LEVELDB_INCLUDE_STATUS_H_
#define STORAGE_LEVELDB_INCLUDE_STATUS_H_

#include <algorithm>
#include <string>

#include "leveldb/export.h"
#include "leveldb/slice.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

namespace detail {
struct StatusAccess;
}

class LEVELDB_EXPORT Status {
 public:
  // Success.
  Status() noexcept : state_(nullptr) {}
  ~Status() { delete[] state_; }

  Status(const Status& rhs) : state_(rhs.state_ == nullptr ? nullptr : CopyState(rhs.state_)) {}
  Status& operator=(const Status& rhs);
  // A status that was moved from is a success.
  Status(Status&& rhs) noexcept : state_(rhs.state_) { rhs.state_ = nullptr; }
  Status& operator=(Status&& rhs) noexcept {
    std::swap(state_, rhs.state_);
    return *this;
  }

  static Status OK() { return Status(); }
  // The message is `msg`, followed by `: ` and `msg2` if `msg2` is not empty.
  static Status NotFound(const Slice& msg, const Slice& msg2 = Slice()) { return Status(kNotFound, msg, msg2); }
  static Status Corruption(const Slice& msg, const Slice& msg2 = Slice()) { return Status(kCorruption, msg, msg2); }
  static Status NotSupported(const Slice& msg, const Slice& msg2 = Slice()) { return Status(kNotSupported, msg, msg2); }
  static Status InvalidArgument(const Slice& msg, const Slice& msg2 = Slice()) {
    return Status(kInvalidArgument, msg, msg2);
  }
  static Status IOError(const Slice& msg, const Slice& msg2 = Slice()) { return Status(kIOError, msg, msg2); }

  bool ok() const { return state_ == nullptr; }
  bool IsNotFound() const { return code() == kNotFound; }
  bool IsCorruption() const { return code() == kCorruption; }
  bool IsIOError() const { return code() == kIOError; }
  bool IsNotSupportedError() const { return code() == kNotSupported; }
  bool IsInvalidArgument() const { return code() == kInvalidArgument; }

  // The kind and the message: "IO error: /db/LOCK: No such file or directory"; "OK" for success.
  std::string ToString() const;

 private:
  friend struct detail::StatusAccess;

  enum Code { kOk = 0, kNotFound = 1, kCorruption = 2, kNotSupported = 3, kInvalidArgument = 4, kIOError = 5 };

  Code code() const { return state_ == nullptr ? kOk : static_cast<Code>(state_[4]); }

  Status(Code code, const Slice& msg, const Slice& msg2);
  static const char* CopyState(const char* state);

  // NULL for success. Else allocated by new[]: the length of the message (32 bits, in the machine's byte
  // order), the code (one byte), the message.
  const char* state_;
};

inline Status& Status::operator=(const Status& rhs) {
  if (state_ != rhs.state_) {
    const char* copy = rhs.state_ == nullptr ? nullptr : CopyState(rhs.state_);
    delete[] state_;
    state_ = copy;
  }
  return *this;
}

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/status_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_STATUS_H_
