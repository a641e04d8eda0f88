package terrace_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"terrace"
)

func create(t testing.TB, db *terrace.DB, name string, options *terrace.Options) *terrace.Family {
	t.Helper()
	family, err := db.CreateFamily(name, options)
	must(t, err)
	return family
}

func expectValue(t testing.TB, family *terrace.Family, key, want string) {
	t.Helper()
	value, err := family.Get([]byte(key), nil)
	if want == "" && !errors.Is(err, terrace.ErrNotFound) || want != "" && (err != nil || string(value) != want) {
		t.Errorf("%s of %s: %q, %v, not %q", key, family.Name(), value, err, want)
	}
}

func expectKind(t testing.TB, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, not %v", what, err, kind)
	}
}

func TestFamiliesKeepTheirEntriesApart(t *testing.T) {
	db := open(t, nil)
	one, two := create(t, db, "one", nil), create(t, db, "two", &terrace.Options{BloomFilterBits: 10})
	must(t, db.Put([]byte("k"), []byte("of default"), nil))
	must(t, one.Put([]byte("k"), []byte("of one"), nil))
	must(t, two.Put([]byte("k"), []byte("of two"), &terrace.WriteOptions{Sync: true}))
	must(t, two.Put(nil, []byte("of the empty key"), nil))
	expectValue(t, db.DefaultFamily(), "k", "of default")
	expectValue(t, one, "k", "of one")
	expectValue(t, two, "k", "of two")
	expectValue(t, two, "", "of the empty key")
	must(t, one.Delete([]byte("k"), nil))
	must(t, one.Delete([]byte("k"), nil))
	expectValue(t, one, "k", "")
	expectValue(t, two, "k", "of two")
	if one.Name() != "one" || one.ID() == two.ID() || one.ID() == 0 || db.DefaultFamily().ID() != 0 || db.DefaultFamily().Name() != "default" {
		t.Error(one.Name(), one.ID(), two.ID())
	}
	if family, found := db.Family("two"); family != two || !found {
		t.Error(family, found)
	}
	if family, found := db.Family("default"); family != db.DefaultFamily() || !found {
		t.Error(family, found)
	}
	if family, found := db.Family("three"); family != nil || found {
		t.Error(family, found)
	}
}

func TestFamiliesHaveNames(t *testing.T) {
	db := open(t, nil)
	create(t, db, "taken", nil)
	create(t, db, strings.Repeat("ü/ ", 100), nil)
	for _, name := range []string{"", "taken", "default", "a\x00b", strings.Repeat("x", 4097)} {
		family, err := db.CreateFamily(name, nil)
		expectKind(t, fmt.Sprintf("%.10q", name), err, terrace.ErrInvalidArgument)
		if family != nil {
			t.Error(name)
		}
	}
}

func TestValuesOfFamiliesHaveAnySize(t *testing.T) {
	for _, order := range []terrace.Comparator{nil, new(byLength)} {
		db := open(t, nil)
		family := create(t, db, "family", &terrace.Options{Comparator: order})
		for _, size := range []int{0, 1, 511, 512, 513, 65536, 3 << 20} {
			value := bytes.Repeat([]byte{byte(size), 'x'}, size)[:size]
			must(t, family.Put([]byte("k"), value, nil))
			got, err := family.Get([]byte("k"), nil)
			if err != nil || got == nil || !bytes.Equal(got, value) {
				t.Errorf("%d: %d bytes, %v", size, len(got), err)
			}
			for _, room := range []int{0, 100, 5 << 20} {
				buffer := append(make([]byte, 0, 7+room), "before "...)
				got, err = family.GetTo(buffer, []byte("k"), nil)
				if err != nil || !bytes.Equal(got, append([]byte("before "), value...)) {
					t.Errorf("%d: %d bytes, %v", size, len(got), err)
				}
			}
		}
		if buffer, err := family.GetTo([]byte("kept"), []byte("no"), nil); string(buffer) != "kept" || !errors.Is(err, terrace.ErrNotFound) {
			t.Error(buffer, err)
		}
	}
}

