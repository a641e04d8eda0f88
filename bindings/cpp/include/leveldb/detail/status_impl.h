// The representation of a status, and its conversion to and from a code and a message of C.

#ifndef TERRACE_LEVELDB_DETAIL_STATUS_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_STATUS_IMPL_H_

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "leveldb/detail/c_functions.h"
#include "leveldb/status.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE Status::Status(Code code, const Slice& msg, const Slice& msg2) : state_(nullptr) {
  const size_t second = msg2.empty() ? 0 : 2 + msg2.size();
  const uint32_t length = static_cast<uint32_t>(msg.size() + second);
  char* state = new char[size_t{5} + length];
  std::memcpy(state, &length, sizeof(length));
  state[4] = static_cast<char>(code);
  if (!msg.empty()) std::memcpy(state + 5, msg.data(), msg.size());
  if (second != 0) {
    std::memcpy(state + 5 + msg.size(), ": ", 2);
    std::memcpy(state + 7 + msg.size(), msg2.data(), msg2.size());
  }
  state_ = state;
}

TERRACE_LEVELDB_INLINE const char* Status::CopyState(const char* state) {
  uint32_t length;
  std::memcpy(&length, state, sizeof(length));
  char* copy = new char[size_t{5} + length];
  std::memcpy(copy, state, size_t{5} + length);
  return copy;
}

namespace detail {

// Access to the private parts of a status, for the conversion.
struct StatusAccess {
  static int Code(const Status& status) { return status.code(); }

  static std::string Message(const Status& status) {
    if (status.ok()) return std::string();
    uint32_t length;
    std::memcpy(&length, status.state_, sizeof(length));
    return std::string(status.state_ + 5, length);
  }

  // Makes a status from a code of `terrace_error_t` other than TERRACE_OK.
  static Status Make(int code, const Slice& message) {
    const bool known = code >= Status::kNotFound && code <= Status::kIOError;
    return Status(known ? static_cast<Status::Code>(code) : Status::kIOError, message, Slice());
  }

  // The beginning of the text of each kind.
  static const char* Prefix(int code) {
    switch (code) {
      case Status::kNotFound:
        return "NotFound: ";
      case Status::kCorruption:
        return "Corruption: ";
      case Status::kNotSupported:
        return "Not implemented: ";
      case Status::kInvalidArgument:
        return "Invalid argument: ";
      default:
        return "IO error: ";
    }
  }
};

// The `errptr` of one call.
class Failure {
 public:
  Failure() : message_(nullptr) {}
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  ~Failure() { std::free(message_); }

  char** out() { return &message_; }

  // The outcome of the call. To be called right after it, on the same thread.
  Status status() const {
    const int code = terrace_last_error_code();
    if (message_ == nullptr && code == TERRACE_OK) return Status();
    if (message_ == nullptr) return StatusAccess::Make(code, "no memory for the message of an error");
    const char* text = message_;
    const char* prefix = StatusAccess::Prefix(code);
    if (std::strncmp(text, prefix, std::strlen(prefix)) == 0) text += std::strlen(prefix);
    return StatusAccess::Make(code, text);
  }

 private:
  char* message_;
};

}  // namespace detail

TERRACE_LEVELDB_INLINE std::string Status::ToString() const {
  if (ok()) return "OK";
  return detail::StatusAccess::Prefix(code()) + detail::StatusAccess::Message(*this);
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_STATUS_IMPL_H_
