// notes is a small HTTP service that stores notes: an example of the Go binding of Terrace.
//
//	PUT    /notes/{name}            stores the body under a name
//	GET    /notes/{name}            returns the note
//	DELETE /notes/{name}            removes the note
//	GET    /notes?prefix=&after=&limit=   lists names and sizes, one page per request
//	GET    /search?word=&after=&limit=    lists the notes that have a word, in the same way
//	POST   /import                  stores notes atomically: JSON objects {"name": ..., "text": ...}, one per line
//	GET    /export                  returns the notes at the time of the request, in the form of an import
//	GET    /stats                   returns statistics of the database
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"terrace"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8080", "where to listen")
	directory := flag.String("db", "notes.db", "the directory of the database")
	flag.Parse()
	if err := run(*address, *directory); err != nil {
		log.Fatal(err)
	}
}

// run serves until a signal arrives; then it completes running requests and closes the database.
func run(address, directory string) error {
	db, service, err := openService(directory)
	if errors.Is(err, terrace.ErrLocked) {
		return errors.New(directory + ": another process serves this database")
	} else if err != nil {
		return err
	}
	defer db.Close()

	server := &http.Server{Addr: address, Handler: newHandler(service), ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		within, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		server.Shutdown(within)
	}()
	log.Printf("serving %s on http://%s", directory, address)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return db.Close()
}
