// An Env is the system that a database runs on: files, time, threads. Programs can put their own in its place.
//
// Of the Env of its options a database uses the files, the locks, the clock and the logger. Its background threads are its own:
// Schedule() and StartThread() are for the program. Exceptions that methods throw become an IOError.
//
// Threads: an Env is used from any thread, at once; what a file allows is said there.

#ifndef STORAGE_LEVELDB_INCLUDE_ENV_H_
#define STORAGE_LEVELDB_INCLUDE_ENV_H_

#include <cstdarg>
#include <cstdint>
#include <string>
#include <vector>

#include "leveldb/export.h"
#include "leveldb/status.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

class FileLock;
class Logger;
class RandomAccessFile;
class SequentialFile;
class Slice;
class WritableFile;

class LEVELDB_EXPORT Env {
 public:
  Env();

  Env(const Env&) = delete;
  Env& operator=(const Env&) = delete;

  virtual ~Env();

  // The real system. It is the library's, and lives for ever.
  static Env* Default();

  // The functions that open something put a new object, the caller's to delete, into `*result`, or NULL on failure. What is not there
  // is to be reported as NotFound.

  // Opens a file to be read from its beginning.
  virtual Status NewSequentialFile(const std::string& fname, SequentialFile** result) = 0;

  // Opens a file to be read anywhere.
  virtual Status NewRandomAccessFile(const std::string& fname, RandomAccessFile** result) = 0;

  // Opens a file to be written, emptied if it exists.
  virtual Status NewWritableFile(const std::string& fname, WritableFile** result) = 0;

  // Opens a file to be written behind what it has. An Env need not offer that: NotSupported is the default.
  virtual Status NewAppendableFile(const std::string& fname, WritableFile** result);

  virtual bool FileExists(const std::string& fname) = 0;

  // Puts the names in a directory, which are no paths, into `*result`, and nothing else.
  virtual Status GetChildren(const std::string& dir, std::vector<std::string>* result) = 0;

  // Removes a file. An Env overrides RemoveFile; in older ones it is DeleteFile, and each calls the other by default.
  virtual Status RemoveFile(const std::string& fname);
  virtual Status DeleteFile(const std::string& fname);

  virtual Status CreateDir(const std::string& dirname) = 0;

  // Removes an empty directory. RemoveDir and DeleteDir are as RemoveFile and DeleteFile.
  virtual Status RemoveDir(const std::string& dirname);
  virtual Status DeleteDir(const std::string& dirname);

  virtual Status GetFileSize(const std::string& fname, uint64_t* file_size) = 0;

  // Renames, replacing what has the new name.
  virtual Status RenameFile(const std::string& src, const std::string& target) = 0;

  // Locks a file, which may be created for it, against other processes; never waits.
  virtual Status LockFile(const std::string& fname, FileLock** lock) = 0;
  // Unlocks it; `lock` is gone then.
  virtual Status UnlockFile(FileLock* lock) = 0;

  // Calls `function(arg)` once on a background thread.
  virtual void Schedule(void (*function)(void* arg), void* arg) = 0;

  // Calls `function(arg)` on a new thread, which ends with it.
  virtual void StartThread(void (*function)(void* arg), void* arg) = 0;

  // A directory for tests; the same for the life of the process.
  virtual Status GetTestDirectory(std::string* path) = 0;

  // Creates a file for messages.
  virtual Status NewLogger(const std::string& fname, Logger** result) = 0;

  // Microseconds since some fixed time.
  virtual uint64_t NowMicros() = 0;

  virtual void SleepForMicroseconds(int micros) = 0;
};

// A file read from its beginning, by one thread at a time.
class LEVELDB_EXPORT SequentialFile {
 public:
  SequentialFile() = default;

  SequentialFile(const SequentialFile&) = delete;
  SequentialFile& operator=(const SequentialFile&) = delete;

  virtual ~SequentialFile();

  // Reads up to `n` bytes, fewer only at the end of the file. `*result` is what was read, in `scratch` (`n` bytes long) or elsewhere.
  virtual Status Read(size_t n, Slice* result, char* scratch) = 0;

  // Passes over `n` bytes; past the end is fine.
  virtual Status Skip(uint64_t n) = 0;
};