func TestABatchOverFamiliesIsWrittenWhole(t *testing.T) {
	db := open(t, nil)
	texts, index := create(t, db, "texts", nil), create(t, db, "index", nil)
	var batch, other terrace.Batch
	batch.Put([]byte("a"), []byte("0"))
	batch.PutTo(texts, []byte("a"), []byte("1"))
	batch.PutTo(index, bytes.Repeat([]byte("k"), 200), bytes.Repeat([]byte("v"), 300))
	batch.PutTo(db.DefaultFamily(), []byte("b"), nil)
	other.DeleteFrom(texts, []byte("a"))
	other.DeleteFrom(db.DefaultFamily(), []byte("a"))
	batch.Append(&other)
	if batch.Len() != 6 {
		t.Error(batch.Len())
	}
	var replayed, ofDefault []string
	batch.ReplayFamilies(
		func(id uint32, key, value []byte) {
			replayed = append(replayed, fmt.Sprintf("put %d %d %d", id, len(key), len(value)))
		},
		func(id uint32, key []byte) { replayed = append(replayed, fmt.Sprintf("delete %d %d", id, len(key))) },
	)
	want := []string{"put 0 1 1", fmt.Sprintf("put %d 1 1", texts.ID()), fmt.Sprintf("put %d 200 300", index.ID()),
		"put 0 1 0", fmt.Sprintf("delete %d 1", texts.ID()), "delete 0 1"}
	if !slices.Equal(replayed, want) {
		t.Errorf("%q", replayed)
	}
	batch.Replay(
		func(key, value []byte) { ofDefault = append(ofDefault, "put "+string(key)) },
		func(key []byte) { ofDefault = append(ofDefault, "delete "+string(key)) },
	)
	if !slices.Equal(ofDefault, []string{"put a", "put b", "delete a"}) {
		t.Errorf("%q", ofDefault)
	}
	must(t, db.Write(&batch, nil))
	must(t, db.Write(&batch, nil)) // again
	expectValue(t, texts, "a", "")
	expectValue(t, index, strings.Repeat("k", 200), strings.Repeat("v", 300))
	expectValue(t, db.DefaultFamily(), "a", "")
	if has, err := db.Has([]byte("b"), nil); !has || err != nil {
		t.Error(has, err)
	}

	// One write to a dropped family refuses all.
	must(t, db.DropFamily(index))
	batch.Clear()
	batch.PutTo(texts, []byte("c"), []byte("1"))
	batch.DeleteFrom(index, []byte("c"))
	expectKind(t, "a dropped family", db.Write(&batch, nil), terrace.ErrInvalidArgument)
	expectValue(t, texts, "c", "")
}

