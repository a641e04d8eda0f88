// A WriteBatch collects changes that are written atomically, in the order in which they were added.
//
// Threads: any number of threads may call const methods at the same time; other methods exclude all others.

#ifndef STORAGE_LEVELDB_INCLUDE_WRITE_BATCH_H_
#define STORAGE_LEVELDB_INCLUDE_WRITE_BATCH_H_

#include <string>

#include "leveldb/export.h"
#include "leveldb/status.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class Slice;

namespace detail {
struct WriteBatchAccess;
}

class LEVELDB_EXPORT WriteBatch {
 public:
  // Receives the changes of a batch, one by one.
  class LEVELDB_EXPORT Handler {
   public:
    virtual ~Handler();
    virtual void Put(const Slice& key, const Slice& value) = 0;
    virtual void Delete(const Slice& key) = 0;
  };

  WriteBatch();

  WriteBatch(const WriteBatch&) = default;
  WriteBatch& operator=(const WriteBatch&) = default;

  ~WriteBatch();

  // Sets `key` to `value`. Both are copied. They have at most 4 GiB less 64 KiB together; a batch with a
  // longer entry is refused when it is written.
  void Put(const Slice& key, const Slice& value);
  // Deletes `key`, which may be absent.
  void Delete(const Slice& key);
  void Clear();

  // Number of bytes that the batch takes in the WAL.
  size_t ApproximateSize() const;

  // Appends the changes of `source`, which may be this batch.
  void Append(const WriteBatch& source);

  // Calls `handler` with each change. Returns Corruption if the batch is damaged.
  Status Iterate(Handler* handler) const;

 private:
  friend struct detail::WriteBatchAccess;
  // Programs written against LevelDB's own source define this class to access the representation of a batch.
  friend class WriteBatchInternal;

  // 8 bytes for a sequence number, the number of changes (32 bits, little-endian), then for each change a
  // byte (1: put, 0: delete), the key, and for a put the value, each preceded by its length as a varint.
  std::string rep_;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/write_batch_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_WRITE_BATCH_H_
