package terrace_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"terrace"
)

func TestAFamilyGoesToADirectoryOfLevelDBsAndComesBack(t *testing.T) {
	db := open(t, nil)
	words := create(t, db, "words", nil)
	must(t, db.Put([]byte("k"), []byte("of default"), nil))
	for i := range 100 {
		must(t, words.Put([]byte(fmt.Sprint("k", i)), []byte("old"), nil))
		must(t, words.Put([]byte(fmt.Sprint("k", i)), []byte(fmt.Sprint("value ", i)), nil))
	}
	must(t, words.Delete([]byte("k7"), nil))
	directory := filepath.Join(t.TempDir(), "exported")
	must(t, words.ExportLevelDB(directory))
	expectKind(t, "an export to an export", words.ExportLevelDB(directory), terrace.ErrInvalidArgument)

	exported, err := terrace.Open(directory, nil)
	must(t, err)
	language, err := exported.Property("terrace.language")
	must(t, err)
	if language != "leveldb" {
		t.Error(language)
	}
	expectValue(t, exported.DefaultFamily(), "k8", "value 8")
	expectValue(t, exported.DefaultFamily(), "k7", "")
	must(t, exported.Put([]byte("added"), []byte("later"), nil))
	_, err = db.ImportLevelDB("again", directory)
	expectKind(t, "an import of an open database", err, terrace.ErrIO)
	must(t, exported.Close())

	again, err := db.ImportLevelDB("again", directory)
	must(t, err)
	if found, ok := db.Family("again"); found != again || !ok || again.Name() != "again" {
		t.Error(found, ok, again.Name())
	}
	expectValue(t, again, "k8", "value 8")
	expectValue(t, again, "k7", "")
	expectValue(t, again, "added", "later")
	must(t, again.Put([]byte("k8"), []byte("newer"), nil))
	expectValue(t, again, "k8", "newer")
	expectValue(t, words, "k8", "value 8")
	_, err = db.ImportLevelDB("again", directory)
	expectKind(t, "an import under a taken name", err, terrace.ErrInvalidArgument)

	missing := filepath.Join(t.TempDir(), "missing")
	_, err = db.ImportLevelDB("new", missing)
	expectKind(t, "an import of nothing", err, terrace.ErrInvalidArgument)
	if _, err := os.Stat(missing); !os.IsNotExist(err) {
		t.Error(err)
	}
	_, err = db.ImportLevelDB("n\x00", directory)
	expectKind(t, "a name with a NUL", err, terrace.ErrInvalidArgument)
	expectKind(t, "a path with a NUL", words.ExportLevelDB("a\x00b"), terrace.ErrInvalidArgument)
	must(t, db.Close())
	expectKind(t, "an export of a closed database", words.ExportLevelDB(missing), terrace.ErrClosed)
	_, err = db.ImportLevelDB("new", directory)
	expectKind(t, "an import into a closed database", err, terrace.ErrClosed)
}