// A file read anywhere, by any number of threads.
class LEVELDB_EXPORT RandomAccessFile {
 public:
  RandomAccessFile() = default;

  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;

  virtual ~RandomAccessFile();

  // As SequentialFile::Read, from `offset`.
  virtual Status Read(uint64_t offset, size_t n, Slice* result, char* scratch) const = 0;
};

// A file that is written, by one thread at a time. Appends are small: it has a buffer.
class LEVELDB_EXPORT WritableFile {
 public:
  WritableFile() = default;

  WritableFile(const WritableFile&) = delete;
  WritableFile& operator=(const WritableFile&) = delete;

  virtual ~WritableFile();

  virtual Status Append(const Slice& data) = 0;
  virtual Status Close() = 0;
  // Hands what was appended to the system.
  virtual Status Flush() = 0;
  // Makes what was appended, and the name of a new file, durable.
  virtual Status Sync() = 0;
};

// Takes messages, from any thread.
class LEVELDB_EXPORT Logger {
 public:
  Logger() = default;

  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  virtual ~Logger();

  // Takes one message, as vprintf() would print it.
  virtual void Logv(const char* format, std::va_list ap) = 0;
};

// A locked file.
class LEVELDB_EXPORT FileLock {
 public:
  FileLock() = default;

  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  virtual ~FileLock();
};

// Hands a message to `info_log`, unless that is NULL.
LEVELDB_EXPORT void Log(Logger* info_log, const char* format, ...) __attribute__((__format__(__printf__, 2, 3)));

// Writes a file: `data` and nothing else.
LEVELDB_EXPORT Status WriteStringToFile(Env* env, const Slice& data, const std::string& fname);

// Reads a file into `*data`, which is emptied first.
LEVELDB_EXPORT Status ReadFileToString(Env* env, const std::string& fname, std::string* data);

// An Env that leaves everything to another: to be derived from by those that change some of it.
class LEVELDB_EXPORT EnvWrapper : public Env {
 public:
  // `t` must outlive it.
  explicit EnvWrapper(Env* t) : target_(t) {}
  virtual ~EnvWrapper();

  Env* target() const { return target_; }

  Status NewSequentialFile(const std::string& f, SequentialFile** r) override { return target_->NewSequentialFile(f, r); }
  Status NewRandomAccessFile(const std::string& f, RandomAccessFile** r) override {
    return target_->NewRandomAccessFile(f, r);
  }
  Status NewWritableFile(const std::string& f, WritableFile** r) override { return target_->NewWritableFile(f, r); }
  Status NewAppendableFile(const std::string& f, WritableFile** r) override { return target_->NewAppendableFile(f, r); }
  bool FileExists(const std::string& f) override { return target_->FileExists(f); }
  Status GetChildren(const std::string& dir, std::vector<std::string>* r) override { return target_->GetChildren(dir, r); }
  Status RemoveFile(const std::string& f) override { return target_->RemoveFile(f); }
  Status CreateDir(const std::string& d) override { return target_->CreateDir(d); }
  Status RemoveDir(const std::string& d) override { return target_->RemoveDir(d); }
  Status GetFileSize(const std::string& f, uint64_t* s) override { return target_->GetFileSize(f, s); }
  Status RenameFile(const std::string& s, const std::string& t) override { return target_->RenameFile(s, t); }
  Status LockFile(const std::string& f, FileLock** l) override { return target_->LockFile(f, l); }
  Status UnlockFile(FileLock* l) override { return target_->UnlockFile(l); }
  void Schedule(void (*f)(void*), void* a) override { target_->Schedule(f, a); }
  void StartThread(void (*f)(void*), void* a) override { target_->StartThread(f, a); }
  Status GetTestDirectory(std::string* path) override { return target_->GetTestDirectory(path); }
  Status NewLogger(const std::string& fname, Logger** result) override { return target_->NewLogger(fname, result); }
  uint64_t NowMicros() override { return target_->NowMicros(); }
  void SleepForMicroseconds(int micros) override { target_->SleepForMicroseconds(micros); }

 private:
  Env* target_;
};

TERRACE_LEVELDB_NAMESPACE_END

#if TERRACE_LEVELDB_DEFINITIONS
#include "leveldb/detail/env_impl.h"
#endif

#endif  // STORAGE_LEVELDB_INCLUDE_ENV_H_
