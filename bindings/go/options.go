package terrace

// #include "capi.h"
import "C"

import (
	"bytes"
	"runtime/cgo"
	"unsafe"
)

// Options are the options of an open. The zero value opens an existing database with LevelDB's defaults; so
// does nil. A number of 0 means the default.
type Options struct {
	// CreateIfMissing creates the database if it is missing.
	CreateIfMissing bool
	// ErrorIfExists refuses to open a database that exists.
	ErrorIfExists bool
	// ParanoidChecks stops at the first damaged record or block instead of skipping it.
	ParanoidChecks bool
	// Comparator is the order of keys; nil is the order of bytes. It must be the one with which the database was
	// created.
	Comparator Comparator
	// WriteBufferSize is the size of a memtable, in bytes, at which it is flushed to a table. Default: 4 MiB.
	WriteBufferSize int
	// MaxOpenFiles is the number of descriptors that are kept open; tables that are read through mappings need
	// none. Default: 1000.
	MaxOpenFiles int
	// TableMetadataBudget limits the memory for indexes and filters of open tables, in bytes. All databases of a
	// process together take no more than the largest budget among them. Default: 512 MiB.
	TableMetadataBudget int
	// CacheSize is the size of the cache of uncompressed blocks, in bytes; negative: no cache. Default: 8 MiB.
	CacheSize int
	// BlockSize is the approximate size of a block of keys and values, in bytes before compression. Default: 4
	// KiB.
	BlockSize int
	// BlockRestartInterval is the number of keys from one that a block stores in full to the next. Default: 16.
	BlockRestartInterval int
	// MaxFileSize is the size of a table, in bytes, at which a compaction starts the next one. Default: 2 MiB.
	MaxFileSize int
	// Compression is the compression of new blocks. Default: AutoCompression.
	Compression Compression
	// CompressionLevel is 1 to 9 for zlib and raw deflate, negative or 1 to 22 for zstd. Default: 6, for zstd 1.
	CompressionLevel int
	// NoCompression stores blocks uncompressed and overrides Compression.
	NoCompression bool
	// BloomFilterBits adds LevelDB's bloom filter with this number of bits per key; 0: no filter.
	BloomFilterBits int
	// ReuseLogs appends to the last WAL and MANIFEST of a cleanly closed database instead of creating new ones
	// at open.
	ReuseLogs bool
	// NoSeekCompaction turns off the compaction of tables that many point look-ups probe without finding their
	// key.
	NoSeekCompaction bool
	// NoIdleCompaction turns off the compaction of level 0 while nothing is written.
	NoIdleCompaction bool
	// NoWholeTableFilter leaves out the filter that saves reads of tables without the key.
	NoWholeTableFilter bool
	// MaxWriteBufferNumber is the number of memtables, including the active one, that can be full before a
	// writer waits for a flush; at least 2. Default: 2, and as many more as fit into 12 MiB, up to 5.
	MaxWriteBufferNumber int
	// Level0CompactionTrigger is the number of level-0 files at which a compaction starts. Default: 4.
	Level0CompactionTrigger int
	// Level0SlowdownTrigger is the number of level-0 files at which writes are delayed. Default: 8.
	Level0SlowdownTrigger int
	// Level0StopTrigger is the number of level-0 files at which writes wait. Default: 12.
	Level0StopTrigger int
	// MaxBytesForLevelBase is the size of level 1, in bytes, above which it is compacted; each deeper level may
	// be ten times as large. Default: 10 MiB.
	MaxBytesForLevelBase uint64
	// MaxBackgroundCompactions is the number of compaction threads. Default: 1.
	MaxBackgroundCompactions int
	// MaxSubcompactions is the number of parallel subcompactions of a large compaction. Default: 2.
	MaxSubcompactions int
	// NoMmapReads reads tables by system calls instead of mappings: slower, but a failing disk is an error
	// instead of a SIGBUS.
	NoMmapReads bool
	// NoMmapWAL writes the WAL by system calls instead of a mapping.
	NoMmapWAL bool
	// Language says whether the directory may be switched to RocksDB's language, which column families need.
	// Default: MaySwitch.
	Language Language
	// CreateMissingColumnFamilies makes OpenFamilies create families that it names and that do not exist.
	CreateMissingColumnFamilies bool
	// MaxTotalWALSize is the size of all WALs together, in bytes, above which the column families that keep the
	// oldest one are flushed. Default: four times the bytes that the memtables of all families may have.
	MaxTotalWALSize uint64
}

// Language says whether a directory may leave LevelDB's language for RocksDB's. A directory that was switched
// is opened with any of these values.
type Language int

const (
	// MaySwitch: the directory is LevelDB's until a column family is created. That switches it for good: LevelDB
	// cannot open it any more, RocksDB can.
	MaySwitch Language = iota
	// LevelDBLanguage: the directory stays LevelDB's. Creating a column family is ErrNotSupported.
	LevelDBLanguage
	// RocksDBLanguage: a new database is created in RocksDB's language. An existing one is treated as by
	// MaySwitch.
	RocksDBLanguage
)

