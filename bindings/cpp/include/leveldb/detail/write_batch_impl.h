// The representation of a batch, which is that of LevelDB's WAL. The engine checks it when the batch is
// written.

#ifndef TERRACE_LEVELDB_DETAIL_WRITE_BATCH_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_WRITE_BATCH_IMPL_H_

#include <cstdint>

#include "leveldb/slice.h"
#include "leveldb/write_batch.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

namespace detail {

struct WriteBatchAccess {
  // The size of the header (sequence number and count), and the offset of the count.
  enum : size_t { kHeader = 12, kCountOffset = 8 };
  enum : char { kDelete = 0, kPut = 1, kTooLong = 0x7f };

  static const std::string& Rep(const WriteBatch& batch) { return batch.rep_; }

  static uint32_t Count(const std::string& rep) {
    uint32_t count = 0;
    for (size_t i = 0; i < 4; i++) {
      count |= static_cast<uint32_t>(static_cast<uint8_t>(rep[kCountOffset + i])) << (8 * i);
    }
    return count;
  }

  static void SetCount(std::string* rep, uint32_t count) {
    for (size_t i = 0; i < 4; i++) (*rep)[kCountOffset + i] = static_cast<char>(count >> (8 * i));
  }

  // Appends the length of a string, then the string.
  static void AppendString(std::string* rep, const Slice& string) {
    uint32_t length = static_cast<uint32_t>(string.size());
    char bytes[5];
    size_t n = 0;
    for (; length >= 0x80; length >>= 7) bytes[n++] = static_cast<char>(length | 0x80);
    bytes[n++] = static_cast<char>(length);
    rep->append(bytes, n);
    rep->append(string.data(), string.size());
  }

  // Takes the next string from the front of `*input`. Returns false if there is none.
  static bool TakeString(Slice* input, Slice* string) {
    uint64_t length = 0;
    for (unsigned shift = 0; shift <= 28; shift += 7) {
      if (input->empty()) return false;
      const uint8_t byte = static_cast<uint8_t>((*input)[0]);
      input->remove_prefix(1);
      length |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (length > UINT32_MAX || length > input->size()) return false;
        *string = Slice(input->data(), static_cast<size_t>(length));
        input->remove_prefix(static_cast<size_t>(length));
        return true;
      }
    }
    return false;
  }

  // Begins a change. If its key or value is too long, returns false, and the batch can no longer be written.
  static bool Begin(std::string* rep, char type, size_t key, size_t value) {
    const bool fits = key <= UINT32_MAX && value <= UINT32_MAX;
    SetCount(rep, Count(*rep) + 1);
    rep->push_back(fits ? type : char{kTooLong});
    return fits;
  }
};

}  // namespace detail

TERRACE_LEVELDB_INLINE WriteBatch::Handler::~Handler() = default;

TERRACE_LEVELDB_INLINE WriteBatch::WriteBatch() { Clear(); }

TERRACE_LEVELDB_INLINE WriteBatch::~WriteBatch() = default;

TERRACE_LEVELDB_INLINE void WriteBatch::Clear() { rep_.assign(detail::WriteBatchAccess::kHeader, '\0'); }

TERRACE_LEVELDB_INLINE size_t WriteBatch::ApproximateSize() const { return rep_.size(); }

TERRACE_LEVELDB_INLINE void WriteBatch::Put(const Slice& key, const Slice& value) {
  using Access = detail::WriteBatchAccess;
  if (!Access::Begin(&rep_, Access::kPut, key.size(), value.size())) return;
  Access::AppendString(&rep_, key);
  Access::AppendString(&rep_, value);
}

TERRACE_LEVELDB_INLINE void WriteBatch::Delete(const Slice& key) {
  using Access = detail::WriteBatchAccess;
  if (Access::Begin(&rep_, Access::kDelete, key.size(), 0)) Access::AppendString(&rep_, key);
}

TERRACE_LEVELDB_INLINE void WriteBatch::Append(const WriteBatch& source) {
  using Access = detail::WriteBatchAccess;
  const uint32_t count = Access::Count(rep_) + Access::Count(source.rep_);
  rep_.append(source.rep_, Access::kHeader, std::string::npos);
  Access::SetCount(&rep_, count);
}

TERRACE_LEVELDB_INLINE Status WriteBatch::Iterate(Handler* handler) const {
  using Access = detail::WriteBatchAccess;
  Slice input(rep_);
  if (input.size() < Access::kHeader) return Status::Corruption("malformed WriteBatch (too small)");
  input.remove_prefix(Access::kHeader);
  uint32_t found = 0;
  while (!input.empty()) {
    const char type = input[0];
    input.remove_prefix(1);
    Slice key, value;
    switch (type) {
      case Access::kPut:
        if (!Access::TakeString(&input, &key) || !Access::TakeString(&input, &value)) {
          return Status::Corruption("bad WriteBatch Put");
        }
        handler->Put(key, value);
        break;
      case Access::kDelete:
        if (!Access::TakeString(&input, &key)) return Status::Corruption("bad WriteBatch Delete");
        handler->Delete(key);
        break;
      case Access::kTooLong:
        return Status::InvalidArgument("a key or value of the batch has 4 GiB or more");
      default:
        return Status::Corruption("unknown WriteBatch tag");
    }
    found++;
  }
  return found == Access::Count(rep_) ? Status::OK() : Status::Corruption("WriteBatch has wrong count");
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_WRITE_BATCH_IMPL_H_
