package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func serve(t *testing.T) *httptest.Server {
	server, _ := serveAt(t, filepath.Join(t.TempDir(), "db"))
	return server
}

// serveAt serves the database in a directory. The function that it returns ends the service; the end of the
// test does so too.
func serveAt(t *testing.T, directory string) (*httptest.Server, func()) {
	t.Helper()
	db, service, err := openService(directory)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newHandler(service))
	end := sync.OnceFunc(func() {
		server.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return server, end
}

func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func expect(t *testing.T, method, url, body string, status int, text string) {
	t.Helper()
	if gotStatus, got := call(t, method, url, body); gotStatus != status || got != text {
		t.Errorf("%s %s: %d %q, not %d %q", method, url, gotStatus, got, status, text)
	}
}

func TestNotesAreStoredListedAndRemoved(t *testing.T) {
	server := serve(t)
	notes := server.URL + "/notes"
	expect(t, "GET", notes, "", 200, "[]\n")
	for _, name := range []string{"a", "dir/b", "dir/c", "dir/d", "e"} {
		expect(t, "PUT", notes+"/"+name, "text of "+name, 204, "")
	}
	expect(t, "GET", notes+"/dir/c", "", 200, "text of dir/c")
	expect(t, "PUT", notes+"/empty", "", 204, "")
	expect(t, "GET", notes+"/empty", "", 200, "")
	expect(t, "GET", notes+"?prefix=dir/&limit=2", "", 200, `[{"name":"dir/b","size":13},{"name":"dir/c","size":13}]`+"\n")
	expect(t, "GET", notes+"?prefix=dir/&after=dir/c", "", 200, `[{"name":"dir/d","size":13}]`+"\n")
	expect(t, "GET", notes+"?limit=no", "", 400, "limit is a number from 1 to 10000\n")
	expect(t, "DELETE", notes+"/a", "", 204, "")
	expect(t, "GET", notes+"/a", "", 404, "terrace: key not found\n")
	if status, text := call(t, "GET", server.URL+"/stats", ""); status != 200 || strings.Count(text, "Compactions") != 2 {
		t.Error(status, text)
	}
}

func TestAnImportIsStoredWholeOrNotAtAll(t *testing.T) {
	server := serve(t)
	lines := `{"name":"a","text":"1"}` + "\n" + `{"name":"b","text":"2"}` + "\n"
	expect(t, "POST", server.URL+"/import", lines+"{}\n", 400, "line 3 is no note: nothing was stored\n")
	expect(t, "GET", server.URL+"/export", "", 200, "")
	expect(t, "POST", server.URL+"/import", lines, 200, "2 stored\n")
	expect(t, "GET", server.URL+"/export", "", 200, lines)
}

func TestNotesAreFoundByTheirWords(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "db")
	server, end := serveAt(t, directory)
	find := func(word, want string) {
		t.Helper()
		expect(t, "GET", server.URL+"/search?word="+word, "", 200, want+"\n")
	}
	for name, text := range map[string]string{"a": "An old oak.", "b": "Oaks; one OAK", "c": "a pear", "oak": "a tree"} {
		expect(t, "PUT", server.URL+"/notes/"+name, text, 204, "")
	}
	find("oak", `[{"name":"a","size":11},{"name":"b","size":13}]`)
	find("Oak&limit=1", `[{"name":"a","size":11}]`)
	find("oak&after=a", `[{"name":"b","size":13}]`)
	find("oa", "[]")
	find("", "[]")
	expect(t, "GET", server.URL+"/search?word=oak&limit=0", "", 400, "limit is a number from 1 to 10000\n")
	expect(t, "PUT", server.URL+"/notes/a", "a pear instead", 204, "")
	expect(t, "DELETE", server.URL+"/notes/b", "", 204, "")
	expect(t, "DELETE", server.URL+"/notes/none", "", 204, "")
	find("oak", "[]")
	lines := `{"name":"c","text":"pear"}` + "\n" + `{"name":"c","text":"oak"}` + "\n"
	expect(t, "POST", server.URL+"/import", lines, 200, "1 stored\n")
	end()
	server, _ = serveAt(t, directory)
	find("oak", `[{"name":"c","size":3}]`)
	find("pear", `[{"name":"a","size":14}]`)
	expect(t, "GET", server.URL+"/notes/c", "", 200, "oak")
}

// A search shows the index and the notes of one state: each note has the word, whatever is written meanwhile.
func TestASearchIsOneStateWhileNotesAreWritten(t *testing.T) {
	server := serve(t)
	const names = 50
	store := func(word string) {
		var lines bytes.Buffer
		for i := range names {
			fmt.Fprintf(&lines, `{"name":"note%05d","text":"%s"}`+"\n", i, word)
		}
		expect(t, "POST", server.URL+"/import", lines.String(), 200, "50 stored\n")
	}
	var writing sync.WaitGroup
	for _, word := range []string{"even", "odd"} {
		writing.Add(1)
		go func() {
			defer writing.Done()
			for range 20 {
				store(word)
			}
		}()
	}
	for range 40 {
		_, text := call(t, "GET", server.URL+"/search?word=even", "")
		var found []listed
		if err := json.Unmarshal([]byte(text), &found); err != nil || len(found) != 0 && len(found) != names {
			t.Fatal(len(found), err)
		}
		for _, each := range found {
			if each.Size != len("even") {
				t.Fatal(text)
			}
		}
	}
	writing.Wait()
}

// An export shows one state, whatever is written meanwhile: every import below stores a whole generation of
// notes.
func TestAnExportIsOneStateWhileNotesAreWritten(t *testing.T) {
	server := serve(t)
	const names, generations = 2000, 20
	generation := func(number int) string {
		var lines bytes.Buffer
		for i := range names {
			fmt.Fprintf(&lines, `{"name":"note%05d","text":"generation %d"}`+"\n", i, number)
		}
		return lines.String()
	}
	expect(t, "POST", server.URL+"/import", generation(0), 200, "2000 stored\n")
	var writing sync.WaitGroup
	writing.Add(1)
	go func() {
		defer writing.Done()
		for number := 1; number <= generations; number++ {
			expect(t, "POST", server.URL+"/import", generation(number), 200, "2000 stored\n")
		}
	}()
	for range generations {
		status, text := call(t, "GET", server.URL+"/export", "")
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if status != 200 || len(lines) != names {
			t.Fatal(status, len(lines))
		}
		var first, last note
		if json.Unmarshal([]byte(lines[0]), &first) != nil || json.Unmarshal([]byte(lines[names-1]), &last) != nil {
			t.Fatal(lines[0], lines[names-1])
		}
		for _, line := range lines {
			if !strings.Contains(line, `"`+first.Text+`"`) {
				t.Fatalf("%q and %q in one export", first.Text, line)
			}
		}
	}
	writing.Wait()
}
