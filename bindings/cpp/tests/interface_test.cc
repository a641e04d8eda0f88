// Tests LevelDB's C++ interface with LevelDB's own names only: the same source passes with LevelDB's headers
// and library.

#include <atomic>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "check.h"
#include "leveldb/cache.h"
#include "leveldb/comparator.h"
#include "leveldb/db.h"
#include "leveldb/dumpfile.h"
#include "leveldb/env.h"
#include "leveldb/filter_policy.h"
#include "leveldb/iterator.h"
#include "leveldb/options.h"
#include "leveldb/slice.h"
#include "leveldb/status.h"
#include "leveldb/table.h"
#include "leveldb/table_builder.h"
#include "leveldb/write_batch.h"

#if defined(GOOGLE)
#include "leveldb/helpers/memenv.h"
#else
#include "helpers/memenv.h"
#endif

using leveldb::DB;
using leveldb::Env;
using leveldb::Iterator;
using leveldb::Options;
using leveldb::ReadOptions;
using leveldb::Slice;
using leveldb::Status;
using leveldb::WriteBatch;
using leveldb::WriteOptions;

namespace {

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

std::string Get(DB* db, const Slice& key) {
  std::string value;
  const Status status = db->Get(ReadOptions(), key, &value);
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

std::string Contents(DB* db, const ReadOptions& options = ReadOptions()) {
  const std::unique_ptr<Iterator> iterator(db->NewIterator(options));
  return Contents(iterator.get());
}

void TestLayouts() {
  // Prebuilt programs rely on these sizes.
  CHECK(sizeof(Slice) == 16 && sizeof(Status) == 8 && sizeof(WriteBatch) == sizeof(std::string));
  CHECK(sizeof(Options) == 96 && sizeof(ReadOptions) == 16 && sizeof(WriteOptions) == 1);
  CHECK(sizeof(DB) == 8 && sizeof(Iterator) == 40 && sizeof(leveldb::Cache) == 16 && sizeof(Env) == 8);
  CHECK(offsetof(Options, env) == 16 && offsetof(Options, block_cache) == 48 && offsetof(Options, compression) == 80);
  CHECK(offsetof(Options, reuse_logs) == 84 && offsetof(Options, filter_policy) == 88);
}

void TestSliceAndStatus() {
  CHECK(Slice("abc").compare("abd") < 0 && Slice("abc").compare("ab") > 0 && Slice("\xff").compare("a") > 0);
  CHECK(Slice() == Slice("") && Slice("a") != Slice("b") && Slice("abc").starts_with("ab"));
  Slice slice("hello");
  slice.remove_prefix(2);
  CHECK_EQ(slice.ToString(), "llo");
  CHECK_EQ(Status::OK().ToString(), "OK");
  CHECK_EQ(Status::NotFound("a").ToString(), "NotFound: a");
  CHECK_EQ(Status::Corruption("a", "b").ToString(), "Corruption: a: b");
  CHECK_EQ(Status::NotSupported("a").ToString(), "Not implemented: a");
  CHECK_EQ(Status::InvalidArgument("a").ToString(), "Invalid argument: a");
  Status one = Status::IOError("x", "y"), two = one, three;
  three = two;
  two = Status::OK();
  Status four = std::move(three);
  CHECK(one.IsIOError() && two.ok() && four.IsIOError() && !four.IsNotFound());
  CHECK_EQ(four.ToString(), "IO error: x: y");
}

void TestReadsAndWrites() {
  const std::string name = Scratch("reads");
  std::unique_ptr<DB> db = Open(Creating(), name);
  CHECK_OK(db->Put(WriteOptions(), "b", "2"));
  WriteOptions synced;
  synced.sync = true;
  CHECK_OK(db->Put(synced, "a", "1"));
  const leveldb::Snapshot* snapshot = db->GetSnapshot();
  WriteBatch batch;
  batch.Delete("a");
  batch.Put("c", std::string(100, 'x'));
  batch.Put(Slice("n\0n", 3), Slice());
  CHECK_OK(db->Write(WriteOptions(), &batch));
  CHECK_OK(db->Delete(WriteOptions(), "absent"));
  CHECK_EQ(Get(db.get(), "a"), "(none)");
  CHECK_EQ(Get(db.get(), Slice("n\0n", 3)), "");
  std::string value = "left as it was";
  CHECK(db->Get(ReadOptions(), "absent", &value).IsNotFound());
  CHECK_EQ(value, "left as it was");
  CHECK_EQ(db->Get(ReadOptions(), "absent", &value).ToString(), "NotFound: ");
  ReadOptions old;
  old.snapshot = snapshot;
  old.verify_checksums = true;
  CHECK_EQ(Contents(db.get(), old), "a=1,b=2,");
  CHECK_OK(db->Get(old, "a", &value));
  CHECK_EQ(value, "1");
  db->ReleaseSnapshot(snapshot);

  CHECK_OK(db->Write(WriteOptions(), nullptr));
#if !defined(GOOGLE)  // In LevelDB a background thread writes the table later.
  CHECK(db->GetProperty("leveldb.sstables", &value) && value.find("'a' @") != std::string::npos);
#endif
  db->CompactRange(nullptr, nullptr);
  const Slice begin("b"), end("c");
  db->CompactRange(&begin, &end);
  CHECK_EQ(Contents(db.get()).substr(0, 4), "b=2,");
  CHECK(db->GetProperty("leveldb.stats", &value) && value.find("Level") != std::string::npos);
  CHECK(!db->GetProperty("leveldb.nothing", &value));
  for (int i = 0; i < 2000; i++) {
    CHECK_OK(db->Put(WriteOptions(), "k" + std::to_string(10000 + i), std::string(1000, static_cast<char>(i * 7919))));
  }
  db->CompactRange(nullptr, nullptr);
  const leveldb::Range ranges[] = {leveldb::Range("a", "z"), leveldb::Range("x", "z")};
  uint64_t sizes[2];
  db->GetApproximateSizes(ranges, 2, sizes);
  CHECK(sizes[0] > 10000 && sizes[1] == 0);

  DB* second = db.get();
  const Status refused = DB::Open(Options(), name, &second);
  CHECK(second == nullptr && refused.IsIOError());
  CHECK_EQ(refused.ToString(), "IO error: lock " + name + "/LOCK: already held by process");
  db.reset();
  Options exclusive = Creating();
  exclusive.error_if_exists = true;
  CHECK(DB::Open(exclusive, name, &second).IsInvalidArgument());
  Options reusing;
  reusing.reuse_logs = true;
  db = Open(reusing, name);
  CHECK_EQ(Get(db.get(), "b"), "2");
  db.reset();
  CHECK_OK(leveldb::RepairDB(name, Options()));
  db = Open(Options(), name);
  CHECK_EQ(Get(db.get(), "b"), "2");
  db.reset();
  CHECK_OK(leveldb::DestroyDB(name, Options()));
  CHECK(DB::Open(Options(), name, &second).IsInvalidArgument());
}

#if !defined(GOOGLE)  // In LevelDB this reads freed memory (and was never seen to crash).
// Node's classic-level does this: the options of an iterator have a released snapshot.
void TestReleasedSnapshots() {
  std::unique_ptr<DB> db = Open(Creating(), Scratch("released"));
  std::unique_ptr<DB> other = Open(Creating(), Scratch("released_other"));
  CHECK_OK(db->Put(WriteOptions(), "k", "old"));
  ReadOptions released;
  released.snapshot = db->GetSnapshot();
  CHECK_OK(db->Put(WriteOptions(), "k", "new"));
  CHECK_EQ(Contents(db.get(), released), "k=old,");
  db->ReleaseSnapshot(released.snapshot);
  CHECK_EQ(Contents(db.get(), released), "k=new,");
  std::string value;
  CHECK_OK(db->Get(released, "k", &value));
  CHECK_EQ(value, "new");
  db->ReleaseSnapshot(released.snapshot);
  db->ReleaseSnapshot(nullptr);
  CHECK_EQ(Contents(db.get(), released), "k=new,");
  // A snapshot of another database, released there, here, and after that database was closed.
  ReadOptions foreign;
  foreign.snapshot = other->GetSnapshot();
  Contents(db.get(), foreign);
  db->ReleaseSnapshot(foreign.snapshot);
  CHECK_EQ(Contents(db.get(), foreign), "k=new,");
  foreign.snapshot = other->GetSnapshot();
  other.reset();
  Contents(db.get(), foreign);
  db->ReleaseSnapshot(foreign.snapshot);
  CHECK_EQ(Contents(db.get(), foreign), "k=new,");
  // Used by readers while other threads create and release snapshots.
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&db, &released] {
      for (int i = 0; i < 500; i++) {
        ReadOptions own;
        own.snapshot = db->GetSnapshot();
        CHECK_EQ(Contents(db.get(), own), "k=new,");
        db->ReleaseSnapshot(own.snapshot);
        CHECK_EQ(Contents(db.get(), own), "k=new,");
        CHECK_EQ(Contents(db.get(), released), "k=new,");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}
#endif

void CountCleanup(void* counter, void* by) { *static_cast<int*>(counter) += static_cast<int>(reinterpret_cast<intptr_t>(by)); }

void TestIterators() {
  std::unique_ptr<DB> db = Open(Creating(), Scratch("iterators"));
  for (const char* key : {"a", "c", "e"}) CHECK_OK(db->Put(WriteOptions(), key, key));
  int cleanups = 0;
  {
    const std::unique_ptr<Iterator> iterator(db->NewIterator(ReadOptions()));
    CHECK(!iterator->Valid());
    for (int i = 0; i < 5; i++) iterator->RegisterCleanup(&CountCleanup, &cleanups, reinterpret_cast<void*>(1 << i));
    iterator->Seek("b");
    CHECK(iterator->Valid() && iterator->key() == "c");
    iterator->Next();
    CHECK(iterator->key() == "e" && iterator->value() == "e");
    iterator->Prev();
    iterator->Prev();
    CHECK(iterator->key() == "a");
    iterator->Prev();
    CHECK(!iterator->Valid() && iterator->status().ok());
    iterator->SeekToLast();
    CHECK(iterator->key() == "e");
    iterator->Next();
    CHECK(!iterator->Valid());
    iterator->Seek("f");
    CHECK(!iterator->Valid() && cleanups == 0);
  }
  CHECK(cleanups == 31);
  const std::unique_ptr<Iterator> empty(leveldb::NewEmptyIterator());
  empty->SeekToFirst();
  CHECK(!empty->Valid() && empty->status().ok());
  const std::unique_ptr<Iterator> failed(leveldb::NewErrorIterator(Status::Corruption("c")));
  failed->Seek("a");
  CHECK(!failed->Valid() && failed->status().IsCorruption());
}

class Recorder : public WriteBatch::Handler {
 public:
  void Put(const Slice& key, const Slice& value) override { seen += "put(" + key.ToString() + "," + value.ToString() + ")"; }
  void Delete(const Slice& key) override { seen += "del(" + key.ToString() + ")"; }
  std::string seen;
};

std::string Seen(const WriteBatch& batch) {
  Recorder recorder;
  CHECK_OK(batch.Iterate(&recorder));
  return recorder.seen;
}

void TestBatches() {
  WriteBatch batch, other;
  CHECK(batch.ApproximateSize() == 12);
  batch.Put("a", "1");
  batch.Delete("b");
  CHECK(batch.ApproximateSize() == 12 + 5 + 3);
  other.Put("c", std::string(200, 'x'));
  CHECK(other.ApproximateSize() == 12 + 1 + 2 + 2 + 200);
  WriteBatch copy = batch;
  batch.Append(other);
  batch.Append(WriteBatch());
  CHECK_EQ(Seen(batch), "put(a,1)del(b)put(c," + std::string(200, 'x') + ")");
  CHECK_EQ(Seen(copy), "put(a,1)del(b)");
  copy.Append(copy);
  CHECK_EQ(Seen(copy), "put(a,1)del(b)put(a,1)del(b)");
  copy.Clear();
  CHECK_EQ(Seen(copy), "");
}

// Orders decimal keys by their numbers, which differs from the order of bytes.
class NumberComparator : public leveldb::Comparator {
 public:
  const char* Name() const override { return "test.NumberComparator"; }
  int Compare(const Slice& a, const Slice& b) const override {
    const long x = std::strtol(a.ToString().c_str(), nullptr, 10), y = std::strtol(b.ToString().c_str(), nullptr, 10);
    return x < y ? -1 : x > y ? +1 : 0;
  }
  void FindShortestSeparator(std::string*, const Slice&) const override { shortened++; }
  void FindShortSuccessor(std::string*) const override { shortened++; }
  mutable std::atomic<int> shortened{0};
};

void TestComparators() {
  const leveldb::Comparator* bytes = leveldb::BytewiseComparator();
  std::string key = "abcdef";
  bytes->FindShortestSeparator(&key, "abzz");
  CHECK_EQ(key, "abd");
  bytes->FindShortSuccessor(&key);
  CHECK_EQ(key, "b");
  key = "\xff\xff";
  bytes->FindShortSuccessor(&key);
  CHECK_EQ(key, "\xff\xff");
  CHECK_EQ(bytes->Name(), "leveldb.BytewiseComparator");

  NumberComparator numbers;
  Options options = Creating();
  options.comparator = &numbers;
  const std::string name = Scratch("comparators");
  std::unique_ptr<DB> db = Open(options, name);
  for (int i = 200; i > 0; i--) CHECK_OK(db->Put(WriteOptions(), std::to_string(i), std::string(500, 'v')));
  db->CompactRange(nullptr, nullptr);
  std::unique_ptr<Iterator> iterator(db->NewIterator(ReadOptions()));
  int expected = 1;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) CHECK_EQ(iterator->key().ToString(), std::to_string(expected++));
  CHECK(expected == 201 && numbers.shortened > 0);
  iterator->Seek("0150");
  CHECK(iterator->key() == "150");
  iterator.reset();
  db.reset();
  DB* other = nullptr;
  const Status refused = DB::Open(Options(), name, &other);
  CHECK(refused.IsInvalidArgument());
  CHECK(refused.ToString().find("test.NumberComparator") != std::string::npos);
}

// A policy built on the built-in one, as in programs with their own orders.
class SuffixBlindPolicy : public leveldb::FilterPolicy {
 public:
  SuffixBlindPolicy() : inner_(leveldb::NewBloomFilterPolicy(10)) {}
  ~SuffixBlindPolicy() override { delete inner_; }
  const char* Name() const override { return "test.SuffixBlindPolicy"; }
  void CreateFilter(const Slice* keys, int n, std::string* dst) const override {
    std::vector<Slice> cut;
    for (int i = 0; i < n; i++) cut.push_back(Cut(keys[i]));
    inner_->CreateFilter(cut.data(), n, dst);
    created++;
  }
  bool KeyMayMatch(const Slice& key, const Slice& filter) const override {
    asked++;
    return inner_->KeyMayMatch(Cut(key), filter);
  }
  mutable std::atomic<int> created{0}, asked{0};

 private:
  static Slice Cut(const Slice& key) { return Slice(key.data(), key.size() < 3 ? key.size() : 3); }
  const leveldb::FilterPolicy* const inner_;
};

void TestCompressions() {
  CHECK(leveldb::kNoCompression == 0 && leveldb::kSnappyCompression == 1);
  std::vector<leveldb::CompressionType> compressions = {leveldb::kNoCompression, leveldb::kSnappyCompression};
#if !defined(GOOGLE)  // LevelDB 1.23 has no third compression.
  CHECK(leveldb::kZstdCompression == 2);
  compressions.push_back(leveldb::kZstdCompression);
#endif
  for (const leveldb::CompressionType compression : compressions) {
    Options options = Creating();
    options.compression = compression;
    const std::string name = Scratch(("compression" + std::to_string(compression)).c_str());
    std::unique_ptr<DB> db = Open(options, name);
    for (int i = 0; i < 1000; i++) CHECK_OK(db->Put(WriteOptions(), "key" + std::to_string(i), std::string(100, 'v')));
    db->CompactRange(nullptr, nullptr);
    std::string value;
    CHECK_OK(db->Get(ReadOptions(), "key500", &value));
    CHECK_EQ(value, std::string(100, 'v'));
  }
}

void TestFilters() {
  const std::unique_ptr<const leveldb::FilterPolicy> bloom(leveldb::NewBloomFilterPolicy(10));
  CHECK_EQ(bloom->Name(), "leveldb.BuiltinBloomFilter2");
  const Slice keys[] = {"hello", "world"};
  std::string filter = "kept";
  bloom->CreateFilter(keys, 2, &filter);
  CHECK_EQ(filter.substr(0, 4), "kept");
  const Slice made(filter.data() + 4, filter.size() - 4);
  // LevelDB's filter, byte for byte: at least 64 bits, and the number of probes.
  CHECK(made.size() == 9 && made[8] == 6);
  CHECK(bloom->KeyMayMatch("hello", made) && bloom->KeyMayMatch("world", made));
  CHECK(!bloom->KeyMayMatch("x", made) && !bloom->KeyMayMatch("foo", made));

  SuffixBlindPolicy own;
  for (const leveldb::FilterPolicy* policy : {bloom.get(), static_cast<const leveldb::FilterPolicy*>(&own)}) {
    Options options = Creating();
    options.filter_policy = policy;
    const std::string name = Scratch(policy == &own ? "own_filter" : "bloom");
    std::unique_ptr<DB> db = Open(options, name);
    for (int i = 0; i < 1000; i++) CHECK_OK(db->Put(WriteOptions(), "key" + std::to_string(i), "v"));
    db->CompactRange(nullptr, nullptr);
    for (int i = 0; i < 1000; i++) CHECK_EQ(Get(db.get(), "key" + std::to_string(i)), "v");
    CHECK_EQ(Get(db.get(), "key5!"), "(none)");
  }
  CHECK(own.created > 0);
}

void Deleted(const Slice& key, void* value) { static_cast<std::string*>(value)->append(key.ToString()); }

void TestCaches() {
  std::string deleted;
  const std::unique_ptr<leveldb::Cache> cache(leveldb::NewLRUCache(1 << 20));
  leveldb::Cache::Handle* handle = cache->Insert("a", &deleted, 10, &Deleted);
  CHECK(cache->Value(handle) == &deleted && cache->TotalCharge() == 10);
  cache->Release(handle);
  handle = cache->Lookup("a");
  CHECK(handle != nullptr && cache->Lookup("b") == nullptr);
  cache->Erase("a");
  CHECK(cache->Lookup("a") == nullptr && deleted.empty());
  cache->Release(handle);
  CHECK_EQ(deleted, "a");
  cache->Release(cache->Insert("c", &deleted, 10, &Deleted));
  cache->Release(cache->Insert("c", &deleted, 10, &Deleted));
  CHECK_EQ(deleted, "ac");
  cache->Prune();
  CHECK_EQ(deleted, "acc");
  CHECK(cache->TotalCharge() == 0 && cache->NewId() != cache->NewId());
  for (int i = 0; i < 100; i++) cache->Release(cache->Insert(std::to_string(i), &deleted, 1 << 16, &Deleted));
  CHECK(cache->TotalCharge() <= 1 << 20 && cache->TotalCharge() >= 1 << 17);
  cache->Prune();

  Options options = Creating();
  options.block_cache = cache.get();
  options.compression = leveldb::kNoCompression;
  std::unique_ptr<DB> db = Open(options, Scratch("caches"));
  CHECK_OK(db->Put(WriteOptions(), "a", "1"));
  db->CompactRange(nullptr, nullptr);
  CHECK_EQ(Get(db.get(), "a"), "1");
}

// Counts operations, and lets syncs fail on request.
class SpyEnv : public leveldb::EnvWrapper {
 public:
  SpyEnv() : EnvWrapper(Env::Default()) {}

  Status NewWritableFile(const std::string& fname, leveldb::WritableFile** result) override {
    leveldb::WritableFile* file = nullptr;
    const Status status = target()->NewWritableFile(fname, &file);
    *result = status.ok() ? new SpyFile(this, file) : nullptr;
    files++;
    return status;
  }
  Status RemoveFile(const std::string& fname) override {
    removed++;
    return target()->RemoveFile(fname);
  }

  std::atomic<int> files{0}, removed{0}, syncs{0};
  std::atomic<bool> fail{false}, raise{false};

 private:
  class SpyFile : public leveldb::WritableFile {
   public:
    SpyFile(SpyEnv* env, leveldb::WritableFile* file) : env_(env), file_(file) {}
    Status Append(const Slice& data) override { return file_->Append(data); }
    Status Close() override { return file_->Close(); }
    Status Flush() override { return file_->Flush(); }
    Status Sync() override {
      env_->syncs++;
#if !defined(GOOGLE)
      if (env_->raise) throw 42;
#endif
      return env_->fail ? Status::IOError("the spy says no") : file_->Sync();
    }

   private:
    SpyEnv* const env_;
    const std::unique_ptr<leveldb::WritableFile> file_;
  };
};

void TestEnv() {
  Env* env = Env::Default();
  const std::string name = Scratch("file");
  CHECK_OK(leveldb::WriteStringToFile(env, "some text", name));
  std::string text;
  uint64_t size = 0;
  CHECK_OK(leveldb::ReadFileToString(env, name, &text));
  CHECK_OK(env->GetFileSize(name, &size));
  CHECK(text == "some text" && size == 9 && env->FileExists(name));
  leveldb::WritableFile* appended = nullptr;
  CHECK_OK(env->NewAppendableFile(name, &appended));
  CHECK_OK(appended->Append(" more"));
  CHECK_OK(appended->Sync());
  CHECK_OK(appended->Close());
  delete appended;
  leveldb::SequentialFile* sequential = nullptr;
  CHECK_OK(env->NewSequentialFile(name, &sequential));
  char scratch[100];
  Slice read;
  CHECK_OK(sequential->Skip(5));
  CHECK_OK(sequential->Read(4, &read, scratch));
  CHECK_EQ(read.ToString(), "text");
  CHECK_OK(sequential->Read(100, &read, scratch));
  CHECK_EQ(read.ToString(), " more");
  delete sequential;
  leveldb::RandomAccessFile* random = nullptr;
  CHECK_OK(env->NewRandomAccessFile(name, &random));
  CHECK_OK(random->Read(5, 4, &read, scratch));
  CHECK_EQ(read.ToString(), "text");
  delete random;
  CHECK_OK(env->RenameFile(name, name + "2"));
  CHECK(env->NewSequentialFile(name, &sequential).IsNotFound() && sequential == nullptr);
  leveldb::FileLock* lock = nullptr;
  leveldb::FileLock* again = nullptr;
  CHECK_OK(env->LockFile(name + ".lock", &lock));
  CHECK(env->LockFile(name + ".lock", &again).IsIOError() && again == nullptr);
  CHECK_OK(env->UnlockFile(lock));
  CHECK_OK(env->CreateDir(name));
  CHECK(!env->CreateDir(name).ok());
  CHECK_OK(leveldb::WriteStringToFile(env, "", name + "/child"));
  std::vector<std::string> children;
  CHECK_OK(env->GetChildren(name, &children));
  bool found = false;
  for (const std::string& child : children) found |= child == "child";
  CHECK(found && !env->RemoveDir(name).ok());
  CHECK_OK(env->RemoveFile(name + "/child"));
  CHECK_OK(env->RemoveDir(name));
  CHECK(env->NowMicros() > 0);
  static std::atomic<int> ran{0};
  env->Schedule([](void*) { ran++; }, nullptr);
  env->StartThread([](void*) { ran++; }, nullptr);
  while (ran != 2) std::this_thread::yield();
}

void TestForeignEnv() {
  const std::string name = Scratch("spied");
  SpyEnv spy;
  Options options = Creating();
  options.env = &spy;
  options.write_buffer_size = 64 << 10;
  std::unique_ptr<DB> db = Open(options, name);
  WriteOptions synced;
  synced.sync = true;
  for (int i = 0; i < 500; i++) CHECK_OK(db->Put(WriteOptions(), std::to_string(1000 + i), std::string(1000, 'x')));
  const int before = spy.syncs;
  CHECK_OK(db->Put(synced, "last", "one"));
  CHECK(spy.syncs > before);
  db->CompactRange(nullptr, nullptr);
  CHECK(spy.files > 5 && spy.FileExists(name + "/LOG"));
  db.reset();
  db = Open(options, name);
  CHECK(spy.removed > 0);  // By a thread of the library, or else at the next open.
  CHECK_EQ(Get(db.get(), "last"), "one");
  spy.fail = true;
  const Status failed = db->Put(synced, "not", "synced");
  CHECK(failed.IsIOError());
  CHECK(failed.ToString().find("the spy says no") != std::string::npos);
  CHECK_EQ(Get(db.get(), "last"), "one");
  spy.fail = false;
  db.reset();
#if !defined(GOOGLE)
  db = Open(options, name);
  spy.raise = true;
  CHECK(db->Put(synced, "not", "synced").IsIOError());
  spy.raise = false;
  CHECK_EQ(Get(db.get(), "last"), "one");
  db.reset();
#endif
  // The directory is an ordinary database.
  db = Open(Options(), name);
  CHECK_EQ(Get(db.get(), "1499"), std::string(1000, 'x'));
  CHECK_EQ(Get(db.get(), "last"), "one");
  db.reset();
  CHECK_OK(leveldb::DestroyDB(name, options));
}

// Directories of files in memory need not exist, whichever operation comes first.
void TestDatabaseInMemory(Env* env, const std::string& name) {
  Options options = Creating();
  options.env = env;
  std::unique_ptr<DB> db = Open(options, name);
  CHECK_OK(db->Put(WriteOptions(), "a", name));
  db.reset();
  options.create_if_missing = false;
  db = Open(options, name);
  CHECK_EQ(Get(db.get(), "a"), name);
  db->CompactRange(nullptr, nullptr);
  CHECK_EQ(Get(db.get(), "a"), name);
  db.reset();
  CHECK(env->FileExists(name + "/CURRENT"));
  std::vector<std::string> children;
  CHECK_OK(env->GetChildren(name, &children));
  CHECK(children.size() >= 3);
  CHECK_OK(leveldb::RepairDB(name, options));
  db = Open(options, name);
  CHECK_EQ(Get(db.get(), "a"), name);
  db.reset();
  CHECK_OK(leveldb::DestroyDB(name, options));
  CHECK(!env->FileExists(name + "/CURRENT") && !Env::Default()->FileExists(name));
  DB* none = nullptr;
  CHECK(DB::Open(options, name, &none).IsInvalidArgument() && none == nullptr);
}

void TestMemEnv() {
  for (const char* name : {"/dir/db", "a/b", "/tmp/xyz", "/deep/er/db", "db", "/db"}) {
    const std::unique_ptr<Env> env(leveldb::NewMemEnv(Env::Default()));
    TestDatabaseInMemory(env.get(), name);
    leveldb::EnvWrapper wrapper(env.get());
    TestDatabaseInMemory(&wrapper, name);
  }
  const std::unique_ptr<Env> env(leveldb::NewMemEnv(Env::Default()));
  std::vector<std::string> children;
  CHECK_OK(env->GetChildren("/not/made", &children));
  CHECK(children.empty());
  CHECK_OK(leveldb::WriteStringToFile(env.get(), "text", "/nowhere/dir/file"));
  std::string text;
  CHECK_OK(leveldb::ReadFileToString(env.get(), "/nowhere/dir/file", &text));
  CHECK(text == "text" && !Env::Default()->FileExists("/nowhere/dir/file"));
  CHECK_OK(env->RenameFile("/nowhere/dir/file", "/else/where/file"));
  CHECK(!env->FileExists("/nowhere/dir/file") && env->FileExists("/else/where/file"));
  CHECK(!env->RenameFile("/nowhere/dir/file", "/else/where/file").ok());
  leveldb::FileLock* lock = nullptr;
  CHECK_OK(env->LockFile("some/lock", &lock));
  CHECK_OK(env->UnlockFile(lock));
  CHECK_OK(env->CreateDir("/no/parent"));
  CHECK_OK(env->CreateDir("/no/parent"));
  CHECK_OK(env->GetChildren("/no/parent", &children));
  CHECK(children.empty());
  CHECK_OK(env->RemoveDir("/no/parent"));
  CHECK_OK(env->RemoveDir("/no/parent"));

  leveldb::RandomAccessFile* file = nullptr;
  CHECK_OK(env->NewRandomAccessFile("/else/where/file", &file));
  char scratch[8];
  Slice read;
  CHECK_OK(file->Read(4, 8, &read, scratch));
  CHECK(read.empty());
  CHECK(file->Read(5, 8, &read, scratch).IsIOError());
  CHECK(file->Read(1000, 8, &read, scratch).IsIOError());
  delete file;
}

// A caller that knows the length of the file may ask for more bytes than its buffer has.
void TestShortScratch(Env* env, const std::string& name) {
  CHECK_OK(leveldb::WriteStringToFile(env, "hello", name));
  char scratch[20];
  const std::string untouched(15, '#');
  leveldb::SequentialFile* sequential = nullptr;
  CHECK_OK(env->NewSequentialFile(name, &sequential));
  leveldb::RandomAccessFile* random = nullptr;
  CHECK_OK(env->NewRandomAccessFile(name, &random));
  for (const size_t asked : {size_t{20}, size_t{1000}, size_t{1} << 20}) {
    std::memset(scratch, '#', sizeof(scratch));
    Slice read;
    CHECK_OK(random->Read(0, asked, &read, scratch));
    CHECK_EQ(read.ToString(), "hello");
    CHECK_EQ(std::string(scratch + 5, 15), untouched);
  }
  Slice read;
  std::memset(scratch, '#', sizeof(scratch));
  CHECK_OK(sequential->Read(1000, &read, scratch));
  CHECK_EQ(read.ToString(), "hello");
  CHECK_OK(sequential->Read(1000, &read, scratch + 5));
  CHECK(read.empty());
  CHECK_EQ(std::string(scratch + 5, 15), untouched);
  delete sequential;
  delete random;
}

class ListLogger : public leveldb::Logger {
 public:
  void Logv(const char* format, std::va_list arguments) override {
    char line[500];
    std::vsnprintf(line, sizeof(line), format, arguments);
    lines++;
  }
  std::atomic<int> lines{0};
};

void TestLoggers() {
  ListLogger logger;
  leveldb::Options options = Creating();
  options.info_log = &logger;
  Open(options, Scratch("logged"));
  CHECK(logger.lines > 0);
  CHECK(!Env::Default()->FileExists(Scratch("logged") + "/LOG"));
  leveldb::Logger* file = nullptr;
  CHECK_OK(Env::Default()->NewLogger(Scratch("messages"), &file));
#if !defined(GOOGLE)  // Debian's library does not export it.
  leveldb::Log(file, "a %s %d", "message", 7);
  leveldb::Log(nullptr, "nobody hears");
#endif
  delete file;
}

void TestTables() {
  Env* env = Env::Default();
  const std::string name = Scratch("table");
  const std::unique_ptr<const leveldb::FilterPolicy> bloom(leveldb::NewBloomFilterPolicy(10));
  Options options;
  options.filter_policy = bloom.get();
  options.block_size = 1024;
  leveldb::WritableFile* file = nullptr;
  CHECK_OK(env->NewWritableFile(name, &file));
  leveldb::TableBuilder builder(options, file);
  for (int i = 0; i < 1000; i++) builder.Add("key" + std::to_string(10000 + i), "value" + std::to_string(i));
  builder.Flush();
  CHECK_OK(builder.status());
  Options changed = options;
  changed.compression = leveldb::kNoCompression;
  CHECK_OK(builder.ChangeOptions(changed));
  NumberComparator numbers;
  changed.comparator = &numbers;
  CHECK(builder.ChangeOptions(changed).IsInvalidArgument());
  builder.Add("z", "last");
  CHECK_OK(builder.Finish());
  CHECK(builder.NumEntries() == 1001);
  CHECK_OK(file->Close());
  delete file;
  uint64_t size = 0;
  CHECK_OK(env->GetFileSize(name, &size));
  CHECK(size == builder.FileSize());

  leveldb::RandomAccessFile* random = nullptr;
  CHECK_OK(env->NewRandomAccessFile(name, &random));
  leveldb::Table* table = nullptr;
  CHECK_OK(leveldb::Table::Open(options, random, size, &table));
  {
    const std::unique_ptr<Iterator> iterator(table->NewIterator(ReadOptions()));
    iterator->Seek("key10500!");
    CHECK(iterator->key() == "key10501" && iterator->value() == "value501");
    iterator->Prev();
    CHECK(iterator->key() == "key10500");
    iterator->SeekToLast();
    CHECK(iterator->key() == "z");
    iterator->Next();
    CHECK(!iterator->Valid());
    int count = 0;
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) count++;
    CHECK(count == 1001 && iterator->status().ok());
  }
  CHECK(table->ApproximateOffsetOf("a") == 0 && table->ApproximateOffsetOf("key10900") > 1000);
  delete table;
  CHECK(leveldb::Table::Open(options, random, 20, &table).IsCorruption() && table == nullptr);
  delete random;
  std::unique_ptr<leveldb::TableBuilder> abandoned;
  CHECK_OK(env->NewWritableFile(name, &file));
  abandoned.reset(new leveldb::TableBuilder(Options(), file));
  abandoned->Add("a", "b");
  abandoned->Abandon();
  abandoned.reset();
  delete file;
}

// A database that wraps another one, as caches and benchmarks do.
class CountingDB : public DB {
 public:
  explicit CountingDB(std::unique_ptr<DB> inner) : inner_(std::move(inner)) {}
  Status Put(const WriteOptions& options, const Slice& key, const Slice& value) override { return DB::Put(options, key, value); }
  Status Delete(const WriteOptions& options, const Slice& key) override { return DB::Delete(options, key); }
  Status Write(const WriteOptions& options, WriteBatch* updates) override {
    writes++;
    return inner_->Write(options, updates);
  }
  Status Get(const ReadOptions& options, const Slice& key, std::string* value) override { return inner_->Get(options, key, value); }
  Iterator* NewIterator(const ReadOptions& options) override { return inner_->NewIterator(options); }
  const leveldb::Snapshot* GetSnapshot() override { return inner_->GetSnapshot(); }
  void ReleaseSnapshot(const leveldb::Snapshot* snapshot) override { inner_->ReleaseSnapshot(snapshot); }
  bool GetProperty(const Slice& property, std::string* value) override { return inner_->GetProperty(property, value); }
  void GetApproximateSizes(const leveldb::Range* range, int n, uint64_t* sizes) override { inner_->GetApproximateSizes(range, n, sizes); }
  void CompactRange(const Slice* begin, const Slice* end) override { inner_->CompactRange(begin, end); }
  int writes = 0;

