package terrace_test

import (
	"errors"
	"fmt"
	"log"
	"os"

	"terrace"
)

func Example() {
	directory, err := os.MkdirTemp("", "terrace-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	db, err := terrace.Open(directory, &terrace.Options{CreateIfMissing: true})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	var batch terrace.Batch
	batch.Put([]byte("fruit/apple"), []byte("red"))
	batch.Put([]byte("fruit/pear"), []byte("green"))
	batch.Put([]byte("tree/oak"), []byte("old"))
	if err := db.Write(&batch, &terrace.WriteOptions{Sync: true}); err != nil {
		log.Fatal(err)
	}

	it := db.NewIterator(terrace.Prefix([]byte("fruit/")), nil)
	defer it.Close()
	for key, value := range it.All() {
		fmt.Printf("%s is %s\n", key, value)
	}
	if err := it.Err(); err != nil {
		log.Fatal(err)
	}

	_, err = db.Get([]byte("fruit/plum"), nil)
	fmt.Println(errors.Is(err, terrace.ErrNotFound))
	// Output:
	// fruit/apple is red
	// fruit/pear is green
	// true
}

func ExampleDB_NewSnapshot() {
	directory, err := os.MkdirTemp("", "terrace-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	db, err := terrace.Open(directory, &terrace.Options{CreateIfMissing: true})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	db.Put([]byte("key"), []byte("before"), nil)
	snapshot, err := db.NewSnapshot()
	if err != nil {
		log.Fatal(err)
	}
	defer snapshot.Release()
	db.Put([]byte("key"), []byte("after"), nil)

	then, _ := snapshot.Get([]byte("key"))
	now, _ := db.Get([]byte("key"), nil)
	fmt.Printf("%s %s\n", then, now)
	// Output: before after
}
