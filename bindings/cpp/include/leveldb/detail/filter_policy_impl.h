// The built-in filter policy, and passing a policy of C++ to C.

#ifndef TERRACE_LEVELDB_DETAIL_FILTER_POLICY_IMPL_H_
#define TERRACE_LEVELDB_DETAIL_FILTER_POLICY_IMPL_H_

#include <cstdlib>
#include <vector>

#include "leveldb/detail/c_functions.h"
#include "leveldb/detail/comparator_impl.h"
#include "leveldb/detail/natives.h"
#include "leveldb/filter_policy.h"
#include "leveldb/slice.h"

TERRACE_LEVELDB_NAMESPACE_BEGIN

TERRACE_LEVELDB_INLINE FilterPolicy::~FilterPolicy() = default;

namespace detail {

class BloomFilterPolicyImpl final : public FilterPolicy {
 public:
  explicit BloomFilterPolicyImpl(int bits_per_key) : policy_(C().filterpolicy_create_bloom_(bits_per_key)) {
    Natives::Get().Add(this, policy_);
  }

  ~BloomFilterPolicyImpl() override {
    Natives::Get().Remove(this);
    C().filterpolicy_destroy_(policy_);
  }

  const char* Name() const override { return "leveldb.BuiltinBloomFilter2"; }

  void CreateFilter(const Slice* keys, int n, std::string* dst) const override {
    std::vector<const char*> pointers;
    std::vector<size_t> lengths;
    for (int i = 0; i < n; i++) {
      pointers.push_back(keys[i].data());
      lengths.push_back(keys[i].size());
    }
    size_t length = 0;
    char* filter = terrace_filterpolicy_create_filter(policy_, pointers.data(), lengths.data(), n, &length);
    if (filter == nullptr) return;
    dst->append(filter, length);
    std::free(filter);
  }

  bool KeyMayMatch(const Slice& key, const Slice& filter) const override {
    return terrace_filterpolicy_key_may_match(policy_, key.data(), key.size(), filter.data(), filter.size()) != 0;
  }

 private:
  leveldb_filterpolicy_t* const policy_;
};

// The callbacks for a policy of C++. The state is the policy.
struct FilterPolicyCallbacks {
  static const FilterPolicy* Get(void* state) { return static_cast<const FilterPolicy*>(state); }

  static const char* Name(void* state) noexcept { return Get(state)->Name(); }

  static char* CreateFilter(void* state, const char* const* keys, const size_t* lengths, int n,
                            size_t* filter_length) noexcept {
    std::vector<Slice> slices;
    slices.reserve(static_cast<size_t>(n));
    for (int i = 0; i < n; i++) slices.push_back(Slice(keys[i], lengths[i]));
    std::string filter;
    Get(state)->CreateFilter(slices.data(), n, &filter);
    *filter_length = filter.size();
    char* copy = MallocCopy(filter.data(), filter.size());
    if (copy == nullptr) std::abort();  // An empty filter would hide the keys.
    return copy;
  }

  static unsigned char KeyMayMatch(void* state, const char* key, size_t length, const char* filter,
                                   size_t filter_length) noexcept {
    TERRACE_LEVELDB_TRY { return Get(state)->KeyMayMatch(Slice(key, length), Slice(filter, filter_length)) ? 1 : 0; }
    TERRACE_LEVELDB_CATCH_ALL { return 1; }
  }

  // Creates a handle for C, which the caller destroys.
  static leveldb_filterpolicy_t* Create(const FilterPolicy* policy) {
    return C().filterpolicy_create_(const_cast<FilterPolicy*>(policy), nullptr, &CreateFilter, &KeyMayMatch, &Name);
  }
};

}  // namespace detail

TERRACE_LEVELDB_INLINE const FilterPolicy* NewBloomFilterPolicy(int bits_per_key) {
  return new detail::BloomFilterPolicyImpl(bits_per_key);
}

TERRACE_LEVELDB_NAMESPACE_END

#endif  // TERRACE_LEVELDB_DETAIL_FILTER_POLICY_IMPL_H_
