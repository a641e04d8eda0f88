// The LevelDB of classic-level is a fork whose DB::Get takes a ValueSink. This file implements that Get with
// LevelDB's interface.

#include <string>

#include "leveldb/db.h"

inline leveldb::Status GetIntoSink(leveldb::DB* db, const leveldb::ReadOptions& options, const leveldb::Slice& key,
                                   leveldb::ValueSink* sink) {
  std::string value;
  const leveldb::Status status = db->Get(options, key, &value);
  if (status.ok()) sink->assign(value.data(), value.size());
  return status;
}