func TestEveryOpenNamesTheFamilies(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := terrace.Open(path, &terrace.Options{CreateIfMissing: true})
	must(t, err)
	if names, err := terrace.ListFamilies(path, nil); err != nil || !slices.Equal(names, []string{"default"}) {
		t.Error(names, err)
	}
	must(t, create(t, db, "one", nil).Put([]byte("k"), []byte("of one"), nil))
	two := create(t, db, "two", nil)
	must(t, two.Put([]byte("k"), []byte("of two"), nil))
	names, err := terrace.ListFamilies(path, nil) // while it is open
	if err != nil || !slices.Equal(names, []string{"default", "one", "two"}) {
		t.Error(names, err)
	}
	must(t, db.Close())

	_, err = terrace.Open(path, nil)
	expectKind(t, "Open", err, terrace.ErrInvalidArgument)
	if err == nil || !strings.Contains(err.Error(), "one") || !strings.Contains(err.Error(), "two") {
		t.Error("the missing families are not named:", err)
	}
	_, _, err = terrace.OpenFamilies(path, nil, []terrace.FamilyOptions{{Name: "two"}})
	expectKind(t, "a family left out", err, terrace.ErrInvalidArgument)
	three := []terrace.FamilyOptions{{Name: "three"}, {Name: "two"}, {Name: "default"}, {Name: "one", Options: &terrace.Options{BlockSize: 1 << 10}}}
	_, families, err := terrace.OpenFamilies(path, nil, three)
	expectKind(t, "a family that does not exist", err, terrace.ErrInvalidArgument)
	if err == nil || !strings.Contains(err.Error(), "three") || families != nil {
		t.Error("the family that does not exist is not named:", err)
	}
	_, _, err = terrace.OpenFamilies(path, nil, []terrace.FamilyOptions{{Name: "one"}, {Name: "one"}, {Name: "two"}})
	expectKind(t, "a family named twice", err, terrace.ErrInvalidArgument)
	_, _, err = terrace.OpenFamilies(path, nil, []terrace.FamilyOptions{{Name: "a\x00"}})
	expectKind(t, "a NUL byte", err, terrace.ErrInvalidArgument)

	db, families, err = terrace.OpenFamilies(path, &terrace.Options{CreateMissingColumnFamilies: true, MaxTotalWALSize: 1 << 20}, three)
	must(t, err)
	expectKind(t, "a locked database", func() error { _, _, err := terrace.OpenFamilies(path, nil, three); return err }(), terrace.ErrLocked)
	for at, each := range three {
		if found, known := db.Family(each.Name); !known || found != families[at] || found.Name() != each.Name {
			t.Error(each.Name, found, known)
		}
	}
	expectValue(t, families[0], "k", "")
	expectValue(t, families[1], "k", "of two")
	expectValue(t, families[3], "k", "of one")
	if families[1].ID() != two.ID() || families[2].ID() != 0 || families[0].ID() <= two.ID() {
		t.Error("other numbers than before")
	}
	for _, each := range families {
		if each.Name() != "default" {
			must(t, db.DropFamily(each))
		}
	}
	must(t, db.Close())
	db, err = terrace.Open(path, nil)
	must(t, err)
	must(t, db.Close())

	db, families, err = terrace.OpenFamilies(filepath.Join(t.TempDir(), "new"), &terrace.Options{CreateIfMissing: true}, nil)
	if err != nil || len(families) != 0 {
		t.Fatal(families, err)
	}
	must(t, db.Close())
	if _, err := terrace.ListFamilies(filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("a list of no database")
	}
}

func TestADroppedFamilyCanBeReadWhileItIsInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := terrace.Open(path, &terrace.Options{CreateIfMissing: true})
	must(t, err)
	defer db.Close()
	tables := func() int {
		count := 0
		for _, pattern := range []string{"*.ldb", "*.sst"} {
			found, err := filepath.Glob(filepath.Join(path, pattern))
			must(t, err)
			count += len(found)
		}
		return count
	}
	func() {
		family := create(t, db, "family", nil)
		for i := range 1000 {
			must(t, family.Put(key(i), make([]byte, 1000), nil))
		}
		must(t, db.Flush())
		it, unread := family.NewIterator(nil, nil), family.NewIterator(nil, nil)
		it.First()
		must(t, db.DropFamily(family))
		if again, found := db.Family("family"); found {
			t.Error(again)
		}
		if keys := collect(it); len(keys) != 1000 || it.Err() != nil {
			t.Error(len(keys), it.Err())
		}
		must(t, it.Close())
		if value, err := family.Get(key(999), nil); len(value) != 1000 || err != nil {
			t.Error(len(value), err)
		}
		after := family.NewIterator(nil, nil)
		if keys := collect(after); len(keys) != 1000 {
			t.Error(len(keys), after.Err())
		}
		must(t, after.Close())
		expectKind(t, "Put", family.Put(nil, nil, nil), terrace.ErrInvalidArgument)
		expectKind(t, "Delete", family.Delete(nil, nil), terrace.ErrInvalidArgument)
		expectKind(t, "DropFamily", db.DropFamily(family), terrace.ErrInvalidArgument)
		_, err := family.Property("leveldb.stats")
		expectKind(t, "Property", err, terrace.ErrNotFound)

		same := create(t, db, "family", nil)
		if same.ID() == family.ID() {
			t.Error("the number of a dropped family")
		}
		expectValue(t, same, string(key(1)), "")
		if found, _ := db.Family("family"); found != same {
			t.Error(found)
		}
		if tables() == 0 {
			t.Error("the tables are gone before their last reader")
		}
		must(t, unread.Close())
	}()
	for deadline := time.Now().Add(60 * time.Second); tables() > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the tables of a dropped family stay")
		}
		runtime.GC()
	}
	expectKind(t, "default", db.DropFamily(db.DefaultFamily()), terrace.ErrInvalidArgument)
}

