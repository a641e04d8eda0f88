// The base classes of Envs and files, and libterrace's own Envs, for real files and for files in memory.

#ifndef TERRACE_LEVELDB_DETAIL_ENV_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_ENV_IMPL_H_

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/natives.h"
#include "leveldb/detail/status_impl.h"
#include "leveldb/env.h"
#include "leveldb/slice.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE Env::Env() = default;
TERRACE_LEVELDB_INLINE Env::~Env() = default;
TERRACE_LEVELDB_INLINE SequentialFile::~SequentialFile() = default;
TERRACE_LEVELDB_INLINE RandomAccessFile::~RandomAccessFile() = default;
TERRACE_LEVELDB_INLINE WritableFile::~WritableFile() = default;
TERRACE_LEVELDB_INLINE Logger::~Logger() = default;
TERRACE_LEVELDB_INLINE FileLock::~FileLock() = default;
TERRACE_LEVELDB_INLINE EnvWrapper::~EnvWrapper() = default;

TERRACE_LEVELDB_INLINE Status Env::NewAppendableFile(const std::string& fname, WritableFile** result) {
  *result = nullptr;
  return Status::NotSupported("NewAppendableFile", fname);
}
TERRACE_LEVELDB_INLINE Status Env::RemoveFile(const std::string& fname) { return DeleteFile(fname); }
TERRACE_LEVELDB_INLINE Status Env::DeleteFile(const std::string& fname) { return RemoveFile(fname); }
TERRACE_LEVELDB_INLINE Status Env::RemoveDir(const std::string& dirname) { return DeleteDir(dirname); }
TERRACE_LEVELDB_INLINE Status Env::DeleteDir(const std::string& dirname) { return RemoveDir(dirname); }

TERRACE_LEVELDB_INLINE void Log(Logger* info_log, const char* format, ...) {
  if (info_log == nullptr) return;
  std::va_list arguments;
  va_start(arguments, format);
  info_log->Logv(format, arguments);
  va_end(arguments);
}

namespace detail {

// The text that vprintf() would print.
inline std::string Format(const char* format, std::va_list arguments) {
  std::va_list again;
  va_copy(again, arguments);
  char small[512];
  const int length = std::vsnprintf(small, sizeof(small), format, arguments);
  std::string text;
  if (length >= 0 && static_cast<size_t>(length) < sizeof(small)) {
    text.assign(small, static_cast<size_t>(length));
  } else if (length >= 0) {
    text.resize(static_cast<size_t>(length) + 1);
    std::vsnprintf(&text[0], text.size(), format, again);
    text.resize(static_cast<size_t>(length));
  }
  va_end(again);
  return text;
}

class NativeSequentialFile final : public SequentialFile {
 public:
  explicit NativeSequentialFile(leveldb_seqfile_t* file) : file_(file) {}
  ~NativeSequentialFile() override { terrace_seqfile_destroy(file_); }

  Status Read(size_t n, Slice* result, char* scratch) override {
    Failure failure;
    *result = Slice(scratch, terrace_seqfile_read(file_, scratch, n, failure.out()));
    return failure.status();
  }

  Status Skip(uint64_t n) override {
    Failure failure;
    terrace_seqfile_skip(file_, n, failure.out());
    return failure.status();
  }

 private:
  leveldb_seqfile_t* const file_;
};

class NativeRandomAccessFile final : public RandomAccessFile {
 public:
  explicit NativeRandomAccessFile(leveldb_randomfile_t* file) : file_(file) {}
  ~NativeRandomAccessFile() override { terrace_randomfile_destroy(file_); }

  Status Read(uint64_t offset, size_t n, Slice* result, char* scratch) const override {
    Failure failure;
    *result = Slice(scratch, terrace_randomfile_read(file_, offset, scratch, n, failure.out()));
    return failure.status();
  }

 private:
  leveldb_randomfile_t* const file_;
};

class NativeWritableFile final : public WritableFile {
 public:
  explicit NativeWritableFile(leveldb_writablefile_t* file) : file_(file) {}
  ~NativeWritableFile() override { terrace_writablefile_destroy(file_); }

  Status Append(const Slice& data) override {
    Failure failure;
    terrace_writablefile_append(file_, data.data(), data.size(), failure.out());
    return failure.status();
  }

