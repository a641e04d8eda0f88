// Tests databases with column families, in the interface of terrace/db.h.

#include "terrace/db.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"

using terrace::ColumnFamilyDescriptor;
using terrace::ColumnFamilyHandle;
using terrace::ColumnFamilyOptions;
using terrace::CompactRangeOptions;
using terrace::DB;
using terrace::FlushOptions;
using terrace::Iterator;
using terrace::Options;
using terrace::ReadOptions;
using terrace::Slice;
using terrace::Status;
using terrace::WriteBatch;
using terrace::WriteOptions;

namespace {

typedef std::unique_ptr<ColumnFamilyHandle> Family;

Options Creating() {
  Options options;
  options.create_if_missing = true;
  return options;
}

std::unique_ptr<DB> Open(const Options& options, const std::string& name) {
  DB* db = nullptr;
  CHECK_OK(DB::Open(options, name, &db));
  return std::unique_ptr<DB>(db);
}

Family Create(DB* db, const std::string& name, const ColumnFamilyOptions& options = ColumnFamilyOptions()) {
  ColumnFamilyHandle* handle = nullptr;
  CHECK_OK(db->CreateColumnFamily(options, name, &handle));
  return Family(handle);
}

std::string Get(DB* db, ColumnFamilyHandle* family, const Slice& key, const ReadOptions& options = ReadOptions()) {
  std::string value;
  const Status status = db->Get(options, family, key, &value);
  if (status.IsNotFound()) return "(none)";
  CHECK_OK(status);
  return value;
}

std::string Contents(Iterator* iterator) {
  std::string text;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    text += iterator->key().ToString() + "=" + iterator->value().ToString() + ",";
  }
  CHECK_OK(iterator->status());
  return text;
}

std::string Contents(DB* db, ColumnFamilyHandle* family, const ReadOptions& options = ReadOptions()) {
  const std::unique_ptr<Iterator> iterator(db->NewIterator(options, family));
  return Contents(iterator.get());
}

bool IsInvalid(const Status& status) { return status.IsInvalidArgument(); }

void TestFamiliesAreApart() {
  const std::unique_ptr<DB> db = Open(Creating(), Scratch("apart"));
  const Family one = Create(db.get(), "one"), two = Create(db.get(), "two");
  WriteOptions synced;
  synced.sync = true;
  CHECK_OK(db->Put(WriteOptions(), "k", "of default"));
  CHECK_OK(db->Put(WriteOptions(), one.get(), "k", "of one"));
  CHECK_OK(db->Put(synced, two.get(), "k", "of two"));
  CHECK_OK(db->Put(WriteOptions(), two.get(), Slice("n\0n", 3), Slice()));
  CHECK_OK(db->Put(WriteOptions(), two.get(), Slice(), std::string(100000, 'x')));
  CHECK_EQ(Get(db.get(), db->DefaultColumnFamily(), "k"), "of default");
  CHECK_EQ(Get(db.get(), one.get(), "k"), "of one");
  CHECK_EQ(Get(db.get(), two.get(), "k"), "of two");
  CHECK_EQ(Get(db.get(), two.get(), Slice("n\0n", 3)), "");
  CHECK_EQ(Get(db.get(), two.get(), ""), std::string(100000, 'x'));
  CHECK_OK(db->Delete(WriteOptions(), one.get(), "k"));
  CHECK_OK(db->Delete(WriteOptions(), one.get(), "absent"));
  CHECK_EQ(Get(db.get(), one.get(), "k"), "(none)");
  CHECK_EQ(Contents(db.get(), db->DefaultColumnFamily()), "k=of default,");
  std::string value = "kept";
  CHECK(db->Get(ReadOptions(), one.get(), "k", &value).IsNotFound());
  CHECK_OK(db->Get(ReadOptions(), "k", &value));
  CHECK_EQ(value, "of default");
  CHECK_EQ(one->GetName(), "one");
  CHECK(one->GetID() != 0 && one->GetID() != two->GetID());
  CHECK_EQ(db->DefaultColumnFamily()->GetName(), terrace::kDefaultColumnFamilyName);
  CHECK(db->DefaultColumnFamily()->GetID() == 0);

  ColumnFamilyHandle* handle = one.get();
  for (const std::string& name : {std::string(), std::string("one"), std::string("default"), std::string("a\0b", 3),
                                  std::string(4097, 'x')}) {
    CHECK(IsInvalid(db->CreateColumnFamily(ColumnFamilyOptions(), name, &handle)) && handle == nullptr);
  }
  CHECK(IsInvalid(db->Put(WriteOptions(), nullptr, "k", "v")));
  CHECK(IsInvalid(db->DropColumnFamily(nullptr)));
}

