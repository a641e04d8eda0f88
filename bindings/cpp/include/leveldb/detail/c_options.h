// Passes options to C.

#ifndef TERRACE_LEVELDB_DETAIL_C_OPTIONS_H_
#define TERRACE_LEVELDB_DETAIL_C_OPTIONS_H_

#include "leveldb/cache.h"
#include "leveldb/comparator.h"
#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/comparator_impl.h"
#include "leveldb/detail/env_callbacks.h"
#include "leveldb/detail/filter_policy_impl.h"
#include "leveldb/detail/natives.h"
#include "leveldb/env.h"
#include "leveldb/filter_policy.h"
#include "leveldb/options.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN
namespace detail {

// The callback for a logger of C++. The state is the logger.
struct LoggerCallbacks {
  static void Take(void* state, const char* line, size_t length) noexcept {
    TERRACE_LEVELDB_TRY {
      const size_t shown = length > size_t{1} << 20 ? size_t{1} << 20 : length;
      Log(static_cast<Logger*>(state), "%.*s", static_cast<int>(shown), line);
    }
    TERRACE_LEVELDB_CATCH_ALL {}
  }
};

// Options of C, and the handles of the objects that they refer to. They must outlive the database or table
// opened with them.
class COptions {
 public:
  explicit COptions(const Options& options)
      : options_(C().options_create_()),
        comparator_(ComparatorCallbacks::Create(options.comparator)),
        filter_policy_(nullptr),
        logger_(nullptr),
        env_(nullptr) {
    C().options_set_create_if_missing_(options_, options.create_if_missing);
    C().options_set_error_if_exists_(options_, options.error_if_exists);
    C().options_set_paranoid_checks_(options_, options.paranoid_checks);
    C().options_set_write_buffer_size_(options_, options.write_buffer_size);
    C().options_set_max_open_files_(options_, options.max_open_files);
    C().options_set_block_size_(options_, options.block_size);
    C().options_set_block_restart_interval_(options_, options.block_restart_interval);
    C().options_set_max_file_size_(options_, options.max_file_size);
    C().options_set_compression_(options_, options.compression);
    terrace_options_set_reuse_logs(options_, options.reuse_logs);
    C().options_set_comparator_(options_, comparator_);
    // A cache that the program implements is not found here, and not used: see cache.h.
    C().options_set_cache_(options_, Natives::Get().Find<leveldb_cache_t>(options.block_cache));
    SetFilterPolicy(options.filter_policy);
    SetEnv(options.env);
    SetLogger(options.info_log);
  }

  COptions(const COptions&) = delete;
  COptions& operator=(const COptions&) = delete;

  ~COptions() {
    C().options_destroy_(options_);
    terrace_logger_destroy(logger_);
    C().filterpolicy_destroy_(filter_policy_);
    C().comparator_destroy_(comparator_);
    C().env_destroy_(env_);
  }

  leveldb_options_t* get() const { return options_; }

  // Does the program implement the Env?
  bool has_foreign_env() const { return env_ != nullptr; }

  void SetLogger(Logger* logger) {
    if (logger == nullptr) return;
    logger_ = terrace_logger_create(logger, nullptr, &LoggerCallbacks::Take);
    C().options_set_info_log_(options_, logger_);
  }

 private:
  void SetFilterPolicy(const FilterPolicy* policy) {
    if (policy == nullptr) return;
    leveldb_filterpolicy_t* native = Natives::Get().Find<leveldb_filterpolicy_t>(policy);
    if (native == nullptr) native = filter_policy_ = FilterPolicyCallbacks::Create(policy);
    C().options_set_filter_policy_(options_, native);
  }

  void SetEnv(Env* env) {
    if (env == nullptr || env == Env::Default()) return;
    leveldb_env_t* native = Natives::Get().Find<leveldb_env_t>(env);
    if (native == nullptr) native = env_ = EnvCallbacks::Create(env);
    C().options_set_env_(options_, native);
  }

  leveldb_options_t* const options_;
  leveldb_comparator_t* const comparator_;
  // Handles made from callbacks; NULL if the options have none, or an object of libterrace.
  leveldb_filterpolicy_t* filter_policy_;
  leveldb_logger_t* logger_;
  leveldb_env_t* env_;
};

}  // namespace detail
TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_C_OPTIONS_H_