 private:
  const std::unique_ptr<DB> inner_;
};

void TestDerivedDatabases() {
  CountingDB db(Open(Creating(), Scratch("derived")));
  CHECK_OK(db.Put(WriteOptions(), "a", "1"));
  CHECK_OK(db.Delete(WriteOptions(), "b"));
  CHECK(db.writes == 2);
  CHECK_EQ(Contents(&db), "a=1,");
}

void TestThreads() {
  const std::unique_ptr<DB> db = Open(Creating(), Scratch("threads"));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&db, t] {
      for (int i = 0; i < 500; i++) {
        const std::string key = std::to_string(t) + "-" + std::to_string(i);
        CHECK_OK(db->Put(WriteOptions(), key, key));
        CHECK_EQ(Get(db.get(), key), key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int count = 0;
  const std::unique_ptr<Iterator> iterator(db->NewIterator(ReadOptions()));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) count++;
  CHECK(count == 2000);
}

}  // namespace

int main() {
  TestLayouts();
  TestSliceAndStatus();
  TestReadsAndWrites();
  TestIterators();
  TestBatches();
  TestComparators();
  TestCompressions();
  TestFilters();
  TestCaches();
  TestEnv();
  TestForeignEnv();
  TestMemEnv();
  TestShortScratch(std::unique_ptr<Env>(leveldb::NewMemEnv(Env::Default())).get(), "/short");
#if !defined(GOOGLE)  // LevelDB's mapped files fail if fewer bytes are left than requested.
  TestShortScratch(Env::Default(), Scratch("short"));
#endif
  TestLoggers();
  TestTables();
  TestDerivedDatabases();
  // The threads of the test are started after that of Env::Schedule, which never ends: started later, it
  // would reuse the stack of one of them, and valgrind would attribute its memory to that thread.
  TestThreads();
#if !defined(GOOGLE)
  TestReleasedSnapshots();
#endif
  return 0;
}