struct Printer : public WriteBatch::Handler {
  Status PutCF(uint32_t id, const Slice& key, const Slice& value) override {
    text += std::to_string(id) + ":" + key.ToString() + "=" + value.ToString() + ",";
    return key == Slice("stop") ? Status::IOError("stopped") : Status::OK();
  }
  Status DeleteCF(uint32_t id, const Slice& key) override {
    text += std::to_string(id) + ":" + key.ToString() + ",";
    return Status::OK();
  }
  bool Continue() override { return text.size() < limit; }

  std::string text;
  size_t limit = 1000;
};

// As a handler of LevelDB: it knows no families.
struct PlainPrinter : public WriteBatch::Handler {
  void Put(const Slice& key, const Slice& value) override { text += key.ToString() + "=" + value.ToString() + ","; }
  void Delete(const Slice& key) override { text += key.ToString() + ","; }

  std::string text;
};

void TestBatches() {
  const std::unique_ptr<DB> db = Open(Creating(), Scratch("batches"));
  const Family one = Create(db.get(), "one"), two = Create(db.get(), "two");
  const std::string id_of_one = std::to_string(one->GetID()), id_of_two = std::to_string(two->GetID());
  WriteBatch batch;
  CHECK_OK(db->Write(WriteOptions(), &batch));
  CHECK_OK(batch.Put("a", "0"));
  CHECK_OK(batch.Put(one.get(), "a", "1"));
  CHECK_OK(batch.Put(two.get(), "a", "2"));
  CHECK_OK(batch.Put(db->DefaultColumnFamily(), "b", ""));
  CHECK_OK(batch.Delete(one.get(), "a"));
  CHECK_OK(batch.Delete("a"));
  WriteBatch copy(batch), tail;
  tail.Put(two.get(), "z", "26");
  copy.Append(tail);
  CHECK(batch.Count() == 6 && copy.Count() == 7);
  Printer printer;
  CHECK_OK(copy.Iterate(&printer));
  CHECK_EQ(printer.text, "0:a=0," + id_of_one + ":a=1," + id_of_two + ":a=2,0:b=," + id_of_one + ":a,0:a," +
                             id_of_two + ":z=26,");
  Printer limited;
  limited.limit = 1;
  CHECK_OK(copy.Iterate(&limited));
  CHECK_EQ(limited.text, "0:a=0,");
  PlainPrinter plain;
  CHECK(IsInvalid(copy.Iterate(&plain)));
  CHECK_EQ(plain.text, "a=0,");
  WriteBatch of_default;
  of_default.Put("stop", "");
  of_default.Delete("a");
  CHECK_OK(of_default.Iterate(&plain));
  CHECK_EQ(plain.text, "a=0,stop=,a,");
  CHECK(of_default.Iterate(&printer).IsIOError());

  CHECK_OK(db->Write(WriteOptions(), &copy));
  CHECK_OK(db->Write(WriteOptions(), &copy));
  CHECK_EQ(Contents(db.get(), one.get()), "");
  CHECK_EQ(Contents(db.get(), two.get()), "a=2,z=26,");
  CHECK_EQ(Contents(db.get(), db->DefaultColumnFamily()), "b=,");
  copy = of_default;
  CHECK(copy.Count() == 2);
  copy.Append(copy);
  CHECK(copy.Count() == 4);

  // One write to a dropped family refuses all.
  CHECK_OK(db->DropColumnFamily(two.get()));
  batch.Clear();
  CHECK(batch.Count() == 0);
  batch.Put(one.get(), "c", "1");
  batch.Put(two.get(), "c", "1");
  CHECK(IsInvalid(db->Write(WriteOptions(), &batch)));
  CHECK_EQ(Get(db.get(), one.get(), "c"), "(none)");
}

