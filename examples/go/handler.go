package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"terrace"
)

const (
	// largest is the size limit of a note, in bytes.
	largest = 16 << 20
	// page is the default number of notes of a listing.
	page = 100
)

// note is a line of an import or export.
type note struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// listed is an entry of a listing.
type listed struct {
	Name string `json:"name"`
	Size int    `json:"size"`
}

// service stores each note in the column family documents, and every word of it in the column family index,
// under the key "word NUL name". A batch changes both.
type service struct {
	db               *terrace.DB
	documents, index *terrace.Family

	// writing is held from the reading of old notes, whose words leave the index, to the write of new ones.
	writing sync.Mutex
}

// openService opens the database, which the caller closes. Each family has the options that suit it: notes are
// looked up by name, the index is only scanned, and its entries are small.
func openService(directory string) (*terrace.DB, *service, error) {
	db, families, err := terrace.OpenFamilies(directory,
		&terrace.Options{CreateIfMissing: true, CreateMissingColumnFamilies: true},
		[]terrace.FamilyOptions{
			{Name: "documents", Options: &terrace.Options{BloomFilterBits: 10, BlockSize: 16 << 10}},
			{Name: "index", Options: &terrace.Options{BlockRestartInterval: 64}},
		})
	if err != nil {
		return nil, nil, err
	}
	return db, &service{db: db, documents: families[0], index: families[1]}, nil
}

func newHandler(s *service) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /notes/{name...}", s.put)
	mux.HandleFunc("GET /notes/{name...}", s.get)
	mux.HandleFunc("DELETE /notes/{name...}", s.remove)
	mux.HandleFunc("GET /notes", s.list)
	mux.HandleFunc("GET /search", s.search)
	mux.HandleFunc("POST /import", s.load)
	mux.HandleFunc("GET /export", s.export)
	mux.HandleFunc("GET /stats", s.stats)
	return mux
}

// durable writes survive a power loss after the response.
var durable = &terrace.WriteOptions{Sync: true}

// fail responds with the HTTP status of an error.
func fail(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, terrace.ErrNotFound):
		status = http.StatusNotFound
	case errors.Is(err, terrace.ErrClosed):
		status = http.StatusServiceUnavailable
	}
	http.Error(w, err.Error(), status)
}

// store stores notes (nil: removes them) and brings the index up to date, all of it or nothing.
func (s *service) store(notes map[string][]byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	var batch terrace.Batch
	for name, text := range notes {
		old, err := s.documents.Get([]byte(name), nil)
		if err != nil && !errors.Is(err, terrace.ErrNotFound) {
			return err
		}
		for word := range words(old) {
			batch.DeleteFrom(s.index, indexKey(word, name))
		}
		if text == nil {
			batch.DeleteFrom(s.documents, []byte(name))
			continue
		}
		for word := range words(text) {
			batch.PutTo(s.index, indexKey(word, name), nil)
		}
		batch.PutTo(s.documents, []byte(name), text)
	}
	return s.db.Write(&batch, durable)
}

// words returns the words of a text, in lower case.
func words(text []byte) map[string]struct{} {
	found := make(map[string]struct{})
	isSeparator := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	for _, word := range strings.FieldsFunc(strings.ToLower(string(text)), isSeparator) {
		found[word] = struct{}{}
	}
	return found
}

func indexKey(word, name string) []byte { return []byte(word + "\x00" + name) }

func (s *service) put(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err := s.store(map[string][]byte{r.PathValue("name"): text}); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) get(w http.ResponseWriter, r *http.Request) {
	text, err := s.documents.Get([]byte(r.PathValue("name")), nil)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(text)
}

func (s *service) remove(w http.ResponseWriter, r *http.Request) {
	if err := s.store(map[string][]byte{r.PathValue("name"): nil}); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// limitOf returns the number of notes that a request wants; 0 after an error, which is responded.
func limitOf(w http.ResponseWriter, r *http.Request) int {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return page
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 || number > 10_000 {
		http.Error(w, "limit is a number from 1 to 10000", http.StatusBadRequest)
		return 0
	}
	return number
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	query, limit := r.URL.Query(), limitOf(w, r)
	if limit == 0 {
		return
	}
	it := s.documents.NewIterator(terrace.Prefix([]byte(query.Get("prefix"))), nil)
	defer it.Close()
	ok := it.First()
	if after := query.Get("after"); after != "" {
		ok = it.Seek(append([]byte(after), 0)) // the first name after it
	}
	notes := []listed{}
	for ; ok && len(notes) < limit; ok = it.Next() {
		notes = append(notes, listed{string(it.Key()), len(it.Value())})
	}
	respond(w, notes, it.Err())
}

// search reads both families at one state: every note of the index is there.
func (s *service) search(w http.ResponseWriter, r *http.Request) {
	query, limit := r.URL.Query(), limitOf(w, r)
	if limit == 0 {
		return
	}
	iterators, err := s.db.NewIterators([]*terrace.Family{s.index, s.documents}, nil)
	if err != nil {
		fail(w, err)
		return
	}
	index, documents := iterators[0], iterators[1]
	defer index.Close()
	defer documents.Close()
	prefix := indexKey(strings.ToLower(query.Get("word")), "")
	first := prefix
	if after := query.Get("after"); after != "" {
		first = append(slices.Clone(prefix), after+"\x00"...)
	}
	notes := []listed{}
	for ok := index.Seek(first); ok && len(notes) < limit; ok = index.Next() {
		name, found := bytes.CutPrefix(index.Key(), prefix)
		if !found {
			break // another word
		}
		if !documents.Seek(name) {
			break // a failure
		}
		notes = append(notes, listed{string(name), len(documents.Value())})
	}
	respond(w, notes, errors.Join(index.Err(), documents.Err()))
}

func respond(w http.ResponseWriter, notes []listed, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(notes)
}

func (s *service) load(w http.ResponseWriter, r *http.Request) {
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 2*largest)
	notes := make(map[string][]byte)
	for number := 1; lines.Scan(); number++ {
		var n note
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil || n.Name == "" {
			http.Error(w, fmt.Sprintf("line %d is no note: nothing was stored", number), http.StatusBadRequest)
			return
		}
		notes[n.Name] = []byte(n.Text)
	}
	if err := lines.Err(); err != nil {
		http.Error(w, err.Error()+": nothing was stored", http.StatusBadRequest)
		return
	}
	if err := s.store(notes); err != nil {
		fail(w, err)
		return
	}
	fmt.Fprintf(w, "%d stored\n", len(notes))
}

// export reads the state of the moment: writes during the export are not visible in it.
func (s *service) export(w http.ResponseWriter, r *http.Request) {
	it := s.documents.NewIterator(nil, &terrace.ReadOptions{DontFillCache: true})
	defer it.Close()
	w.Header().Set("Content-Type", "application/x-ndjson")
	encoder := json.NewEncoder(w)
	for name, text := range it.All() {
		if encoder.Encode(note{string(name), string(text)}) != nil {
			return // the client has disconnected
		}
	}
	if it.Err() != nil {
		panic(http.ErrAbortHandler) // aborts the response, so that the client sees that it is incomplete
	}
}

func (s *service) stats(w http.ResponseWriter, r *http.Request) {
	for _, family := range []*terrace.Family{s.documents, s.index} {
		text, err := family.Property("leveldb.stats")
		if err != nil {
			fail(w, err)
			return
		}
		fmt.Fprintf(w, "%s:\n%s", family.Name(), text)
	}
}
