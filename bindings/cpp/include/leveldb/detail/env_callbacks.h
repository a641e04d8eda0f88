// Passes an Env of C++ to C.

#ifndef TERRACE_LEVELDB_DETAIL_ENV_CALLBACKS_H_
#define TERRACE_LEVELDB_DETAIL_ENV_CALLBACKS_H_

#include <cstring>
#include <string>
#include <vector>

#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/comparator_impl.h"
#include "leveldb/detail/status_impl.h"
#include "leveldb/env.h"
#include "leveldb/slice.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN
namespace detail {

// The callbacks for an Env of C++. The state is the Env; files and locks are the objects that it returned. An
// exception becomes an IOError.
struct EnvCallbacks {
  // Runs `body`, which returns a status, and returns its code and message.
  template <class Body>
  static int Run(char** message, Body body) noexcept {
    TERRACE_LEVELDB_TRY {
      const Status status = body();
      if (status.ok()) return TERRACE_OK;
      const std::string text = StatusAccess::Message(status);
      *message = MallocCopy(text.c_str(), text.size() + 1);
      return StatusAccess::Code(status);
    }
    TERRACE_LEVELDB_CATCH_ALL {
      static const char kText[] = "an exception in an Env of the program";
      *message = MallocCopy(kText, sizeof(kText));
      return TERRACE_IO_ERROR;
    }
  }

  static Env* Get(void* state) { return static_cast<Env*>(state); }

  // Copies the bytes that were read to the buffer of C.
  static void Deliver(const Slice& result, char* buffer, size_t length, size_t* read) {
    *read = result.size() < length ? result.size() : length;
    if (*read != 0 && result.data() != buffer) std::memmove(buffer, result.data(), *read);
  }

  static int NewSequentialFile(void* state, const char* path, void** file, char** message) noexcept {
    return Run(message, [=] {
      SequentialFile* opened = nullptr;
      const Status status = Get(state)->NewSequentialFile(path, &opened);
      *file = opened;
      return status;
    });
  }

  static int SequentialRead(void* file, char* buffer, size_t length, size_t* read, char** message) noexcept {
    return Run(message, [=] {
      Slice result;
      const Status status = static_cast<SequentialFile*>(file)->Read(length, &result, buffer);
      if (status.ok()) Deliver(result, buffer, length, read);
      return status;
    });
  }

  static int SequentialSkip(void* file, uint64_t length, char** message) noexcept {
    return Run(message, [=] { return static_cast<SequentialFile*>(file)->Skip(length); });
  }

  static void SequentialDestroy(void* file) noexcept { delete static_cast<SequentialFile*>(file); }

  static int NewRandomAccessFile(void* state, const char* path, void** file, char** message) noexcept {
    return Run(message, [=] {
      RandomAccessFile* opened = nullptr;
      const Status status = Get(state)->NewRandomAccessFile(path, &opened);
      *file = opened;
      return status;
    });
  }

  static int RandomAccessRead(void* file, uint64_t offset, char* buffer, size_t length, size_t* read,
                              char** message) noexcept {
    return Run(message, [=] {
      Slice result;
      const Status status = static_cast<const RandomAccessFile*>(file)->Read(offset, length, &result, buffer);
      if (status.ok()) Deliver(result, buffer, length, read);
      return status;
    });
  }

  static void RandomAccessDestroy(void* file) noexcept { delete static_cast<RandomAccessFile*>(file); }

  static int NewWritableFile(void* state, const char* path, unsigned char append, void** file,
                             char** message) noexcept {
    return Run(message, [=] {
      WritableFile* opened = nullptr;
      const Status status = append != 0 ? Get(state)->NewAppendableFile(path, &opened)
                                        : Get(state)->NewWritableFile(path, &opened);
      *file = opened;
      return status;
    });
  }

  static int WritableAppend(void* file, const char* data, size_t length, char** message) noexcept {
    return Run(message, [=] { return static_cast<WritableFile*>(file)->Append(Slice(data, length)); });
  }
  static int WritableFlush(void* file, char** message) noexcept {
    return Run(message, [=] { return static_cast<WritableFile*>(file)->Flush(); });
  }
  static int WritableSync(void* file, char** message) noexcept {
    return Run(message, [=] { return static_cast<WritableFile*>(file)->Sync(); });
  }
  static int WritableClose(void* file, char** message) noexcept {
    return Run(message, [=] { return static_cast<WritableFile*>(file)->Close(); });
  }
  static void WritableDestroy(void* file) noexcept { delete static_cast<WritableFile*>(file); }