void TestReopening() {
  const std::string name = Scratch("reopening");
  std::vector<std::string> names;
  {
    const std::unique_ptr<DB> db = Open(Creating(), name);
    std::vector<ColumnFamilyHandle*> handles;
    CHECK_OK(db->CreateColumnFamilies(ColumnFamilyOptions(), {"one", "two"}, &handles));
    CHECK(handles.size() == 2);
    CHECK_OK(db->Put(WriteOptions(), handles[0], "k", "of one"));
    CHECK_OK(db->Put(WriteOptions(), handles[1], "k", "of two"));
    for (ColumnFamilyHandle* handle : handles) CHECK_OK(db->DestroyColumnFamilyHandle(handle));
    CHECK(IsInvalid(db->DestroyColumnFamilyHandle(db->DefaultColumnFamily())));
    CHECK(IsInvalid(db->CreateColumnFamilies({ColumnFamilyDescriptor("three", ColumnFamilyOptions()),
                                              ColumnFamilyDescriptor("one", ColumnFamilyOptions())},
                                             &handles)));
    CHECK(handles.size() == 1);
    CHECK_OK(db->DropColumnFamilies(handles));
    delete handles[0];
    CHECK_OK(DB::ListColumnFamilies(Options(), name, &names));  // while it is open
    CHECK(names == std::vector<std::string>({"default", "one", "two"}));
    CHECK_OK(db->Close());
    CHECK_OK(db->Close());
  }
  DB* db = nullptr;
  std::vector<ColumnFamilyHandle*> handles;
  Status status = DB::Open(Options(), name, &db);
  CHECK(IsInvalid(status) && db == nullptr && status.ToString().find("two") != std::string::npos);
  std::vector<ColumnFamilyDescriptor> families = {
      ColumnFamilyDescriptor("two", Options()), ColumnFamilyDescriptor(), ColumnFamilyDescriptor("four", Options())};
  Options options;
  options.create_missing_column_families = true;
  options.max_total_wal_size = 1 << 20;
  status = DB::Open(options, name, families, &handles, &db);
  CHECK(IsInvalid(status) && handles.empty() && status.ToString().find("one") != std::string::npos);
  families.push_back(ColumnFamilyDescriptor("one", ColumnFamilyOptions()));
  status = DB::Open(Options(), name, families, &handles, &db);
  CHECK(IsInvalid(status) && db == nullptr && status.ToString().find("four") != std::string::npos);
  CHECK_OK(DB::Open(options, name, families, &handles, &db));
  CHECK(handles.size() == 4);
  CHECK_EQ(handles[2]->GetName(), "four");
  CHECK(handles[1]->GetID() == 0);
  CHECK_EQ(Get(db, handles[0], "k"), "of two");
  CHECK_EQ(Get(db, handles[3], "k"), "of one");
  CHECK_EQ(Get(db, handles[2], "k"), "(none)");
  for (ColumnFamilyHandle* handle : handles) {
    CHECK(db->DropColumnFamily(handle).ok() == (handle->GetID() != 0));
    CHECK_OK(db->DestroyColumnFamilyHandle(handle));
  }
  delete db;
  Open(Options(), name);
  CHECK(!DB::ListColumnFamilies(Options(), Scratch("none"), &names).ok() && names.empty());
  CHECK_OK(terrace::DestroyDB(name, Options()));
}