  Status Close() override { return Call(&terrace_writablefile_close); }
  Status Flush() override { return Call(&terrace_writablefile_flush); }
  Status Sync() override { return Call(&terrace_writablefile_sync); }

 private:
  Status Call(void (*function)(leveldb_writablefile_t*, char**)) {
    Failure failure;
    function(file_, failure.out());
    return failure.status();
  }

  leveldb_writablefile_t* const file_;
};

struct NativeFileLock final : public FileLock {
  explicit NativeFileLock(leveldb_filelock_t* held) : lock(held) {}
  leveldb_filelock_t* const lock;
};

// Writes messages to a file, one per line, each with its time and a number of its thread.
class FileLogger final : public Logger {
 public:
  // Owns `file`.
  explicit FileLogger(WritableFile* file) : file_(file) {}
  ~FileLogger() override { delete file_; }

  void Logv(const char* format, std::va_list arguments) override {
    using std::chrono::system_clock;
    const auto now = system_clock::now().time_since_epoch();
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    const std::time_t seconds = static_cast<std::time_t>(micros / 1000000);
    struct std::tm local;
    localtime_r(&seconds, &local);
    char head[64];
    const size_t length = std::strftime(head, sizeof(head), "%Y/%m/%d-%H:%M:%S", &local);
    char rest[64];
    std::snprintf(rest, sizeof(rest), ".%06d %llx ", static_cast<int>(micros % 1000000),
                  static_cast<unsigned long long>(std::hash<std::thread::id>()(std::this_thread::get_id())));
    std::string line(head, length);
    line += rest;
    line += Format(format, arguments);
    if (line.back() != '\n') line += '\n';
    std::lock_guard<std::mutex> lock(mutex_);
    file_->Append(line);
    file_->Flush();
  }

 private:
  std::mutex mutex_;
  WritableFile* const file_;
};

// One thread that runs the scheduled functions, in order. It is started at the first use, and never ends.
class BackgroundThread {
 public:
  static BackgroundThread& Get() {
    static BackgroundThread* const thread = new BackgroundThread;
    return *thread;
  }

  void Schedule(void (*function)(void*), void* arg) {
    std::lock_guard<std::mutex> lock(mutex_);
    work_.push_back(std::make_pair(function, arg));
    if (!started_) {
      started_ = true;
      std::thread([this] { Run(); }).detach();
    }
    ready_.notify_one();
  }

 private:
  void Run() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      ready_.wait(lock, [this] { return !work_.empty(); });
      const std::pair<void (*)(void*), void*> next = work_.front();
      work_.pop_front();
      lock.unlock();
      next.first(next.second);
    }
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::pair<void (*)(void*), void*>> work_;
  bool started_ = false;
};

// An Env of libterrace. Databases use it directly, without callbacks.
class NativeEnv : public Env {
 public:
  // Owns `env`; NULL is the real operating system.
  explicit NativeEnv(leveldb_env_t* env) : env_(env) { Natives::Get().Add(this, env); }

  ~NativeEnv() override {
    Natives::Get().Remove(this);
    C().env_destroy_(env_);
  }

  Status NewSequentialFile(const std::string& fname, SequentialFile** result) override {
    Failure failure;
    leveldb_seqfile_t* file = terrace_env_new_sequential_file(env_, fname.c_str(), failure.out());
    *result = file == nullptr ? nullptr : new NativeSequentialFile(file);
    return failure.status();
  }

  Status NewRandomAccessFile(const std::string& fname, RandomAccessFile** result) override {
    Failure failure;
    leveldb_randomfile_t* file = terrace_env_new_random_access_file(env_, fname.c_str(), failure.out());
    *result = file == nullptr ? nullptr : new NativeRandomAccessFile(file);
    return failure.status();
  }

  Status NewWritableFile(const std::string& fname, WritableFile** result) override {
    return OpenWritable(fname, false, result);
  }

  Status NewAppendableFile(const std::string& fname, WritableFile** result) override {
    return OpenWritable(fname, true, result);
  }

  bool FileExists(const std::string& fname) override { return terrace_env_file_exists(env_, fname.c_str()) != 0; }

  Status GetChildren(const std::string& dir, std::vector<std::string>* result) override {
    result->clear();
    Failure failure;
    terrace_env_get_children(env_, dir.c_str(), result, &AddChild, failure.out());
    return failure.status();
  }

