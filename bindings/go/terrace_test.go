package terrace_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"terrace"
)

func open(t testing.TB, options *terrace.Options) *terrace.DB {
	t.Helper()
	if options == nil {
		options = &terrace.Options{}
	}
	options.CreateIfMissing = true
	db, err := terrace.Open(filepath.Join(t.TempDir(), "db"), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func key(i int) []byte { return fmt.Appendf(nil, "key%06d", i) }

func fill(t testing.TB, db *terrace.DB, n int) {
	t.Helper()
	var batch terrace.Batch
	for i := range n {
		batch.Put(key(i), fmt.Appendf(nil, "value%d", i))
	}
	must(t, db.Write(&batch, nil))
}

func TestWhatIsPutIsThereUntilItIsDeleted(t *testing.T) {
	db := open(t, nil)
	must(t, db.Put([]byte("a"), []byte("1"), nil))
	must(t, db.Put([]byte("empty"), nil, &terrace.WriteOptions{Sync: true}))
	must(t, db.Put(nil, []byte("of the empty key"), nil))
	for _, want := range [][2]string{{"a", "1"}, {"empty", ""}, {"", "of the empty key"}} {
		value, err := db.Get([]byte(want[0]), nil)
		if err != nil || string(value) != want[1] || value == nil {
			t.Errorf("%q: %q, %v", want[0], value, err)
		}
	}
	must(t, db.Delete([]byte("a"), nil))
	must(t, db.Delete([]byte("a"), nil))
	if _, err := db.Get([]byte("a"), nil); !errors.Is(err, terrace.ErrNotFound) {
		t.Error(err)
	}
	has, err := db.Has([]byte("empty"), nil)
	if !has || err != nil {
		t.Error(has, err)
	}
	if has, err = db.Has([]byte("a"), nil); has || err != nil {
		t.Error(has, err)
	}
}

func TestValuesOfAnySizeCross(t *testing.T) {
	db := open(t, nil)
	for _, size := range []int{0, 1, 511, 512, 513, 65535, 65536, 3 << 20} {
		value := bytes.Repeat([]byte{byte(size)}, size)
		must(t, db.Put([]byte("k"), value, nil))
		got, err := db.Get([]byte("k"), nil)
		if err != nil || !bytes.Equal(got, value) {
			t.Errorf("%d: %d bytes, %v", size, len(got), err)
		}
		got, err = db.GetTo([]byte("before "), []byte("k"), nil)
		if err != nil || !bytes.Equal(got, append([]byte("before "), value...)) {
			t.Errorf("%d: %d bytes, %v", size, len(got), err)
		}
		it := db.NewIterator(nil, nil)
		if !it.Next() || !bytes.Equal(it.Value(), value) || it.Next() {
			t.Errorf("%d: %d bytes, %v", size, len(it.Value()), it.Err())
		}
		must(t, it.Close())
	}
	if buffer, err := db.GetTo([]byte("kept"), []byte("no"), nil); string(buffer) != "kept" || err == nil {
		t.Error(buffer, err)
	}
}

func TestABatchIsWrittenWhole(t *testing.T) {
	db := open(t, nil)
	var batch, other terrace.Batch
	must(t, db.Write(&batch, nil))
	batch.Put([]byte("a"), []byte("1"))
	batch.Put([]byte("b"), bytes.Repeat([]byte("x"), 300))
	other.Delete([]byte("a"))
	batch.Append(&other)
	batch.Append(&terrace.Batch{})
	if batch.Len() != 3 {
		t.Error(batch.Len())
	}
	var replayed []string
	batch.Replay(
		func(key, value []byte) { replayed = append(replayed, fmt.Sprintf("put %s %d", key, len(value))) },
		func(key []byte) { replayed = append(replayed, "delete "+string(key)) },
	)
	if want := []string{"put a 1", "put b 300", "delete a"}; !slices.Equal(replayed, want) {
		t.Error(replayed)
	}
	must(t, db.Write(&batch, nil))
	must(t, db.Write(&batch, nil)) // again
	values, err := db.GetMany([][]byte{[]byte("a"), []byte("b")}, nil)
	if err != nil || values[0] != nil || len(values[1]) != 300 {
		t.Error(values, err)
	}
	batch.Clear()
	if batch.Len() != 0 {
		t.Error(batch.Len())
	}
	var fresh terrace.Batch
	fresh.Append(&other)
	if fresh.Len() != 1 {
		t.Error(fresh.Len())
	}
}

func TestManyValuesComeInOneCall(t *testing.T) {
	db := open(t, nil)
	fill(t, db, 5000)
	must(t, db.Put([]byte("empty"), nil, nil))
	must(t, db.Put([]byte("large"), make([]byte, 2<<20), nil))
	keys := [][]byte{[]byte("large"), []byte("empty"), []byte("none"), []byte("large")}
	for i := range 5000 {
		keys = append(keys, key(4999-i))
	}
	keys = append(keys, []byte("large"), []byte("none"))
	values, err := db.GetMany(keys, nil)
	must(t, err)
	for i, k := range keys {
		want, err := db.Get(k, nil)
		if errors.Is(err, terrace.ErrNotFound) != (values[i] == nil) || !bytes.Equal(values[i], want) {
			t.Fatalf("%q: %d bytes, not %d", k, len(values[i]), len(want))
		}
	}
	if values, err := db.GetMany(nil, nil); values != nil || err != nil {
		t.Error(values, err)
	}
}

func collect(it *terrace.Iterator) (keys []string) {
	for k := range it.All() {
		keys = append(keys, string(k))
	}
	return keys
}

func TestIteratorsStayWithinTheirBounds(t *testing.T) {
	db := open(t, nil)
	for _, k := range []string{"", "a", "b", "ba", "bb", "c", "\xff", "\xff\xff"} {
		must(t, db.Put([]byte(k), []byte("v"+k), nil))
	}
	for _, test := range []struct {
		bounds *terrace.Range
		want   []string
	}{
		{nil, []string{"", "a", "b", "ba", "bb", "c", "\xff", "\xff\xff"}},
		{&terrace.Range{Start: []byte("b")}, []string{"b", "ba", "bb", "c", "\xff", "\xff\xff"}},
		{&terrace.Range{Limit: []byte("b")}, []string{"", "a"}},
		{&terrace.Range{Start: []byte("aa"), Limit: []byte("bb")}, []string{"b", "ba"}},
		{&terrace.Range{Start: []byte("c"), Limit: []byte("a")}, nil},
		{&terrace.Range{Limit: []byte{}}, nil},
		{terrace.Prefix([]byte("b")), []string{"b", "ba", "bb"}},
		{terrace.Prefix([]byte("\xff")), []string{"\xff", "\xff\xff"}},
		{terrace.Prefix(nil), []string{"", "a", "b", "ba", "bb", "c", "\xff", "\xff\xff"}},
	} {
		it := db.NewIterator(test.bounds, nil)
		if got := collect(it); !slices.Equal(got, test.want) {
			t.Errorf("%v: %q", test.bounds, got)
		}
		if it.Valid() || it.Key() != nil || it.Value() != nil || it.Next() {
			t.Error("it stands on an entry behind the last one")
		}
		var backward []string
		for k, v := range it.Backward() {
			backward = append(backward, string(k))
			if string(v) != "v"+string(k) {
				t.Errorf("%q: %q", k, v)
			}
		}
		slices.Reverse(backward)
		if !slices.Equal(backward, test.want) || it.Prev() {
			t.Errorf("%v backward: %q", test.bounds, backward)
		}
		must(t, it.Close())
		must(t, it.Close())
		if it.First() || !errors.Is(it.Err(), terrace.ErrClosed) {
			t.Error(it.Err())
		}
	}
}

// A model of sorted keys predicts where an iterator stands after any sequence of moves, for blocks of all
// sizes.
func TestIteratorsGoAsAModelDoes(t *testing.T) {
	const n = 3000
	for _, seed := range []uint64{1, 2, 3, 4} {
		random := rand.New(rand.NewPCG(seed, 0))
		db := open(t, &terrace.Options{WriteBufferSize: 64 << 10, BlockSize: 1 << 10})
		var keys []string
		for i := range n {
			size := random.IntN(100)
			if random.IntN(100) == 0 {
				size = random.IntN(100_000)
			}
			must(t, db.Put(key(i*2), make([]byte, size), nil))
			keys = append(keys, string(key(i*2)))
		}
		bounds := terrace.Range{Start: key(100), Limit: key(n*2 - 100)}
		begin := sort.SearchStrings(keys, string(bounds.Start))
		end := sort.SearchStrings(keys, string(bounds.Limit))
		it := db.NewIterator(&bounds, nil)
		at, unset := begin-1, true
		for step := range 30_000 {
			var ok bool
			switch move := random.IntN(100); {
			case move < 3:
				target := key(random.IntN(n * 2))
				ok, at = it.Seek(target), max(sort.SearchStrings(keys, string(target)), begin)
			case move < 4:
				ok, at = it.First(), begin
			case move < 5:
				ok, at = it.Last(), end-1
			case move%20 < 12 == (step/500%2 == 0):
				ok, at = it.Next(), min(at+1, end)
			case unset:
				ok, at = it.Prev(), end-1
			default:
				ok, at = it.Prev(), max(at-1, begin-1)
			}
			unset = false
			at = min(at, end)
			inside := at >= begin && at < end
			if ok != inside || it.Valid() != inside || inside && string(it.Key()) != keys[at] {
				t.Fatalf("seed %d, step %d: at %q, %v, not %d", seed, step, it.Key(), ok, at)
			}
		}
		must(t, it.Close())
	}
}

func TestEntriesStayValid(t *testing.T) {
	db := open(t, nil)
	fill(t, db, 3000)
	var keys [][]byte
	it := db.NewIterator(nil, nil)
	for k := range it.All() {
		keys = append(keys, k)
	}
	must(t, it.Close())
	runtime.GC()
	for i, k := range keys {
		if !bytes.Equal(k, key(i)) {
			t.Fatalf("%q", k)
		}
		_ = append(k, "overwrites nothing"...)
	}
}

func TestASnapshotStaysAsItIs(t *testing.T) {
	db := open(t, nil)
	fill(t, db, 10)
	snapshot, err := db.NewSnapshot()
	must(t, err)
	must(t, db.Delete(key(3), nil))
	must(t, db.Put(key(4), []byte("new"), nil))
	must(t, db.Put(key(11), []byte("new"), nil))
	if value, err := snapshot.Get(key(4)); string(value) != "value4" || err != nil {
		t.Error(value, err)
	}
	if has, err := snapshot.Has(key(3)); !has || err != nil {
		t.Error(has, err)
	}
	it := snapshot.NewIterator(nil)
	if got := collect(it); len(got) != 10 {
		t.Error(got)
	}
	must(t, it.Close())
	values, err := db.GetMany([][]byte{key(3), key(11)}, &terrace.ReadOptions{Snapshot: snapshot, VerifyChecksums: true})
	if err != nil || string(values[0]) != "value3" || values[1] != nil {
		t.Error(values, err)
	}
	other := open(t, nil)
	if _, err := other.Get(key(1), &terrace.ReadOptions{Snapshot: snapshot}); !errors.Is(err, terrace.ErrInvalidArgument) {
		t.Error(err)
	}
	snapshot.Release()
	snapshot.Release()
	if _, err := snapshot.Get(key(4)); !errors.Is(err, terrace.ErrClosed) {
		t.Error(err)
	}
}

func TestErrorsTellWhatTheyAre(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if _, err := terrace.Open(path, nil); !errors.Is(err, terrace.ErrInvalidArgument) {
		t.Error(err)
	}
	db, err := terrace.Open(path, &terrace.Options{CreateIfMissing: true})
	must(t, err)
	_, err = terrace.Open(path, nil)
	if !errors.Is(err, terrace.ErrLocked) || !errors.Is(err, terrace.ErrIO) || errors.Is(err, terrace.ErrCorruption) {
		t.Error(err)
	}
	if _, err := terrace.Open(path, &terrace.Options{ErrorIfExists: true}); err == nil {
		t.Error("it exists")
	}
	if _, err := terrace.Open("a\x00b", nil); !errors.Is(err, terrace.ErrInvalidArgument) {
		t.Error(err)
	}
	must(t, db.Put([]byte("a"), []byte("1"), nil))
	must(t, db.Flush())
	must(t, db.Close())
	must(t, db.Close())
	for name, err := range map[string]error{
		"Put": db.Put(nil, nil, nil), "Delete": db.Delete(nil, nil), "Write": db.Write(&terrace.Batch{}, nil),
		"Flush": db.Flush(), "CompactRange": db.CompactRange(nil), "Resume": db.Resume(),
		"NewIterator": db.NewIterator(nil, nil).Close(),
	} {
		if !errors.Is(err, terrace.ErrClosed) {
			t.Error(name, err)
		}
	}
	if _, err := db.Get(nil, nil); !errors.Is(err, terrace.ErrClosed) {
		t.Error(err)
	}
	tables, err := filepath.Glob(filepath.Join(path, "*.ldb"))
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	must(t, os.Truncate(tables[0], 10))
	db, err = terrace.Open(path, &terrace.Options{ParanoidChecks: true})
	if err == nil {
		_, err = db.Get([]byte("a"), nil)
		must(t, db.Close())
	}
	var failure *terrace.Error
	if !errors.Is(err, terrace.ErrCorruption) || !errors.As(err, &failure) || failure.Path != tables[0] {
		t.Errorf("%v: %+v", err, failure)
	}
	must(t, os.WriteFile(filepath.Join(t.TempDir(), "file"), nil, 0o600))
	_, err = terrace.Open("/proc/no/such/place", &terrace.Options{CreateIfMissing: true})
	if !errors.As(err, &failure) || failure.Errno != syscall.ENOENT || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v: %+v", err, failure)
	}
}

func TestRepairAndDestroy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := terrace.Open(path, &terrace.Options{CreateIfMissing: true})
	must(t, err)
	if err := terrace.Destroy(path, nil); !errors.Is(err, terrace.ErrLocked) {
		t.Error(err)
	}
	fill(t, db, 1000)
	must(t, db.Close())
	must(t, os.Remove(filepath.Join(path, "CURRENT")))
	if _, err := terrace.Open(path, nil); err == nil {
		t.Fatal("it opens without CURRENT")
	}
	must(t, terrace.Repair(path, nil))
	db, err = terrace.Open(path, nil)
	must(t, err)
	if value, err := db.Get(key(999), nil); string(value) != "value999" || err != nil {
		t.Error(value, err)
	}
	must(t, db.Close())
	must(t, terrace.Destroy(path, nil))
	// Files that the repair has moved to lost/ stay.
	if left, err := filepath.Glob(filepath.Join(path, "*")); err != nil || !slices.Equal(left, []string{filepath.Join(path, "lost")}) {
		t.Error(left, err)
	}
}