  static unsigned char FileExists(void* state, const char* path) noexcept {
    TERRACE_LEVELDB_TRY { return Get(state)->FileExists(path) ? 1 : 0; }
    TERRACE_LEVELDB_CATCH_ALL { return 0; }
  }

  static int GetChildren(void* state, const char* path, void* sink, void (*child)(void*, const char*, size_t),
                         char** message) noexcept {
    return Run(message, [=] {
      std::vector<std::string> names;
      const Status status = Get(state)->GetChildren(path, &names);
      for (const std::string& name : names) child(sink, name.data(), name.size());
      return status;
    });
  }

  static int RemoveFile(void* state, const char* path, char** message) noexcept {
    return Run(message, [=] { return Get(state)->RemoveFile(path); });
  }
  static int CreateDir(void* state, const char* path, char** message) noexcept {
    return Run(message, [=] { return Get(state)->CreateDir(path); });
  }
  static int RemoveDir(void* state, const char* path, char** message) noexcept {
    return Run(message, [=] { return Get(state)->RemoveDir(path); });
  }
  static int GetFileSize(void* state, const char* path, uint64_t* size, char** message) noexcept {
    return Run(message, [=] { return Get(state)->GetFileSize(path, size); });
  }
  static int RenameFile(void* state, const char* from, const char* to, char** message) noexcept {
    return Run(message, [=] { return Get(state)->RenameFile(from, to); });
  }

  static int LockFile(void* state, const char* path, void** lock, char** message) noexcept {
    return Run(message, [=] {
      FileLock* locked = nullptr;
      const Status status = Get(state)->LockFile(path, &locked);
      *lock = locked;
      return status;
    });
  }

  static void UnlockFile(void* state, void* lock) noexcept {
    TERRACE_LEVELDB_TRY { Get(state)->UnlockFile(static_cast<FileLock*>(lock)); }
    TERRACE_LEVELDB_CATCH_ALL {}
  }

  static uint64_t NowMicros(void* state) noexcept {
    TERRACE_LEVELDB_TRY { return Get(state)->NowMicros(); }
    TERRACE_LEVELDB_CATCH_ALL { return 0; }
  }

  static void SleepMicros(void* state, uint64_t micros) noexcept {
    TERRACE_LEVELDB_TRY {
      const uint64_t most = 1000000000;
      Get(state)->SleepForMicroseconds(static_cast<int>(micros < most ? micros : most));
    }
    TERRACE_LEVELDB_CATCH_ALL {}
  }

  // Creates a handle for C, which the caller destroys.
  static leveldb_env_t* Create(Env* env) {
    terrace_env_callbacks_t callbacks;
    callbacks.destructor = nullptr;
    callbacks.new_sequential_file = &NewSequentialFile;
    callbacks.sequential_file_read = &SequentialRead;
    callbacks.sequential_file_skip = &SequentialSkip;
    callbacks.sequential_file_destroy = &SequentialDestroy;
    callbacks.new_random_access_file = &NewRandomAccessFile;
    callbacks.random_access_file_read = &RandomAccessRead;
    callbacks.random_access_file_destroy = &RandomAccessDestroy;
    callbacks.new_writable_file = &NewWritableFile;
    callbacks.writable_file_append = &WritableAppend;
    callbacks.writable_file_flush = &WritableFlush;
    callbacks.writable_file_sync = &WritableSync;
    callbacks.writable_file_close = &WritableClose;
    callbacks.writable_file_destroy = &WritableDestroy;
    callbacks.file_exists = &FileExists;
    callbacks.get_children = &GetChildren;
    callbacks.remove_file = &RemoveFile;
    callbacks.create_dir = &CreateDir;
    callbacks.remove_dir = &RemoveDir;
    callbacks.get_file_size = &GetFileSize;
    callbacks.rename_file = &RenameFile;
    callbacks.lock_file = &LockFile;
    callbacks.unlock_file = &UnlockFile;
    callbacks.now_micros = &NowMicros;
    callbacks.sleep_micros = &SleepMicros;
    return terrace_env_create(env, &callbacks, nullptr);
  }
};

}  // namespace detail
TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_ENV_CALLBACKS_H_