// Compression is the compression of new blocks. It does not affect reading: each block names its compression.
type Compression int

const (
	// AutoCompression is snappy, unless the directory has tables that use zlib or raw deflate. Then it is a
	// Minecraft world, and new tables use the same compression, because the game cannot read snappy.
	AutoCompression Compression = 0
	// SnappyCompression is snappy, whatever compression the existing tables use.
	SnappyCompression Compression = C.TERRACE_SNAPPY_COMPRESSION
	// ZlibCompression can be read by Minecraft's fork of LevelDB, but not by LevelDB.
	ZlibCompression Compression = C.TERRACE_ZLIB_COMPRESSION
	// RawDeflateCompression can be read by Minecraft's fork of LevelDB, but not by LevelDB.
	RawDeflateCompression Compression = C.TERRACE_RAW_DEFLATE_COMPRESSION
	// ZstdCompression can be read by LevelDB's main branch, but not by LevelDB 1.23.
	ZstdCompression Compression = C.TERRACE_ZSTD_COMPRESSION
)

// ReadOptions are the options of a read; nil: the defaults.
type ReadOptions struct {
	// Snapshot is the state to read; nil: the latest one.
	Snapshot *Snapshot
	// VerifyChecksums checks every block that is read from a file.
	VerifyChecksums bool
	// DontFillCache does not add blocks to the block cache: for scans over much data that is not read again.
	DontFillCache bool
}

// WriteOptions are the options of a write; nil: the defaults.
type WriteOptions struct {
	// Sync waits until the write and every write before it survive a power loss. (Every write that returned
	// survives the death of the process.)
	Sync bool
}

// Range is the keys from Start (included) to Limit (excluded); nil is no bound.
type Range struct {
	Start, Limit []byte
}

// Prefix returns the range of all keys that begin with prefix, in the order of bytes.
func Prefix(prefix []byte) *Range {
	for last := len(prefix) - 1; last >= 0; last-- {
		if prefix[last] < 0xff {
			limit := append([]byte(nil), prefix[:last+1]...)
			limit[last]++
			return &Range{Start: prefix, Limit: limit}
		}
	}
	return &Range{Start: prefix}
}

// order returns the function that compares keys, and whether it is a comparator in Go.
func (o *Options) order() (compare func(a, b []byte) int, calling bool) {
	if o != nil && o.Comparator != nil {
		return o.Comparator.Compare, true
	}
	return bytes.Compare, false
}

// handles are the C objects made from Options. They outlive the database.
type handles struct {
	options    *C.leveldb_options_t
	cache      *C.leveldb_cache_t
	filter     *C.leveldb_filterpolicy_t
	comparator *C.leveldb_comparator_t
	compare    cgo.Handle
	name       *C.char
}

func (o *Options) handles() *handles {
	if o == nil {
		o = new(Options)
	}
	h := &handles{options: C.leveldb_options_create()}
	c := h.options
	C.leveldb_options_set_create_if_missing(c, flag(o.CreateIfMissing))
	C.leveldb_options_set_error_if_exists(c, flag(o.ErrorIfExists))
	C.leveldb_options_set_paranoid_checks(c, flag(o.ParanoidChecks))
	o.setCompression(c)
	if o.CacheSize != 0 {
		h.cache = C.leveldb_cache_create_lru(C.size_t(max(o.CacheSize, 0)))
		C.leveldb_options_set_cache(c, h.cache)
	}
	if o.BloomFilterBits != 0 {
		h.filter = C.leveldb_filterpolicy_create_bloom(C.int(o.BloomFilterBits))
		C.leveldb_options_set_filter_policy(c, h.filter)
	}
	if o.Comparator != nil {
		h.compare = cgo.NewHandle(o.Comparator)
		h.name = C.CString(o.Comparator.Name())
		h.comparator = newComparator(h.compare, h.name)
		C.leveldb_options_set_comparator(c, h.comparator)
	}
	o.setSizes(c)
	o.setExtensions(c)
	return h
}

func (o *Options) setCompression(c *C.leveldb_options_t) {
	kind, level := C.int(C.TERRACE_AUTO_COMPRESSION), C.int(C.TERRACE_USUAL_COMPRESSION_LEVEL)
	switch {
	case o.NoCompression:
		kind = C.TERRACE_NO_COMPRESSION
	case o.Compression != AutoCompression:
		kind = C.int(o.Compression)
	}
	if o.CompressionLevel != 0 {
		level = C.int(min(max(o.CompressionLevel, -1<<31), 1<<31-1))
	}
	C.terrace_options_set_compression(c, kind, level)
}

