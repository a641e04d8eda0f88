// A WriteBatch collects changes that are written all or none, in the order in which they were added.
//
// Threads: any number may call const methods at once; the others, one at a time.

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
  // Is shown the changes of a batch, one by one.
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

  // Sets `key` to `value`. Both are copied. They have at most 4 GiB less 64 KiB together: a batch with more is refused
  // when it is written.
  void Put(const Slice& key, const Slice& value);
  // Deletes `key`, which need not be there.
  void Delete(const Slice& key);
  void Clear();

  // Bytes that the batch takes in the log.
  size_t ApproximateSize() const;

  // Adds the changes of `source`, which may be this batch, behind its own.
  void Append(const WriteBatch& source);

  // Shows the changes to `handler`. Corruption if the batch is damaged.
  Status Iterate(Handler* handler) const;

 private:
  friend struct detail::WriteBatchAccess;
  // A class of programs that were written against LevelDB's own source: they declare it, and look into batches by it.
  friend class WriteBatchInternal;

  // 8 bytes for a sequence number, the number of changes (32 bits, little-endian), then for each change a byte (1: put, 0:
  // delete), the key, and for a put the value, each after its length as a varint.
  std::string rep_;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/write_batch_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_WRITE_BATCH_H_
