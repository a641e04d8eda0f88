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

	"terrace"
)

func serve(t *testing.T) (*httptest.Server, *terrace.DB) {
	db, err := terrace.Open(filepath.Join(t.TempDir(), "db"), &terrace.Options{CreateIfMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newHandler(db))
	t.Cleanup(func() {
		server.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return server, db
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
	server, _ := serve(t)
	notes := server.URL + "/notes"
	expect(t, "GET", notes, "", 200, "[]\n")
	for _, name := range []string{"a", "dir/b", "dir/c", "dir/d", "e"} {
		expect(t, "PUT", notes+"/"+name, "text of "+name, 204, "")
	}
	expect(t, "GET", notes+"/dir/c", "", 200, "text of dir/c")
	expect(t, "GET", notes+"?prefix=dir/&limit=2", "", 200, `[{"name":"dir/b","size":13},{"name":"dir/c","size":13}]`+"\n")
	expect(t, "GET", notes+"?prefix=dir/&after=dir/c", "", 200, `[{"name":"dir/d","size":13}]`+"\n")
	expect(t, "GET", notes+"?limit=no", "", 400, "limit is a number from 1 to 10000\n")
	expect(t, "DELETE", notes+"/a", "", 204, "")
	expect(t, "GET", notes+"/a", "", 404, "terrace: key not found\n")
	if status, text := call(t, "GET", server.URL+"/stats", ""); status != 200 || !strings.Contains(text, "Compactions") {
		t.Error(status, text)
	}
}

func TestAnImportIsStoredWholeOrNotAtAll(t *testing.T) {
	server, _ := serve(t)
	lines := `{"name":"a","text":"1"}` + "\n" + `{"name":"b","text":"2"}` + "\n"
	expect(t, "POST", server.URL+"/import", lines+"{}\n", 400, "line 3 is no note: nothing was stored\n")
	expect(t, "GET", server.URL+"/export", "", 200, "")
	expect(t, "POST", server.URL+"/import", lines, 200, "2 stored\n")
	expect(t, "GET", server.URL+"/export", "", 200, lines)
}

// An export shows one state, whatever is written meanwhile: every import below stores a whole generation of
// notes.
func TestAnExportIsOneStateWhileNotesAreWritten(t *testing.T) {
	server, _ := serve(t)
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