void TestDroppingWhileInUse() {
  const std::unique_ptr<DB> db = Open(Creating(), Scratch("dropping"));
  Family family = Create(db.get(), "family");
  for (int i = 0; i < 100; i++) {
    CHECK_OK(db->Put(WriteOptions(), family.get(), std::to_string(i), "v"));
  }
  CHECK_OK(db->Flush(FlushOptions()));
  const std::unique_ptr<Iterator> iterator(db->NewIterator(ReadOptions(), family.get()));
  CHECK_OK(db->DropColumnFamily(family.get()));
  CHECK(IsInvalid(db->DropColumnFamily(family.get())));
  CHECK(IsInvalid(db->Put(WriteOptions(), family.get(), "k", "v")));
  CHECK(IsInvalid(db->Delete(WriteOptions(), family.get(), "k")));
  CHECK_EQ(Get(db.get(), family.get(), "99"), "v");
  const std::string contents = Contents(db.get(), family.get());
  CHECK(std::count(contents.begin(), contents.end(), ',') == 100);
  const Family same = Create(db.get(), "family");
  CHECK(same->GetID() != family->GetID());
  CHECK_EQ(Get(db.get(), same.get(), "99"), "(none)");
  family.reset();
  CHECK_EQ(Contents(iterator.get()), contents);
}

void TestAnotherDatabase() {
  const std::unique_ptr<DB> here = Open(Creating(), Scratch("here")), there = Open(Creating(), Scratch("there"));
  const Family family = Create(here.get(), "family"), foreign = Create(there.get(), "family");
  std::string value;
  CHECK(IsInvalid(here->Put(WriteOptions(), foreign.get(), "k", "v")));
  CHECK(IsInvalid(here->Get(ReadOptions(), foreign.get(), "k", &value)));
  CHECK(IsInvalid(here->DropColumnFamily(foreign.get())));
  CHECK(IsInvalid(here->CompactRange(CompactRangeOptions(), foreign.get(), nullptr, nullptr)));
  CHECK(!here->GetProperty(foreign.get(), "leveldb.stats", &value));
  const std::unique_ptr<Iterator> iterator(here->NewIterator(ReadOptions(), foreign.get()));
  CHECK(!iterator->Valid() && IsInvalid(iterator->status()));
  std::vector<Iterator*> iterators;
  CHECK(IsInvalid(here->NewIterators(ReadOptions(), {family.get(), foreign.get()}, &iterators)) && iterators.empty());
  WriteBatch batch;
  batch.Put(family.get(), "k", "v");
  CHECK(IsInvalid(there->Write(WriteOptions(), &batch)));
  CHECK_OK(here->Write(WriteOptions(), &batch));
  batch.Put(foreign.get(), "k", "v");
  CHECK(IsInvalid(here->Write(WriteOptions(), &batch)));
  CHECK_EQ(Contents(there.get(), foreign.get()), "");
}

void TestClosing() {
  std::unique_ptr<DB> db = Open(Creating(), Scratch("closing"));
  const Family family = Create(db.get(), "family");
  CHECK_OK(db->Put(WriteOptions(), family.get(), "k", "v"));
  const std::unique_ptr<Iterator> iterator(db->NewIterator(ReadOptions(), family.get()));
  CHECK_OK(db->Close());
  std::string value;
  ColumnFamilyHandle* handle;
  CHECK(!db->Put(WriteOptions(), family.get(), "k", "v").ok());
  CHECK(!db->Get(ReadOptions(), family.get(), "k", &value).ok());
  CHECK(!db->CreateColumnFamily(ColumnFamilyOptions(), "other", &handle).ok());
  CHECK(!db->GetProperty(family.get(), "leveldb.stats", &value) && db->GetSnapshot() == nullptr);
  iterator->SeekToFirst();
  CHECK(!iterator->Valid() && !iterator->status().ok());
  db.reset();
  CHECK_EQ(family->GetName(), "family");  // the handle may outlive the database
}

