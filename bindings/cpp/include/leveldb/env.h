// An Env is the operating system as a database sees it: files, time, threads. Programs can implement their
// own.
//
// A database uses the files, the locks, the clock and the logger of the Env in its options. It has its own
// background threads: Schedule() and StartThread() serve the program only. Exceptions that methods throw
// become an IOError.
//
// Threads: an Env is used by any number of threads at the same time. The thread rule of each kind of file is
// with its class.

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

  // The real operating system. The object belongs to the library and is never deleted.
  static Env* Default();

  // The functions that open something put a new object, which the caller deletes, into `*result`, or NULL on
  // failure. A missing file or directory is reported as NotFound.

  // Opens a file to be read from its beginning.
  virtual Status NewSequentialFile(const std::string& fname, SequentialFile** result) = 0;

  // Opens a file to be read at any offset.
  virtual Status NewRandomAccessFile(const std::string& fname, RandomAccessFile** result) = 0;

  // Opens a file to be written. Truncates it if it exists.
  virtual Status NewWritableFile(const std::string& fname, WritableFile** result) = 0;

  // Opens a file to be written at its end. An Env need not implement this: the default is NotSupported.
  virtual Status NewAppendableFile(const std::string& fname, WritableFile** result);

  virtual bool FileExists(const std::string& fname) = 0;

  // Replaces `*result` by the names of the entries of a directory. The names have no directory part.
  virtual Status GetChildren(const std::string& dir, std::vector<std::string>* result) = 0;

  // Removes a file. An Env overrides RemoveFile; an older Env overrides DeleteFile. By default, each calls
  // the other.
  virtual Status RemoveFile(const std::string& fname);
  virtual Status DeleteFile(const std::string& fname);

  virtual Status CreateDir(const std::string& dirname) = 0;

  // Removes an empty directory. RemoveDir and DeleteDir call each other, as RemoveFile and DeleteFile do.
  virtual Status RemoveDir(const std::string& dirname);
  virtual Status DeleteDir(const std::string& dirname);

  virtual Status GetFileSize(const std::string& fname, uint64_t* file_size) = 0;

  // Renames a file, replacing a file that has the new name.
  virtual Status RenameFile(const std::string& src, const std::string& target) = 0;

  // Locks a file against other processes; may create it. Never waits.
  virtual Status LockFile(const std::string& fname, FileLock** lock) = 0;
  // Unlocks the file and deletes `lock`.
  virtual Status UnlockFile(FileLock* lock) = 0;

  // Calls `function(arg)` once on a background thread.
  virtual void Schedule(void (*function)(void* arg), void* arg) = 0;

  // Calls `function(arg)` on a new thread, which ends when the function returns.
  virtual void StartThread(void (*function)(void* arg), void* arg) = 0;

  // A directory for tests: the same one until the process ends.
  virtual Status GetTestDirectory(std::string* path) = 0;

  // Creates a file for messages.
  virtual Status NewLogger(const std::string& fname, Logger** result) = 0;

  // Microseconds since some fixed time.
  virtual uint64_t NowMicros() = 0;

  virtual void SleepForMicroseconds(int micros) = 0;
};

// A file that is read from its beginning, by one thread at a time.
class LEVELDB_EXPORT SequentialFile {
 public:
  SequentialFile() = default;

  SequentialFile(const SequentialFile&) = delete;
  SequentialFile& operator=(const SequentialFile&) = delete;

  virtual ~SequentialFile();

  // Reads up to `n` bytes, fewer only at the end of the file. `*result` refers to the bytes that were read,
  // in `scratch` (`n` bytes long) or elsewhere.
  virtual Status Read(size_t n, Slice* result, char* scratch) = 0;

  // Skips `n` bytes. Skipping past the end of the file is not an error.
  virtual Status Skip(uint64_t n) = 0;
};

// A file that is read at any offset, by any number of threads at the same time.
class LEVELDB_EXPORT RandomAccessFile {
 public:
  RandomAccessFile() = default;

  RandomAccessFile(const RandomAccessFile&) = delete;
  RandomAccessFile& operator=(const RandomAccessFile&) = delete;

  virtual ~RandomAccessFile();

  // As SequentialFile::Read, but at `offset`.
  virtual Status Read(uint64_t offset, size_t n, Slice* result, char* scratch) const = 0;
};

// A file that is written, by one thread at a time. Appends are small, so it should have a buffer.
class LEVELDB_EXPORT WritableFile {
 public:
  WritableFile() = default;

  WritableFile(const WritableFile&) = delete;
  WritableFile& operator=(const WritableFile&) = delete;

  virtual ~WritableFile();

  virtual Status Append(const Slice& data) = 0;
  virtual Status Close() = 0;
  // Passes all appended bytes to the operating system.
  virtual Status Flush() = 0;
  // Makes all appended bytes durable, and the name of a new file.
  virtual Status Sync() = 0;
};

// A receiver of messages, from any thread.
class LEVELDB_EXPORT Logger {
 public:
  Logger() = default;

  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  virtual ~Logger();

  // Receives one message, with the arguments of vprintf().
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

// Passes a message to `info_log`, unless that is NULL.
LEVELDB_EXPORT void Log(Logger* info_log, const char* format, ...) __attribute__((__format__(__printf__, 2, 3)));

// Writes a file whose contents are `data`.
LEVELDB_EXPORT Status WriteStringToFile(Env* env, const Slice& data, const std::string& fname);

// Replaces `*data` by the contents of a file.
LEVELDB_EXPORT Status ReadFileToString(Env* env, const std::string& fname, std::string* data);

// An Env that forwards everything to another one. Derive from it to change only some functions.
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