func TestAFamilyOfAnotherDatabaseIsRefused(t *testing.T) {
	here, there := open(t, nil), open(t, nil)
	family, foreign := create(t, here, "family", nil), create(t, there, "family", nil)
	snapshot, err := there.NewSnapshot()
	must(t, err)
	defer snapshot.Release()
	expectKind(t, "DropFamily", here.DropFamily(foreign), terrace.ErrInvalidArgument)
	_, err = here.NewIterators([]*terrace.Family{family, foreign}, nil)
	expectKind(t, "NewIterators", err, terrace.ErrInvalidArgument)
	_, err = here.NewIterators([]*terrace.Family{family}, &terrace.ReadOptions{Snapshot: snapshot})
	expectKind(t, "a snapshot", err, terrace.ErrInvalidArgument)
	_, err = family.Get([]byte("k"), &terrace.ReadOptions{Snapshot: snapshot})
	expectKind(t, "a snapshot", err, terrace.ErrInvalidArgument)
	expectKind(t, "a snapshot", family.NewIterator(nil, &terrace.ReadOptions{Snapshot: snapshot}).Close(), terrace.ErrInvalidArgument)

	var batch, other terrace.Batch
	batch.PutTo(family, []byte("k"), []byte("v"))
	expectKind(t, "Write", there.Write(&batch, nil), terrace.ErrInvalidArgument)
	must(t, here.Write(&batch, nil))
	other.Put([]byte("k"), []byte("v"))
	other.PutTo(there.DefaultFamily(), []byte("k"), []byte("v"))
	both := other
	both.DeleteFrom(family, []byte("k"))
	expectKind(t, "two databases", there.Write(&both, nil), terrace.ErrInvalidArgument)
	batch.Append(&other)
	expectKind(t, "two databases", here.Write(&batch, nil), terrace.ErrInvalidArgument)
	var third terrace.Batch
	third.Append(&batch)
	expectKind(t, "two databases", here.Write(&third, nil), terrace.ErrInvalidArgument)
	third.Clear()
	third.Append(&other)
	must(t, there.Write(&third, nil))
	expectValue(t, family, "k", "v")
	expectValue(t, there.DefaultFamily(), "k", "v")
	expectValue(t, foreign, "k", "")
}

func TestFamiliesEndWithTheirDatabase(t *testing.T) {
	db := open(t, nil)
	family := create(t, db, "family", nil)
	it := family.NewIterator(nil, nil)
	var batch terrace.Batch
	batch.PutTo(family, []byte("k"), []byte("v"))
	must(t, db.Close())
	it.First()
	ofDefault := db.DefaultFamily()
	for _, each := range []*terrace.Family{family, ofDefault} {
		_, getErr := each.Get(nil, nil)
		_, propertyErr := each.Property("leveldb.stats")
		_, sizesErr := each.ApproximateSizes([]terrace.Range{{}})
		for name, err := range map[string]error{
			"Put": each.Put(nil, nil, nil), "Delete": each.Delete(nil, nil), "Get": getErr, "Property": propertyErr,
			"ApproximateSizes": sizesErr, "CompactRange": each.CompactRange(nil), "DropFamily": db.DropFamily(each),
			"NewIterator": each.NewIterator(nil, nil).Close(), "Write": db.Write(&batch, nil), "iterator": it.Err(),
		} {
			expectKind(t, name, err, terrace.ErrClosed)
		}
	}
	_, err := db.CreateFamily("other", &terrace.Options{Comparator: new(byLength)})
	expectKind(t, "CreateFamily", err, terrace.ErrClosed)
	_, err = db.NewIterators([]*terrace.Family{family}, nil)
	expectKind(t, "NewIterators", err, terrace.ErrClosed)
	if family.Name() != "family" || family.ID() == 0 || ofDefault.Name() != "default" {
		t.Error(family.Name(), family.ID(), ofDefault.Name())
	}
}