void TestLanguages() {
  std::string language;
  ColumnFamilyHandle* handle;
  Options options = Creating();
  options.language = terrace::kLevelDBLanguage;
  std::unique_ptr<DB> db = Open(options, Scratch("leveldb"));
  CHECK(db->CreateColumnFamily(ColumnFamilyOptions(), "family", &handle).IsNotSupportedError());
  CHECK(db->GetProperty("terrace.language", &language));
  CHECK_EQ(language, "leveldb");
  options.language = terrace::kRocksDBLanguage;
  db = Open(options, Scratch("rocksdb"));
  CHECK(db->GetProperty("terrace.language", &language));
  CHECK_EQ(language, "rocksdb");
  db = Open(Creating(), Scratch("switched"));
  CHECK(db->GetProperty("terrace.language", &language));
  CHECK_EQ(language, "leveldb");
  Create(db.get(), "family");
  CHECK(db->GetProperty("terrace.language", &language));
  CHECK_EQ(language, "rocksdb");
}

void TestUpgrade() {
  std::string value;
  std::unique_ptr<DB> db = Open(Creating(), Scratch("upgrade"));
  CHECK_OK(db->Put(WriteOptions(), "key", "value"));
  CHECK_OK(db->Flush(terrace::FlushOptions()));
  CHECK(db->UpgradeTables().IsInvalidArgument());
  Create(db.get(), "family");
  CHECK_OK(db->UpgradeTables());
  uint64_t left = 1;
  CHECK(db->GetIntProperty("terrace.tables-to-upgrade", &left) && left == 0);
  CHECK_OK(db->Get(ReadOptions(), "key", &value));
  CHECK_EQ(value, "value");
  CHECK_OK(db->Close());
  CHECK(!db->UpgradeTables().ok());
}

struct Backward : public terrace::Comparator {
  int Compare(const Slice& a, const Slice& b) const override { return b.compare(a); }
  const char* Name() const override { return "test.Backward"; }
  void FindShortestSeparator(std::string*, const Slice&) const override {}
  void FindShortSuccessor(std::string*) const override {}
};

void TestOptionsOfFamilies() {
  const std::string name = Scratch("options");
  const Backward backward;
  const std::unique_ptr<const terrace::FilterPolicy> filter(terrace::NewBloomFilterPolicy(10));
  const std::unique_ptr<terrace::Cache> cache(terrace::NewLRUCache(1 << 20));
  ColumnFamilyOptions ordered;
  ordered.comparator = &backward;
  ordered.filter_policy = filter.get();
  ordered.block_cache = cache.get();
  ordered.write_buffer_size = 64 << 10;
  {
    const std::unique_ptr<DB> db = Open(Creating(), name);
    const Family family = Create(db.get(), "backward", ordered);
    for (const char* key : {"a", "b", "c"}) {
      CHECK_OK(db->Put(WriteOptions(), key, "1"));
      CHECK_OK(db->Put(WriteOptions(), family.get(), key, "1"));
    }
    CHECK_OK(db->CompactRange(CompactRangeOptions(), family.get(), nullptr, nullptr));
    CHECK_EQ(Contents(db.get(), db->DefaultColumnFamily()), "a=1,b=1,c=1,");
    CHECK_EQ(Contents(db.get(), family.get()), "c=1,b=1,a=1,");
  }
  DB* db = nullptr;
  std::vector<ColumnFamilyHandle*> handles;
  CHECK(IsInvalid(DB::Open(Options(), name, {ColumnFamilyDescriptor("backward", Options())}, &handles, &db)));
  CHECK_OK(DB::Open(Options(), name, {ColumnFamilyDescriptor("backward", ordered)}, &handles, &db));
  CHECK_EQ(Contents(db, handles[0]), "c=1,b=1,a=1,");
  CHECK_EQ(Get(db, handles[0], "b"), "1");
  delete handles[0];
  delete db;
}

