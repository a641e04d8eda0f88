// notes is a small HTTP service that keeps notes: an example of the Go binding of Terrace.
//
//	PUT    /notes/{name}            stores the body under a name
//	GET    /notes/{name}            gives it back
//	DELETE /notes/{name}            removes it
//	GET    /notes?prefix=&after=&limit=   lists names and sizes, a page at a time
//	POST   /import                  stores many, one JSON object {"name": ..., "text": ...} a line: all of them or none
//	GET    /export                  gives all of them, in the form that import takes, as they were when the request came
//	GET    /stats                   what the database tells of itself
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

// run serves until a signal comes; then requests under way are finished, and the database is closed.
func run(address, directory string) error {
	db, err := terrace.Open(directory, &terrace.Options{CreateIfMissing: true, BloomFilterBits: 10})
	if errors.Is(err, terrace.ErrLocked) {
		return errors.New(directory + ": another process serves this database")
	} else if err != nil {
		return err
	}
	defer db.Close()

	server := &http.Server{Addr: address, Handler: newHandler(db), ReadHeaderTimeout: 10 * time.Second}
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