func TestTheLanguageOfADirectory(t *testing.T) {
	db := open(t, &terrace.Options{Language: terrace.LevelDBLanguage})
	_, err := db.CreateFamily("family", nil)
	expectKind(t, "a family in LevelDB's language", err, terrace.ErrNotSupported)
	language := func(db *terrace.DB) string {
		text, err := db.DefaultFamily().Property("terrace.language")
		must(t, err)
		return text
	}
	if got := language(db); got != "leveldb" {
		t.Error(got)
	}
	db = open(t, nil)
	if got := language(db); got != "leveldb" {
		t.Error(got)
	}
	create(t, db, "family", nil)
	if got := language(db); got != "rocksdb" {
		t.Error(got)
	}
	if got := language(open(t, &terrace.Options{Language: terrace.RocksDBLanguage})); got != "rocksdb" {
		t.Error(got)
	}
}

func TestTablesAreUpgraded(t *testing.T) {
	db := open(t, nil)
	must(t, db.Put([]byte("key"), []byte("value"), nil))
	must(t, db.Flush())
	expectKind(t, "an upgrade in LevelDB's language", db.UpgradeTables(), terrace.ErrInvalidArgument)
	create(t, db, "family", nil)
	must(t, db.UpgradeTables())
	if left, err := db.Property("terrace.tables-to-upgrade"); left != "0" || err != nil {
		t.Error(left, err)
	}
	if value, err := db.Get([]byte("key"), nil); string(value) != "value" || err != nil {
		t.Error(value, err)
	}
	must(t, db.Close())
	expectKind(t, "an upgrade of a closed database", db.UpgradeTables(), terrace.ErrClosed)
}

func TestASnapshotIsOfAllFamilies(t *testing.T) {
	db := open(t, nil)
	family := create(t, db, "family", nil)
	must(t, family.Put([]byte("k"), []byte("before"), nil))
	snapshot, err := db.NewSnapshot()
	must(t, err)
	must(t, family.Put([]byte("k"), []byte("after"), nil))
	must(t, family.Put([]byte("new"), nil, nil))
	then := &terrace.ReadOptions{Snapshot: snapshot, VerifyChecksums: true}
	if value, err := family.Get([]byte("k"), then); string(value) != "before" || err != nil {
		t.Error(value, err)
	}
	it := family.NewIterator(nil, then)
	if keys := collect(it); !slices.Equal(keys, []string{"k"}) {
		t.Error(keys)
	}
	must(t, it.Close())
	iterators, err := db.NewIterators([]*terrace.Family{db.DefaultFamily(), family}, then)
	must(t, err)
	if a, b := collect(iterators[0]), collect(iterators[1]); len(a) != 0 || !slices.Equal(b, []string{"k"}) {
		t.Error(a, b)
	}
	for _, each := range iterators {
		must(t, each.Close())
	}
	snapshot.Release()
	_, err = family.Get([]byte("k"), then)
	expectKind(t, "a released snapshot", err, terrace.ErrClosed)
}

