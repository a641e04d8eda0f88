// What LevelDB's tests call of its DBImpl, on a database of Terrace's: they cast the DB that they opened.

#include "db/db_impl.h"

namespace leveldb {

Status DBImpl::TEST_CompactMemTable() { return static_cast<DB*>(this)->Write(WriteOptions(), nullptr); }

// All levels rather than one.
void DBImpl::TEST_CompactRange(int, const Slice* begin, const Slice* end) {
  static_cast<DB*>(this)->CompactRange(begin, end);
}

}  // namespace leveldb
