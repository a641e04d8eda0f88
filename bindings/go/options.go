package terrace

// #include "capi.h"
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Options say how a database is opened. The zero value opens an existing database with LevelDB's defaults; so does nil.
// Numbers that are 0 stand for the default.
type Options struct {
	// CreateIfMissing makes a database where there is none.
	CreateIfMissing bool
	// ErrorIfExists refuses to open one that is there.
	ErrorIfExists bool
	// ParanoidChecks makes damage an error at once, instead of reading around it.
	ParanoidChecks bool
	// Comparator is the order of keys; nil is that of bytes. It must be the one that the database was made with.
	Comparator Comparator
	// WriteBufferSize is how many bytes of writes are gathered in memory before they become a table. Default: 4 MiB.
	WriteBufferSize int
	// MaxOpenFiles bounds the descriptors that are kept open; tables that are read through mappings hold none. Default: 1000.
	MaxOpenFiles int
	// TableMetadataBudget is how many bytes the indexes and filters of open tables may take. All databases of a process together
	// take no more than the largest of these. Default: 512 MiB.
	TableMetadataBudget int
	// CacheSize is how many bytes of uncompressed blocks are cached; negative: none. Default: 8 MiB.
	CacheSize int
	// BlockSize is about how many bytes of keys and values make a block. Default: 4 KiB.
	BlockSize int
	// BlockRestartInterval is after how many keys one is stored in full. Default: 16.
	BlockRestartInterval int
	// MaxFileSize is how many bytes a table file grows to. Default: 2 MiB.
	MaxFileSize int
	// Compression is how new blocks are compressed. Default: AutoCompression.
	Compression Compression
	// CompressionLevel is how hard: 1 to 9 of zlib and raw deflate, below 0 and 1 to 22 of zstd. Default: the usual level.
	CompressionLevel int
	// NoCompression stores blocks as they are, whatever Compression says.
	NoCompression bool
	// BloomFilterBits adds LevelDB's bloom filter of so many bits a key; 0: none.
	BloomFilterBits int
	// ReuseLogs goes on with the last log of a cleanly closed database instead of writing it to a table.
	ReuseLogs bool
	// NoSeekCompaction leaves tables alone that many reads had to look into in vain.
	NoSeekCompaction bool
	// NoIdleCompaction leaves level 0 alone while nothing is written.
	NoIdleCompaction bool
	// NoWholeTableFilter leaves out the filter that spares reads of tables without the key.
	NoWholeTableFilter bool
	// MaxWriteBufferNumber is how many memtables there may be before a writer waits for a flush; at least 2. Default: as many as
	// fit some memory, at most 5.
	MaxWriteBufferNumber int
	// Level0CompactionTrigger is at how many level-0 files a compaction starts. Default: 4.
	Level0CompactionTrigger int
	// Level0SlowdownTrigger is at how many level-0 files writes are delayed. Default: 8.
	Level0SlowdownTrigger int
	// Level0StopTrigger is at how many level-0 files writes wait. Default: 12.
	Level0StopTrigger int
	// MaxBytesForLevelBase is how many bytes level 1 holds; each deeper level holds ten times more. Default: 10 MiB.
	MaxBytesForLevelBase uint64
	// MaxBackgroundCompactions is how many threads compact. Default: 1.
	MaxBackgroundCompactions int
	// MaxSubcompactions is how many threads merge the parts of one large compaction. Default: 2.
	MaxSubcompactions int
	// NoMmapReads reads tables by system calls instead of mappings: slower, but a failing disk is an error and no signal.
	NoMmapReads bool
	// NoMmapWAL writes the log by system calls instead of a mapping.
	NoMmapWAL bool
}

// Compression is how blocks are compressed. They are read as they were written, whatever is set.
type Compression int

const (
	// AutoCompression is snappy; but where tables of zlib or raw deflate are found, which makes the directory a world of
	// Minecraft, that: the game reads no snappy.
	AutoCompression Compression = 0
	// SnappyCompression is snappy, whatever is found.
	SnappyCompression Compression = C.TERRACE_SNAPPY_COMPRESSION
	// ZlibCompression is for Minecraft's fork of LevelDB alone.
	ZlibCompression Compression = C.TERRACE_ZLIB_COMPRESSION
	// RawDeflateCompression is for Minecraft's fork of LevelDB alone.
	RawDeflateCompression Compression = C.TERRACE_RAW_DEFLATE_COMPRESSION
	// ZstdCompression is read by LevelDB's main branch, and not by LevelDB 1.23.
	ZstdCompression Compression = C.TERRACE_ZSTD_COMPRESSION
)

// ReadOptions say how something is read; nil: as is usual.
type ReadOptions struct {
	// Snapshot is the state to read; nil: the present one.
	Snapshot *Snapshot
	// VerifyChecksums checks every block that is read from a file.
	VerifyChecksums bool
	// DontFillCache leaves the block cache as it is: for scans of much that is not read again.
	DontFillCache bool
}

// WriteOptions say how something is written; nil: as is usual.
type WriteOptions struct {
	// Sync waits until the write, and every one before it, is durable: it survives a loss of power, not just the process.
	Sync bool
}

// Range is the keys from Start to before Limit; nil is no bound.
type Range struct {
	Start, Limit []byte
}

// Prefix is the range of all keys that begin with prefix, in the order of bytes.
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

// handles are the C objects behind Options, which outlive the database.
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
}

// destroy frees everything; the database is closed, or was never open.
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

// readOptionSets are the C options of a state, by whether checksums are verified and whether the cache is left alone.
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
