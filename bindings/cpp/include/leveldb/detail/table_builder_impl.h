// The C++ interface of a table builder, implemented by calls to C.

#ifndef TERRACE_LEVELDB_DETAIL_TABLE_BUILDER_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_TABLE_BUILDER_IMPL_H_

#include <cassert>

#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/c_options.h"
#include "leveldb/detail/env_callbacks.h"
#include "leveldb/detail/status_impl.h"
#include "leveldb/slice.h"
#include "leveldb/table_builder.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

struct TableBuilder::Rep {
  Rep(const Options& options, WritableFile* file)
      : c_options(options),
        comparator(options.comparator),
        builder(terrace_tablebuilder_create(c_options.get(), file, &detail::EnvCallbacks::WritableAppend,
                                            &detail::EnvCallbacks::WritableFlush, failure.out())),
        closed(false) {}
  ~Rep() { terrace_tablebuilder_destroy(builder); }

  const detail::COptions c_options;
  const Comparator* const comparator;
  detail::Failure failure;
  terrace_tablebuilder_t* const builder;
  bool closed;
};

TERRACE_LEVELDB_INLINE TableBuilder::TableBuilder(const Options& options, WritableFile* file)
    : rep_(new Rep(options, file)) {}

TERRACE_LEVELDB_INLINE TableBuilder::~TableBuilder() {
  assert(rep_->closed);
  delete rep_;
}

TERRACE_LEVELDB_INLINE Status TableBuilder::ChangeOptions(const Options& options) {
  if (options.comparator != rep_->comparator) {
    return Status::InvalidArgument("changing comparator while building table");
  }
  const detail::COptions changed(options);
  detail::Failure failure;
  terrace_tablebuilder_change_options(rep_->builder, changed.get(), failure.out());
  return failure.status();
}

TERRACE_LEVELDB_INLINE void TableBuilder::Add(const Slice& key, const Slice& value) {
  assert(!rep_->closed);
  detail::Failure failure;  // The builder keeps it for status().
  terrace_tablebuilder_add(rep_->builder, key.data(), key.size(), value.data(), value.size(), failure.out());
}

TERRACE_LEVELDB_INLINE void TableBuilder::Flush() {
  assert(!rep_->closed);
  detail::Failure failure;  // The builder keeps it for status().
  terrace_tablebuilder_flush(rep_->builder, failure.out());
}

TERRACE_LEVELDB_INLINE Status TableBuilder::status() const {
  detail::Failure failure;
  terrace_tablebuilder_get_error(rep_->builder, failure.out());
  return failure.status();
}

TERRACE_LEVELDB_INLINE Status TableBuilder::Finish() {
  assert(!rep_->closed);
  rep_->closed = true;
  detail::Failure failure;
  terrace_tablebuilder_finish(rep_->builder, failure.out());
  return failure.status();
}

TERRACE_LEVELDB_INLINE void TableBuilder::Abandon() {
  assert(!rep_->closed);
  rep_->closed = true;
}

TERRACE_LEVELDB_INLINE uint64_t TableBuilder::NumEntries() const {
  return terrace_tablebuilder_num_entries(rep_->builder);
}

TERRACE_LEVELDB_INLINE uint64_t TableBuilder::FileSize() const { return terrace_tablebuilder_file_size(rep_->builder); }

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_TABLE_BUILDER_IMPL_H_
