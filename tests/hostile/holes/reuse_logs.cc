// Opens a database with LevelDB's reuse_logs, which its C API does not have. Puts "behind0" to "behind9",
// each synced, and ends without closing the database. Prints "put NAME" for each acknowledged write.
//
//   reuse_logs DIRECTORY
#include <leveldb/db.h>
#include <leveldb/options.h>

#include <cstdio>
#include <string>
#include <unistd.h>

int main(int count, char **arguments) {
    leveldb::Options options;
    leveldb::WriteOptions synced;
    leveldb::DB *db = nullptr;
    options.reuse_logs = true;
    synced.sync = true;
    leveldb::Status status = leveldb::DB::Open(options, count > 1 ? arguments[1] : "", &db);
    if (!status.ok()) {
        std::fprintf(stderr, "%s\n", status.ToString().c_str());
        return 1;
    }
    for (int number = 0; number < 10; ++number) {
        const std::string key = "behind" + std::to_string(number);
        if (db->Put(synced, key, "v").ok()) {
            std::printf("put %s\n", key.c_str());
        }
    }
    std::fflush(stdout);
    _exit(0);
}