func TestCompressions(t *testing.T) {
	for _, compression := range []terrace.Compression{
		terrace.AutoCompression, terrace.SnappyCompression, terrace.ZlibCompression, terrace.RawDeflateCompression,
		terrace.ZstdCompression,
	} {
		db := open(t, &terrace.Options{Compression: compression, CompressionLevel: 3})
		fill(t, db, 2_000)
		must(t, db.CompactRange(nil))
		for i := range 2_000 {
			if value, err := db.Get(key(i), nil); err != nil || len(value) == 0 {
				t.Fatal(compression, i, value, err)
			}
		}
	}
}

func TestMaintenance(t *testing.T) {
	db := open(t, &terrace.Options{
		WriteBufferSize: 128 << 10, MaxOpenFiles: 100, TableMetadataBudget: 1 << 20, CacheSize: 1 << 20, BlockSize: 2 << 10, BlockRestartInterval: 8,
		MaxFileSize: 1 << 20, NoCompression: true, BloomFilterBits: 10, MaxBackgroundCompactions: 2, MaxSubcompactions: 1,
		MaxWriteBufferNumber: 3, NoIdleCompaction: true, NoMmapReads: true, NoMmapWAL: true,
	})
	fill(t, db, 20_000)
	must(t, db.Flush())
	sizes, err := db.ApproximateSizes([]terrace.Range{{Limit: key(10_000)}, {Start: key(10_000), Limit: key(20_000)}})
	if err != nil || sizes[0] < 100_000 || sizes[1] < 100_000 {
		t.Error(sizes, err)
	}
	for i := range 20_000 {
		must(t, db.Delete(key(i), nil))
	}
	must(t, db.CompactRange(terrace.Prefix([]byte("key"))))
	must(t, db.CompactRange(nil))
	if sizes, _ = db.ApproximateSizes([]terrace.Range{{Limit: []byte("z")}}); sizes[0] != 0 {
		t.Error(sizes)
	}
	stats, err := db.Property("leveldb.stats")
	if err != nil || !strings.Contains(stats, "Compactions") {
		t.Error(stats, err)
	}
	if _, err := db.Property("no.such"); !errors.Is(err, terrace.ErrNotFound) {
		t.Error(err)
	}
	if failure, err := db.BackgroundError(); failure != nil || err != nil {
		t.Error(failure, err)
	}
	must(t, db.Resume())
	if terrace.Version() == "" {
		t.Error("no version")
	}
}