void TestMaintenance() {
  const std::unique_ptr<DB> db = Open(Creating(), Scratch("maintenance"));
  ColumnFamilyOptions options;
  options.compression = terrace::kNoCompression;
  const Family family = Create(db.get(), "family", options);
  for (int i = 1000; i < 2000; i++) {
    CHECK_OK(db->Put(WriteOptions(), family.get(), std::to_string(i), std::string(1000, 'x')));
  }
  CHECK_OK(db->Flush(FlushOptions()));
  const terrace::Range ranges[2] = {{"1000", "1500"}, {"2", "3"}};
  uint64_t sizes[2] = {1, 1};
  CHECK_OK(db->GetApproximateSizes(family.get(), ranges, 2, sizes));
  CHECK(sizes[0] > 400000 && sizes[0] < 600000 && sizes[1] == 0);
  CHECK_OK(db->GetApproximateSizes(ranges, 2, sizes));
  CHECK(sizes[0] == 0);
  CHECK_OK(db->GetApproximateSizes(family.get(), ranges, 0, sizes));
  for (int i = 1000; i < 2000; i++) CHECK_OK(db->Delete(WriteOptions(), family.get(), std::to_string(i)));
  const Slice begin("1"), end("2");
  CHECK_OK(db->CompactRange(CompactRangeOptions(), family.get(), &begin, &end));
  CHECK_OK(db->CompactRange(CompactRangeOptions(), nullptr, nullptr));
  CHECK_OK(db->GetApproximateSizes(family.get(), ranges, 2, sizes));
  CHECK(sizes[0] == 0);
  std::string value;
  uint64_t number = 1000;
  CHECK(db->GetProperty(family.get(), "leveldb.stats", &value) && value.find("Compactions") != std::string::npos);
  CHECK(db->GetIntProperty(family.get(), "leveldb.num-files-at-level0", &number) && number == 0);
  CHECK(db->GetIntProperty("leveldb.approximate-memory-usage", &number) && number > 0);
  CHECK(!db->GetProperty(family.get(), "no.such", &value) && !db->GetIntProperty("leveldb.stats", &number));
}

void TestSnapshots() {
  const std::unique_ptr<DB> db = Open(Creating(), Scratch("snapshots"));
  const Family family = Create(db.get(), "family");
  CHECK_OK(db->Put(WriteOptions(), family.get(), "k", "before"));
  ReadOptions then;
  then.snapshot = db->GetSnapshot();
  CHECK_OK(db->Put(WriteOptions(), family.get(), "k", "after"));
  CHECK_OK(db->Put(WriteOptions(), "k", "after"));
  CHECK_EQ(Get(db.get(), family.get(), "k", then), "before");
  CHECK_EQ(Get(db.get(), family.get(), "k"), "after");
  std::vector<Iterator*> iterators;
  CHECK_OK(db->NewIterators(then, {db->DefaultColumnFamily(), family.get()}, &iterators));
  CHECK_EQ(Contents(iterators[0]), "");
  CHECK_EQ(Contents(iterators[1]), "k=before,");
  for (Iterator* iterator : iterators) delete iterator;
  CHECK_OK(db->NewIterators(ReadOptions(), {}, &iterators));
  CHECK(iterators.empty());
  db->ReleaseSnapshot(then.snapshot);
}