// Every batch writes one number into all families, so that iterators of one state show the same number.
func TestIteratorsOverFamiliesAreOfOneState(t *testing.T) {
	db := open(t, &terrace.Options{WriteBufferSize: 64 << 10})
	families := []*terrace.Family{create(t, db, "one", nil), create(t, db, "two", nil), db.DefaultFamily()}
	write := func(number int) {
		var batch terrace.Batch
		for _, each := range families {
			batch.PutTo(each, []byte("number"), fmt.Append(nil, number))
			batch.PutTo(each, key(number), make([]byte, 500))
		}
		must(t, db.Write(&batch, nil))
	}
	write(0)
	var writing sync.WaitGroup
	writing.Add(1)
	go func() {
		defer writing.Done()
		for number := range 2000 {
			write(number)
		}
	}()
	for range 300 {
		iterators, err := db.NewIterators(families, nil)
		must(t, err)
		var numbers []string
		for _, each := range iterators {
			if !each.Seek([]byte("number")) {
				t.Error(each.Err())
			}
			numbers = append(numbers, string(each.Value()))
			must(t, each.Close())
		}
		if len(slices.Compact(numbers)) != 1 {
			t.Fatal(numbers)
		}
	}
	writing.Wait()
	if iterators, err := db.NewIterators(nil, nil); len(iterators) != 0 || err != nil {
		t.Error(iterators, err)
	}
}

func TestMaintenanceOfAFamily(t *testing.T) {
	db := open(t, &terrace.Options{NoCompression: true})
	family := create(t, db, "family", &terrace.Options{NoCompression: true, WriteBufferSize: 128 << 10, MaxFileSize: 1 << 20})
	for i := range 5000 {
		must(t, family.Put(key(i), make([]byte, 100), nil))
	}
	must(t, db.Flush())
	ranges := []terrace.Range{{Limit: key(2500)}, {Start: key(2500), Limit: key(5000)}}
	sizes, err := family.ApproximateSizes(ranges)
	if err != nil || sizes[0] < 200_000 || sizes[1] < 200_000 {
		t.Error(sizes, err)
	}
	if sizes, err = db.ApproximateSizes(ranges); err != nil || sizes[0] != 0 {
		t.Error(sizes, err)
	}
	for i := range 5000 {
		must(t, family.Delete(key(i), nil))
	}
	must(t, family.CompactRange(terrace.Prefix([]byte("key"))))
	must(t, family.CompactRange(nil))
	if sizes, err = family.ApproximateSizes(ranges); err != nil || sizes[0] != 0 {
		t.Error(sizes, err)
	}
	stats, err := family.Property("leveldb.stats")
	if err != nil || !strings.Contains(stats, "Compactions") {
		t.Error(stats, err)
	}
	for _, name := range []string{"no.such", "a\x00b"} {
		if _, err := family.Property(name); err == nil {
			t.Error(name)
		}
	}
}

