package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

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

type service struct {
	db *terrace.DB
}

func newHandler(db *terrace.DB) http.Handler {
	s := &service{db}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /notes/{name...}", s.put)
	mux.HandleFunc("GET /notes/{name...}", s.get)
	mux.HandleFunc("DELETE /notes/{name...}", s.remove)
	mux.HandleFunc("GET /notes", s.list)
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

func (s *service) put(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	if err := s.db.Put([]byte(r.PathValue("name")), text, durable); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) get(w http.ResponseWriter, r *http.Request) {
	text, err := s.db.Get([]byte(r.PathValue("name")), nil)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write(text)
}

func (s *service) remove(w http.ResponseWriter, r *http.Request) {
	if err := s.db.Delete([]byte(r.PathValue("name")), durable); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *service) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit := page
	if text := query.Get("limit"); text != "" {
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 || number > 10_000 {
			http.Error(w, "limit is a number from 1 to 10000", http.StatusBadRequest)
			return
		}
		limit = number
	}
	it := s.db.NewIterator(terrace.Prefix([]byte(query.Get("prefix"))), nil)
	defer it.Close()
	ok := it.First()
	if after := query.Get("after"); after != "" {
		ok = it.Seek(append([]byte(after), 0)) // the first name after it
	}
	notes := []listed{}
	for ; ok && len(notes) < limit; ok = it.Next() {
		notes = append(notes, listed{string(it.Key()), len(it.Value())})
	}
	if err := it.Err(); err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(notes)
}

func (s *service) load(w http.ResponseWriter, r *http.Request) {
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 2*largest)
	var batch terrace.Batch
	for number := 1; lines.Scan(); number++ {
		var n note
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil || n.Name == "" {
			http.Error(w, fmt.Sprintf("line %d is no note: nothing was stored", number), http.StatusBadRequest)
			return
		}
		batch.Put([]byte(n.Name), []byte(n.Text))
	}
	if err := lines.Err(); err != nil {
		http.Error(w, err.Error()+": nothing was stored", http.StatusBadRequest)
		return
	}
	if err := s.db.Write(&batch, durable); err != nil {
		fail(w, err)
		return
	}
	fmt.Fprintf(w, "%d stored\n", batch.Len())
}

// export reads a snapshot: writes during the export are not visible in it.
func (s *service) export(w http.ResponseWriter, r *http.Request) {
	snapshot, err := s.db.NewSnapshot()
	if err != nil {
		fail(w, err)
		return
	}
	defer snapshot.Release()
	it := s.db.NewIterator(nil, &terrace.ReadOptions{Snapshot: snapshot, DontFillCache: true})
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
	text, err := s.db.Property("leveldb.stats")
	if err != nil {
		fail(w, err)
		return
	}
	fmt.Fprint(w, text)
}