type byLength struct {
	calls  atomic.Int64
	panics atomic.Bool
}

func (*byLength) Name() string { return "test.ByLength" }

func (o *byLength) Compare(a, b []byte) int {
	o.calls.Add(1)
	if o.panics.Load() {
		panic("no order for this")
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}

func TestAnOrderOfGo(t *testing.T) {
	order := new(byLength)
	path := filepath.Join(t.TempDir(), "db")
	db, err := terrace.Open(path, &terrace.Options{CreateIfMissing: true, Comparator: order, WriteBufferSize: 64 << 10})
	must(t, err)
	for i := range 5000 {
		must(t, db.Put(fmt.Append(nil, i), []byte("v"), nil))
	}
	must(t, db.CompactRange(nil))
	it := db.NewIterator(&terrace.Range{Start: []byte("9"), Limit: []byte("12")}, nil)
	if got := collect(it); !slices.Equal(got, []string{"9", "10", "11"}) {
		t.Error(got)
	}
	if !it.Seek([]byte("1")) || string(it.Key()) != "9" {
		t.Errorf("%q", it.Key())
	}
	must(t, it.Close())
	values, err := db.GetMany([][]byte{[]byte("4999"), []byte("5000")}, nil)
	if err != nil || values[0] == nil || values[1] != nil {
		t.Error(values, err)
	}
	must(t, db.Put([]byte("to compare with"), nil, nil))
	order.panics.Store(true)
	if err := db.Put([]byte("panic"), nil, nil); err == nil || !strings.Contains(err.Error(), "no order for this") {
		t.Error(err)
	}
	order.panics.Store(false)
	if err := db.Put([]byte("after"), nil, nil); err == nil {
		t.Error("a write after a comparator has failed")
	}
	must(t, db.Close())
	if _, err := terrace.Open(path, nil); !errors.Is(err, terrace.ErrInvalidArgument) {
		t.Error(err)
	}
	db, err = terrace.Open(path, &terrace.Options{Comparator: new(byLength)})
	must(t, err)
	must(t, db.Close())
	if order.calls.Load() == 0 {
		t.Error("it was never asked")
	}
}

func TestClosingWhileEverybodyIsAtWork(t *testing.T) {
	for range 10 {
		db := open(t, &terrace.Options{WriteBufferSize: 64 << 10})
		fill(t, db, 1000)
		snapshot, err := db.NewSnapshot()
		must(t, err)
		var working, ended sync.WaitGroup
		work := func(call func(i int) error) {
			working.Add(1)
			ended.Add(1)
			go func() {
				defer ended.Done()
				for i := 0; ; i++ {
					err := call(i)
					if i == 10 {
						working.Done()
					}
					if errors.Is(err, terrace.ErrClosed) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			}()
		}
		work(func(i int) error { return db.Put(key(i%1000), key(i), nil) })
		work(func(i int) error { _, err := db.Get(key(i%1000), nil); return err })
		work(func(i int) error { _, err := snapshot.Get(key(i % 1000)); return err })
		work(func(i int) error {
			it := db.NewIterator(nil, nil)
			for it.Next() {
			}
			return it.Close()
		})
		work(func(i int) error {
			own, err := db.NewSnapshot()
			if err == nil {
				own.Release()
			}
			return err
		})
		it := db.NewIterator(nil, nil)
		it.First()
		working.Wait()
		ended.Add(1)
		go func() { defer ended.Done(); db.Close() }()
		must(t, db.Close())
		ended.Wait()
		for it.Next() {
		}
		if !errors.Is(it.Err(), terrace.ErrClosed) {
			t.Error(it.Err())
		}
		it.Close()
		snapshot.Release()
	}
}

// Objects that are not closed are released by the garbage collector: the directory can be opened again.
func TestWhatIsForgottenIsReleased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	func() {
		db, err := terrace.Open(path, &terrace.Options{CreateIfMissing: true})
		must(t, err)
		fill(t, db, 1000)
		for range 100 {
			db.NewIterator(nil, nil).Next()
			_, err := db.NewSnapshot()
			must(t, err)
		}
	}()
	for deadline := time.Now().Add(60 * time.Second); ; {
		runtime.GC()
		db, err := terrace.Open(path, nil)
		if err == nil {
			must(t, db.Close())
			return
		}
		if !errors.Is(err, terrace.ErrLocked) || time.Now().After(deadline) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

// Random operations on a database and a map, with reopening.
func TestItAnswersAsAMapDoes(t *testing.T) {
	for _, seed := range []uint64{11, 12, 13} {
		random := rand.New(rand.NewPCG(seed, 0))
		path := filepath.Join(t.TempDir(), "db")
		options := &terrace.Options{CreateIfMissing: true, WriteBufferSize: 64 << 10}
		db, err := terrace.Open(path, options)
		must(t, err)
		model := make(map[string]string)
		for step := range 5000 {
			k := key(random.IntN(300))
			switch random.IntN(10) {
			case 0, 1, 2, 3:
				v := strings.Repeat("x", random.IntN(2000))
				must(t, db.Put(k, []byte(v), nil))
				model[string(k)] = v
			case 4:
				must(t, db.Delete(k, nil))
				delete(model, string(k))
			case 5:
				var batch terrace.Batch
				for range random.IntN(20) {
					k := key(random.IntN(300))
					if random.IntN(3) == 0 {
						batch.Delete(k)
						delete(model, string(k))
					} else {
						batch.Put(k, k)
						model[string(k)] = string(k)
					}
				}
				must(t, db.Write(&batch, nil))
			case 6:
				if random.IntN(50) == 0 {
					must(t, db.Close())
					db, err = terrace.Open(path, options)
					must(t, err)
				}
			case 7:
				if random.IntN(20) == 0 {
					seen := 0
					it := db.NewIterator(nil, nil)
					for k, v := range it.All() {
						if want, found := model[string(k)]; !found || want != string(v) {
							t.Fatalf("seed %d, step %d: %q", seed, step, k)
						}
						seen++
					}
					must(t, it.Close())
					if seen != len(model) {
						t.Fatalf("seed %d, step %d: %d entries, not %d", seed, step, seen, len(model))
					}
				}
			default:
				v, err := db.Get(k, nil)
				want, found := model[string(k)]
				if found != (err == nil) || string(v) != want {
					t.Fatalf("seed %d, step %d: %q, %v", seed, step, k, err)
				}
			}
		}
		must(t, db.Close())
	}
}