// A family with an order in Go is created while other goroutines write: their calls into C begin to call back.
func TestFamiliesHaveTheirOwnOrders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	db, err := terrace.Open(path, &terrace.Options{CreateIfMissing: true, WriteBufferSize: 64 << 10})
	must(t, err)
	plain := create(t, db, "plain", nil)
	var working, ended sync.WaitGroup
	stop := make(chan struct{})
	for _, family := range []*terrace.Family{plain, db.DefaultFamily()} {
		working.Add(1)
		ended.Add(1)
		go func() {
			defer ended.Done()
			for i := 0; ; i++ {
				if err := family.Put(key(i%1000), make([]byte, 100), nil); err != nil {
					t.Error(err)
				}
				if i == 100 {
					working.Done()
				}
				select {
				case <-stop:
					if i > 100 {
						return
					}
				default:
				}
			}
		}()
	}
	working.Wait()
	ordered := create(t, db, "ordered", &terrace.Options{Comparator: new(byLength), WriteBufferSize: 64 << 10})
	var batch terrace.Batch
	for i := range 3000 {
		must(t, ordered.Put(fmt.Append(nil, i), []byte("v"), nil))
		batch.PutTo(ordered, fmt.Append(nil, 3000+i), []byte("v"))
		batch.PutTo(plain, fmt.Append(nil, i), []byte("v"))
	}
	must(t, db.Write(&batch, nil))
	close(stop)
	ended.Wait()
	check := func(ordered, plain *terrace.Family) {
		bounds := &terrace.Range{Start: []byte("9"), Limit: []byte("12")}
		it := ordered.NewIterator(bounds, nil)
		if got := collect(it); !slices.Equal(got, []string{"9", "10", "11"}) {
			t.Error(got)
		}
		if !it.Seek([]byte("1")) || string(it.Key()) != "9" {
			t.Errorf("%q", it.Key())
		}
		must(t, it.Close())
		it = plain.NewIterator(&terrace.Range{Start: []byte("11"), Limit: []byte("9")}, nil)
		if !it.Seek([]byte("1")) || string(it.Key()) != "11" {
			t.Errorf("%q", it.Key())
		}
		must(t, it.Close())
		expectValue(t, ordered, "5999", "v")
		expectValue(t, ordered, "6000", "")
	}
	check(ordered, plain)
	must(t, ordered.CompactRange(nil))
	check(ordered, plain)
	must(t, db.Close())
	_, _, err = terrace.OpenFamilies(path, nil, []terrace.FamilyOptions{{Name: "ordered"}, {Name: "plain"}})
	expectKind(t, "another order", err, terrace.ErrInvalidArgument)
	db, families, err := terrace.OpenFamilies(path, nil, []terrace.FamilyOptions{{Name: "ordered", Options: &terrace.Options{Comparator: new(byLength)}}, {Name: "plain"}})
	must(t, err)
	check(families[0], families[1])
	must(t, families[0].Put([]byte("6000"), []byte("v"), nil))
	must(t, db.Close())

	// The options of a family that is named default are those of the default family.
	path = filepath.Join(t.TempDir(), "db")
	db, families, err = terrace.OpenFamilies(path, &terrace.Options{CreateIfMissing: true}, []terrace.FamilyOptions{{Name: "default", Options: &terrace.Options{Comparator: new(byLength)}}})
	must(t, err)
	for i := range 100 {
		must(t, db.Put(fmt.Append(nil, i), []byte("v"), nil))
	}
	for _, it := range []*terrace.Iterator{db.NewIterator(&terrace.Range{Start: []byte("9")}, nil), families[0].NewIterator(&terrace.Range{Start: []byte("9")}, nil)} {
		if !it.Seek([]byte("1")) || string(it.Key()) != "9" || !it.Next() || string(it.Key()) != "10" {
			t.Errorf("%q", it.Key())
		}
		must(t, it.Close())
	}
	must(t, db.Close())
}

