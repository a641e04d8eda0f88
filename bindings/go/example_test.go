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

func ExampleDB_CreateFamily() {
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

	index, err := db.CreateFamily("index", nil)
	if err != nil {
		log.Fatal(err)
	}
	var batch terrace.Batch
	batch.Put([]byte("document 7"), []byte("An old oak."))
	batch.PutTo(index, []byte("oak"), []byte("document 7"))
	if err := db.Write(&batch, nil); err != nil {
		log.Fatal(err)
	}
	name, err := index.Get([]byte("oak"), nil)
	if err != nil {
		log.Fatal(err)
	}
	text, err := db.Get(name, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %s\n", name, text)
	// Output: document 7: An old oak.
}
