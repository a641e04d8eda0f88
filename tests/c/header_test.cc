// The headers in C++: they compile without a warning, and their functions have C linkage.
#include "terrace.h"

#include "leveldb/c.h"

int main() {
    leveldb_options_t *options = leveldb_options_create();
    leveldb_options_set_compression(options, leveldb_snappy_compression);
    leveldb_options_destroy(options);
    const terrace_error_t code = static_cast<terrace_error_t>(terrace_last_error_code());
    return code == TERRACE_OK && leveldb_minor_version() == 23 ? 0 : 1;
}