func TestClosingWhileFamiliesAreAtWork(t *testing.T) {
	for range 5 {
		db := open(t, &terrace.Options{WriteBufferSize: 64 << 10})
		family, other := create(t, db, "family", nil), create(t, db, "other", nil)
		var working, ended sync.WaitGroup
		work := func(call func(i int) error) {
			working.Add(1)
			ended.Add(1)
			go func() {
				defer ended.Done()
				for i := 0; ; i++ {
					err := call(i)
					if i == 5 {
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
		work(func(i int) error { return family.Put(key(i%1000), key(i), nil) })
		work(func(i int) error { return other.Delete(key(i%1000), nil) })
		work(func(i int) error {
			var batch terrace.Batch
			batch.PutTo(family, key(i%1000), key(i))
			batch.PutTo(other, key(i%1000), key(i))
			return db.Write(&batch, nil)
		})
		work(func(i int) error {
			if _, err := family.Get(key(i%1000), nil); !errors.Is(err, terrace.ErrNotFound) {
				return err
			}
			return nil
		})
		work(func(i int) error {
			iterators, err := db.NewIterators([]*terrace.Family{family, other}, nil)
			for _, it := range iterators {
				it.First()
				if closeErr := it.Close(); err == nil {
					err = closeErr
				}
			}
			return err
		})
		work(func(i int) error {
			options := &terrace.Options{}
			if i%4 == 3 {
				options.Comparator = new(byLength)
			}
			own, err := db.CreateFamily("own", options)
			if err != nil {
				return err
			}
			if err := own.Put(key(i), nil, nil); err != nil {
				return err
			}
			return db.DropFamily(own)
		})
		work(func(i int) error {
			if own, found := db.Family("own"); found {
				it := own.NewIterator(nil, nil)
				it.First()
				if err := it.Close(); err != nil {
					return err
				}
			}
			return db.DefaultFamily().Put(key(i%1000), nil, nil)
		})
		working.Wait()
		must(t, db.Close())
		ended.Wait()
	}
}

// Families do not keep their database open, and the garbage collector releases both.
func TestForgottenFamiliesAreReleased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	func() {
		db, err := terrace.Open(path, &terrace.Options{CreateIfMissing: true})
		must(t, err)
		create(t, db, "family", &terrace.Options{CacheSize: 1 << 20, BloomFilterBits: 10, Comparator: new(byLength)})
		for i := range 20 {
			family := create(t, db, fmt.Sprint("dropped ", i), nil)
			must(t, family.Put(key(i), nil, nil))
			must(t, db.DropFamily(family))
			family.NewIterator(nil, nil).Next()
			db.DefaultFamily().NewIterator(nil, nil).Next()
		}
	}()
	families := []terrace.FamilyOptions{{Name: "family", Options: &terrace.Options{Comparator: new(byLength)}}}
	for deadline := time.Now().Add(60 * time.Second); ; {
		runtime.GC()
		db, _, err := terrace.OpenFamilies(path, nil, families)
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

// Random operations on several families and as many maps, with reopening, creating and dropping.
func TestFamiliesAnswerAsMapsDo(t *testing.T) {
	for _, seed := range []uint64{21, 22, 23} {
		random := rand.New(rand.NewPCG(seed, 0))
		path := filepath.Join(t.TempDir(), "db")
		options := &terrace.Options{CreateIfMissing: true, WriteBufferSize: 64 << 10, MaxTotalWALSize: 512 << 10}
		db, err := terrace.Open(path, options)
		must(t, err)
		names := []string{"default"}
		models := map[string]map[string]string{"default": {}}
		family := func(name string) *terrace.Family {
			family, found := db.Family(name)
			if !found {
				t.Fatal(name)
			}
			return family
		}
		for step := range 5000 {
			name := names[random.IntN(len(names))]
			f, model := family(name), models[name]
			k := key(random.IntN(300))
			switch random.IntN(12) {
			case 0, 1, 2, 3:
				v := strings.Repeat("x", 1+random.IntN(2000))
				must(t, f.Put(k, []byte(v), nil))
				model[string(k)] = v
			case 4:
				must(t, f.Delete(k, nil))
				delete(model, string(k))
			case 5, 6:
				var batch terrace.Batch
				for range random.IntN(20) {
					k, name := key(random.IntN(300)), names[random.IntN(len(names))]
					if random.IntN(3) == 0 {
						batch.DeleteFrom(family(name), k)
						delete(models[name], string(k))
					} else {
						batch.PutTo(family(name), k, k)
						models[name][string(k)] = string(k)
					}
				}
				must(t, db.Write(&batch, nil))
			case 7:
				if random.IntN(50) == 0 {
					must(t, db.Close())
					var all []terrace.FamilyOptions
					for _, name := range names[1:] {
						all = append(all, terrace.FamilyOptions{Name: name, Options: options})
					}
					db, _, err = terrace.OpenFamilies(path, options, all)
					must(t, err)
				}
			case 8:
				if random.IntN(20) == 0 {
					name := fmt.Sprint("family ", step)
					create(t, db, name, options)
					names, models[name] = append(names, name), map[string]string{}
				} else if at := random.IntN(len(names)); at > 0 && random.IntN(20) == 0 {
					must(t, db.DropFamily(family(names[at])))
					delete(models, names[at])
					names = slices.Delete(names, at, at+1)
				}
			case 9:
				if random.IntN(20) == 0 {
					seen := 0
					it := f.NewIterator(nil, nil)
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
				v, err := f.Get(k, nil)
				want, found := model[string(k)]
				if found != (err == nil) || string(v) != want {
					t.Fatalf("seed %d, step %d: %q, %v", seed, step, k, err)
				}
			}
		}
		must(t, db.Close())
	}
}