  Status RemoveFile(const std::string& fname) override { return Call(&terrace_env_remove_file, fname); }
  Status CreateDir(const std::string& dirname) override { return Call(&terrace_env_create_dir, dirname); }
  Status RemoveDir(const std::string& dirname) override { return Call(&terrace_env_remove_dir, dirname); }

  Status GetFileSize(const std::string& fname, uint64_t* file_size) override {
    Failure failure;
    *file_size = terrace_env_get_file_size(env_, fname.c_str(), failure.out());
    return failure.status();
  }

  Status RenameFile(const std::string& src, const std::string& target) override {
    Failure failure;
    terrace_env_rename_file(env_, src.c_str(), target.c_str(), failure.out());
    return failure.status();
  }

  Status LockFile(const std::string& fname, FileLock** lock) override {
    Failure failure;
    leveldb_filelock_t* locked = terrace_env_lock_file(env_, fname.c_str(), failure.out());
    *lock = locked == nullptr ? nullptr : new NativeFileLock(locked);
    return failure.status();
  }

  Status UnlockFile(FileLock* lock) override {
    NativeFileLock* const held = static_cast<NativeFileLock*>(lock);
    terrace_filelock_destroy(held->lock);
    delete held;
    return Status::OK();
  }

  void Schedule(void (*function)(void*), void* arg) override { BackgroundThread::Get().Schedule(function, arg); }
  void StartThread(void (*function)(void*), void* arg) override { std::thread(function, arg).detach(); }

  Status GetTestDirectory(std::string* path) override {
    char* directory = C().env_get_test_directory_(env_);
    if (directory == nullptr) return Status::IOError("no memory for the name of the test directory");
    path->assign(directory);
    std::free(directory);
    return Status::OK();
  }

  Status NewLogger(const std::string& fname, Logger** result) override {
    *result = nullptr;
    WritableFile* file = nullptr;
    const Status status = NewWritableFile(fname, &file);
    if (status.ok()) *result = new FileLogger(file);
    return status;
  }

  uint64_t NowMicros() override { return terrace_env_now_micros(env_); }

  void SleepForMicroseconds(int micros) override {
    std::this_thread::sleep_for(std::chrono::microseconds(micros));
  }

 private:
  static void AddChild(void* state, const char* name, size_t length) noexcept {
    static_cast<std::vector<std::string>*>(state)->emplace_back(name, length);
  }

  Status Call(void (*function)(const leveldb_env_t*, const char*, char**), const std::string& path) {
    Failure failure;
    function(env_, path.c_str(), failure.out());
    return failure.status();
  }

  Status OpenWritable(const std::string& fname, bool append, WritableFile** result) {
    Failure failure;
    leveldb_writablefile_t* file =
        terrace_env_new_writable_file(env_, fname.c_str(), append ? 1 : 0, failure.out());
    *result = file == nullptr ? nullptr : new NativeWritableFile(file);
    return failure.status();
  }

  leveldb_env_t* const env_;
};

}  // namespace detail

TERRACE_LEVELDB_INLINE Env* Env::Default() {
  // Never destroyed: databases may be used until the last destructor of the program has run.
  static Env* const env = new detail::NativeEnv(nullptr);
  return env;
}

TERRACE_LEVELDB_INLINE Status WriteStringToFile(Env* env, const Slice& data, const std::string& fname) {
  WritableFile* file;
  Status status = env->NewWritableFile(fname, &file);
  if (!status.ok()) return status;
  status = file->Append(data);
  if (status.ok()) status = file->Close();
  delete file;
  if (!status.ok()) env->RemoveFile(fname);
  return status;
}

TERRACE_LEVELDB_INLINE Status ReadFileToString(Env* env, const std::string& fname, std::string* data) {
  data->clear();
  SequentialFile* file;
  Status status = env->NewSequentialFile(fname, &file);
  if (!status.ok()) return status;
  std::vector<char> buffer(8192);
  for (;;) {
    Slice fragment;
    status = file->Read(buffer.size(), &fragment, buffer.data());
    if (!status.ok() || fragment.empty()) break;
    data->append(fragment.data(), fragment.size());
  }
  delete file;
  return status;
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_ENV_IMPL_H_
