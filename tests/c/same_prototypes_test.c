/*
 * Our leveldb/c.h and LevelDB's own in one program: two different declarations of a function or a type do not
 * compile. (Another test checks that both have the same functions.) Enumerators cannot be declared twice, so
 * LevelDB's are renamed, and compared.
 */
#include "leveldb/c.h"

#undef STORAGE_LEVELDB_INCLUDE_C_H_
#define leveldb_no_compression theirs_no_compression
#define leveldb_snappy_compression theirs_snappy_compression
#include "/usr/include/leveldb/c.h"
#undef leveldb_no_compression
#undef leveldb_snappy_compression

_Static_assert((int)leveldb_no_compression == (int)theirs_no_compression, "no compression");
_Static_assert((int)leveldb_snappy_compression == (int)theirs_snappy_compression, "snappy");

int main(void) { return leveldb_major_version() == 1 ? 0 : 1; }
