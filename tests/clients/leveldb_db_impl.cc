// The functions of DBImpl that LevelDB's tests call, for a database of Terrace: the tests cast the DB that
// they have opened.

#include "db/db_impl.h"

namespace leveldb {

Status DBImpl::TEST_CompactMemTable() { return static_cast<DB*>(this)->Write(WriteOptions(), nullptr); }

// Compacts all levels, not only one.
void DBImpl::TEST_CompactRange(int, const Slice* begin, const Slice* end) {
  static_cast<DB*>(this)->CompactRange(begin, end);
}

}  // namespace leveldb