// Threads write one number into all families with one batch, so iterators of one state show one number.
// Meanwhile others create and drop families.
void TestThreads() {
  const std::unique_ptr<DB> db = Open(Creating(), Scratch("threads"));
  const Family one = Create(db.get(), "one"), two = Create(db.get(), "two");
  const std::vector<ColumnFamilyHandle*> families = {one.get(), two.get(), db->DefaultColumnFamily()};
  std::atomic<bool> stop(false);
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500 || !stop; i++) {
        WriteBatch batch;
        for (ColumnFamilyHandle* family : families) batch.Put(family, "number", std::to_string(t) + std::to_string(i));
        CHECK_OK(db->Write(WriteOptions(), &batch));
      }
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 20; i++) {
      const Family own = Create(db.get(), "own");
      CHECK_OK(db->Put(WriteOptions(), own.get(), "k", "v"));
      CHECK_OK(db->DropColumnFamily(own.get()));
      CHECK_EQ(Get(db.get(), own.get(), "k"), "v");
    }
  });
  for (int i = 0; i < 200; i++) {
    std::vector<Iterator*> iterators;
    CHECK_OK(db->NewIterators(ReadOptions(), families, &iterators));
    const std::string first = Contents(iterators[0]);
    for (Iterator* iterator : iterators) {
      CHECK_EQ(Contents(iterator), first);
      delete iterator;
    }
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

void TestExportAndImport() {
  const std::string directory = Scratch("exported");
  const std::unique_ptr<DB> db = Open(Creating(), Scratch("transfer"));
  const Family words = Create(db.get(), "words");
  CHECK_OK(db->Put(WriteOptions(), "k", "of default"));
  CHECK_OK(db->Put(WriteOptions(), words.get(), "a", "old"));
  CHECK_OK(db->Put(WriteOptions(), words.get(), "a", "1"));
  CHECK_OK(db->Put(WriteOptions(), words.get(), "b", "2"));
  CHECK_OK(db->Put(WriteOptions(), words.get(), "c", "3"));
  CHECK_OK(db->Delete(WriteOptions(), words.get(), "b"));
  CHECK_OK(db->ExportLevelDB(words.get(), directory));
  CHECK(IsInvalid(db->ExportLevelDB(words.get(), directory)));
  CHECK(IsInvalid(db->ExportLevelDB(nullptr, Scratch("of-null"))));
  ColumnFamilyHandle* handle = nullptr;
  {
    const std::unique_ptr<DB> exported = Open(Options(), directory);
    CHECK_EQ(Contents(exported.get(), exported->DefaultColumnFamily()), "a=1,c=3,");
    CHECK_OK(exported->Put(WriteOptions(), "d", "4"));
    CHECK(db->ImportLevelDB("again", directory, &handle).IsIOError());
    CHECK(handle == nullptr);
  }
  CHECK_OK(db->ImportLevelDB("again", directory, &handle));
  const Family again(handle);
  CHECK_EQ(again->GetName(), "again");
  CHECK_EQ(Contents(db.get(), again.get()), "a=1,c=3,d=4,");
  CHECK_OK(db->Put(WriteOptions(), again.get(), "a", "5"));
  CHECK_EQ(Contents(db.get(), again.get()), "a=5,c=3,d=4,");
  CHECK_EQ(Contents(db.get(), words.get()), "a=1,c=3,");
  CHECK(IsInvalid(db->ImportLevelDB("again", directory, &handle)));
  CHECK(IsInvalid(db->ImportLevelDB("new", Scratch("missing"), &handle)));
  const std::string second = Scratch("of-default");
  CHECK_OK(db->ExportLevelDB(second));
  const std::unique_ptr<DB> exported = Open(Options(), second);
  CHECK_EQ(Contents(exported.get(), exported->DefaultColumnFamily()), "k=of default,");
}

}  // namespace

int main() {
  TestFamiliesAreApart();
  TestBatches();
  TestReopening();
  TestDroppingWhileInUse();
  TestAnotherDatabase();
  TestClosing();
  TestLanguages();
  TestOptionsOfFamilies();
  TestMaintenance();
  TestSnapshots();
  TestExportAndImport();
  TestUpgrade();
  TestThreads();
  return 0;
}