func (o *Options) setSizes(c *C.leveldb_options_t) {
	size := func(set func(C.size_t), number int) {
		if number > 0 {
			set(C.size_t(number))
		}
	}
	count := func(set func(C.int), number int) {
		if number != 0 {
			set(C.int(min(max(number, -1<<31), 1<<31-1)))
		}
	}
	size(func(n C.size_t) { C.leveldb_options_set_write_buffer_size(c, n) }, o.WriteBufferSize)
	size(func(n C.size_t) { C.leveldb_options_set_block_size(c, n) }, o.BlockSize)
	size(func(n C.size_t) { C.leveldb_options_set_max_file_size(c, n) }, o.MaxFileSize)
	size(func(n C.size_t) { C.terrace_options_set_table_metadata_budget(c, n) }, o.TableMetadataBudget)
	count(func(n C.int) { C.leveldb_options_set_max_open_files(c, n) }, o.MaxOpenFiles)
	count(func(n C.int) { C.leveldb_options_set_block_restart_interval(c, n) }, o.BlockRestartInterval)
	count(func(n C.int) { C.terrace_options_set_max_write_buffer_number(c, n) }, o.MaxWriteBufferNumber)
	count(func(n C.int) { C.terrace_options_set_level0_file_num_compaction_trigger(c, n) }, o.Level0CompactionTrigger)
	count(func(n C.int) { C.terrace_options_set_level0_slowdown_writes_trigger(c, n) }, o.Level0SlowdownTrigger)
	count(func(n C.int) { C.terrace_options_set_level0_stop_writes_trigger(c, n) }, o.Level0StopTrigger)
	count(func(n C.int) { C.terrace_options_set_max_background_compactions(c, n) }, o.MaxBackgroundCompactions)
	count(func(n C.int) { C.terrace_options_set_max_subcompactions(c, n) }, o.MaxSubcompactions)
	if o.MaxBytesForLevelBase > 0 {
		C.terrace_options_set_max_bytes_for_level_base(c, C.uint64_t(o.MaxBytesForLevelBase))
	}
}

func (o *Options) setExtensions(c *C.leveldb_options_t) {
	C.terrace_options_set_reuse_logs(c, flag(o.ReuseLogs))
	if o.NoSeekCompaction {
		C.terrace_options_set_seek_compaction(c, 0)
	}
	if o.NoIdleCompaction {
		C.terrace_options_set_idle_compaction(c, 0)
	}
	if o.NoWholeTableFilter {
		C.terrace_options_set_whole_table_filter(c, 0)
	}
	if o.NoMmapReads {
		C.terrace_options_set_mmap_reads(c, 0)
	}
	if o.NoMmapWAL {
		C.terrace_options_set_mmap_wal(c, 0)
	}
	switch o.Language {
	case LevelDBLanguage:
		C.terrace_options_set_language(c, C.TR_LANGUAGE_LEVELDB)
	case RocksDBLanguage:
		C.terrace_options_set_language(c, C.TR_LANGUAGE_ROCKSDB)
	default:
		C.terrace_options_set_language(c, C.TR_LANGUAGE_MAY_SWITCH)
	}
	C.terrace_options_set_create_missing_column_families(c, flag(o.CreateMissingColumnFamilies))
	C.terrace_options_set_max_total_wal_size(c, C.uint64_t(o.MaxTotalWALSize))
}

// destroy frees the handles. The database must be closed, or must never have been opened.
func (h *handles) destroy() {
	C.leveldb_options_destroy(h.options)
	if h.cache != nil {
		C.leveldb_cache_destroy(h.cache)
	}
	if h.filter != nil {
		C.leveldb_filterpolicy_destroy(h.filter)
	}
	if h.comparator != nil {
		C.leveldb_comparator_destroy(h.comparator)
		h.compare.Delete()
		C.free(unsafe.Pointer(h.name))
	}
}

// readOptionSets are the C read options of a state, one for each combination of VerifyChecksums and
// DontFillCache.
type readOptionSets [4]*C.leveldb_readoptions_t

func newReadOptionSets(snapshot *C.leveldb_snapshot_t) (sets readOptionSets) {
	for at := range sets {
		sets[at] = C.leveldb_readoptions_create()
		C.leveldb_readoptions_set_verify_checksums(sets[at], flag(at&1 != 0))
		C.leveldb_readoptions_set_fill_cache(sets[at], flag(at&2 == 0))
		if snapshot != nil {
			C.leveldb_readoptions_set_snapshot(sets[at], snapshot)
		}
	}
	return sets
}

func (sets *readOptionSets) of(options *ReadOptions) *C.leveldb_readoptions_t {
	at := 0
	if options != nil {
		if options.VerifyChecksums {
			at |= 1
		}
		if options.DontFillCache {
			at |= 2
		}
	}
	return sets[at]
}

func (sets *readOptionSets) destroy() {
	for _, options := range sets {
		C.leveldb_readoptions_destroy(options)
	}
}
