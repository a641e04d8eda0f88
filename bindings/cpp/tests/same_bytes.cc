// Prints output that must be the same with both libraries: `same_bytes write DIR` makes a database,
// `same_bytes print DIR` prints the dumps of its files and the bytes of some tables. Compiles with LevelDB's
// headers and with Terrace's.

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "check.h"
#include "leveldb/comparator.h"
#include "leveldb/db.h"
#include "leveldb/dumpfile.h"
#include "leveldb/env.h"
#include "leveldb/filter_policy.h"
#include "leveldb/table_builder.h"
#include "leveldb/write_batch.h"

using leveldb::Env;
using leveldb::Slice;
using leveldb::Status;

namespace {

// A file whose contents are a string.
class StringFile : public leveldb::WritableFile {
 public:
  Status Append(const Slice& data) override {
    text.append(data.data(), data.size());
    return Status::OK();
  }
  Status Close() override { return Status::OK(); }
  Status Flush() override { return Status::OK(); }
  Status Sync() override { return Status::OK(); }
  std::string text;
};

// The reverse order of bytes. It shortens keys.
class Backwards : public leveldb::Comparator {
 public:
  const char* Name() const override { return "test.Backwards"; }
  int Compare(const Slice& a, const Slice& b) const override { return b.compare(a); }
  void FindShortestSeparator(std::string* start, const Slice& limit) const override {
    size_t common = 0;
    while (common < start->size() && common < limit.size() && (*start)[common] == limit[common]) common++;
    if (common + 1 < start->size() && common < limit.size()) start->resize(common + 1);
  }
  void FindShortSuccessor(std::string* key) const override { key->resize(std::min<size_t>(1, key->size())); }
};

void Write(const std::string& directory) {
  leveldb::Options options;
  options.create_if_missing = true;
  options.compression = leveldb::kNoCompression;
  leveldb::DB* db = nullptr;
  CHECK_OK(leveldb::DB::Open(options, directory, &db));
  for (int round = 0; round < 3; round++) {
    leveldb::WriteBatch batch;
    for (int i = 0; i < 300; i++) batch.Put("key" + std::to_string(i * 7 % 300), std::string(20, static_cast<char>('a' + round)));
    batch.Delete(Slice("del\0\xff", 5));
    CHECK_OK(db->Write(leveldb::WriteOptions(), &batch));
    if (round < 2) db->CompactRange(nullptr, nullptr);
  }
  CHECK_OK(db->Put(leveldb::WriteOptions(), "last", std::string(40000, 'z')));
  delete db;
}

void PrintDumps(const std::string& directory) {
  std::vector<std::string> children;
  CHECK_OK(Env::Default()->GetChildren(directory, &children));
  std::sort(children.begin(), children.end());
  for (const std::string& child : children) {
    if (child[0] == '.') continue;  // LevelDB lists `.` and `..`, Terrace does not.
    StringFile dump;
    const Status status = leveldb::DumpFile(Env::Default(), directory + "/" + child, &dump);
    std::printf("%s: %s\n%s", child.c_str(), status.ok() ? "OK" : "not dumped", dump.text.c_str());
  }
}

void PrintTable(const leveldb::Options& options, bool backwards) {
  StringFile file;
  leveldb::TableBuilder builder(options, &file);
  for (int i = 0; i < 500; i++) {
    const int number = backwards ? 99999 - i * 17 : 10000 + i * 17;
    builder.Add("some key " + std::to_string(number) + "/tail", std::string(static_cast<size_t>(i % 50), 'v'));
    if (i % 100 == 99) builder.Flush();
  }
  CHECK_OK(builder.Finish());
  CHECK(builder.FileSize() == file.text.size());
  for (size_t i = 0; i < file.text.size(); i++) {
    std::printf("%02x%s", static_cast<unsigned char>(file.text[i]), i % 32 == 31 ? "\n" : "");
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 3);
  if (std::strcmp(argv[1], "write") == 0) {
    Write(argv[2]);
    return 0;
  }
  PrintDumps(argv[2]);
  leveldb::Options options;
  options.compression = leveldb::kNoCompression;
  PrintTable(options, false);
  options.block_size = 1024;
  options.block_restart_interval = 3;
  const std::unique_ptr<const leveldb::FilterPolicy> bloom(leveldb::NewBloomFilterPolicy(7));
  options.filter_policy = bloom.get();
  PrintTable(options, false);
  Backwards backwards;
  options.comparator = &backwards;
  PrintTable(options, true);
  return 0;
}
