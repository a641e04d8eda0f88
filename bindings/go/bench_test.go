package terrace_test

import (
	"testing"

	"terrace"
)

const benchEntries = 100_000

func benchDB(b *testing.B) *terrace.DB {
	db := open(b, &terrace.Options{CacheSize: 64 << 20})
	value := make([]byte, 100)
	for i := range benchEntries {
		must(b, db.Put(key(i), value, nil))
	}
	must(b, db.CompactRange(nil))
	return db
}

func BenchmarkGet(b *testing.B) {
	db := benchDB(b)
	var i int
	for b.Loop() {
		_, err := db.Get(key(i*7919%benchEntries), nil)
		must(b, err)
		i++
	}
}

func BenchmarkGetTo(b *testing.B) {
	db := benchDB(b)
	buffer := make([]byte, 0, 4096)
	var i int
	for b.Loop() {
		_, err := db.GetTo(buffer, key(i*7919%benchEntries), nil)
		must(b, err)
		i++
	}
}

func BenchmarkGetMany100(b *testing.B) {
	db := benchDB(b)
	keys := make([][]byte, 100)
	var i int
	for b.Loop() {
		for at := range keys {
			keys[at] = key(i * 7919 % benchEntries)
			i++
		}
		_, err := db.GetMany(keys, nil)
		must(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/key")
}

func BenchmarkPut(b *testing.B) {
	db := open(b, nil)
	value := make([]byte, 100)
	var i int
	for b.Loop() {
		must(b, db.Put(key(i), value, nil))
		i++
	}
}

func BenchmarkBatchOf100(b *testing.B) {
	db := open(b, nil)
	value := make([]byte, 100)
	var batch terrace.Batch
	var i int
	for b.Loop() {
		batch.Clear()
		for range 100 {
			batch.Put(key(i), value)
			i++
		}
		must(b, db.Write(&batch, nil))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/entry")
}

func BenchmarkScan(b *testing.B) {
	db := benchDB(b)
	for b.Loop() {
		it := db.NewIterator(nil, nil)
		n := 0
		for range it.All() {
			n++
		}
		must(b, it.Close())
		if n != benchEntries {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEntries, "ns/entry")
}

func BenchmarkSeekAndTen(b *testing.B) {
	db := benchDB(b)
	it := db.NewIterator(nil, nil)
	defer it.Close()
	var i int
	for b.Loop() {
		it.Seek(key(i * 7919 % (benchEntries - 10)))
		for range 10 {
			it.Next()
		}
		i++
	}
}
