package terrace

// #include "capi.h"
import "C"

import (
	"errors"
	"strings"
	"syscall"
)

// The kinds of an [Error], for errors.Is.
var (
	// ErrNotFound: the key is absent, or a file or directory is missing.
	ErrNotFound = errors.New("not found")
	// ErrCorruption: stored bytes contradict the format or their checksum.
	ErrCorruption = errors.New("corruption")
	// ErrNotSupported: the operation, or a feature of the data, is not supported.
	ErrNotSupported = errors.New("not supported")
	// ErrInvalidArgument: an argument that is never valid, for example a comparator of another name.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrIO: the operating system refused an operation, or the database can no longer perform it.
	ErrIO = errors.New("input/output error")
	// ErrLocked: the database is open already, in this or in another process. Such an error is also an ErrIO.
	ErrLocked = errors.New("locked")
	// ErrInternal: a defect of the library or a panic of a comparator was caught.
	ErrInternal = errors.New("internal error")
	// ErrClosed: the database, iterator or snapshot was closed before.
	ErrClosed = errors.New("closed")
)

// Error is the type of every error of this package.
type Error struct {
	// Kind is one of the errors above.
	Kind error
	// Message says what happened to which file, and what to do.
	Message string
	// Path is the file or directory that the error concerns; empty if there is none.
	Path string
	// Errno is the system's error number that caused the error; 0 if there is none.
	Errno syscall.Errno
	// Retryable says that the same call may succeed later without a change of the program, for example after a
	// full disk.
	Retryable bool
}

// Error returns the message.
func (e *Error) Error() string { return "terrace: " + e.Message }

// Is reports whether the error is of the kind target.
func (e *Error) Is(target error) bool {
	return target == e.Kind || target == ErrIO && e.Kind == ErrLocked
}

// Unwrap returns the system's error number, so that errors.Is(err, syscall.ENOSPC) works.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// errNotFound is allocated once, because absent keys are common.
var errNotFound = &Error{Kind: ErrNotFound, Message: "key not found"}

func closedError(what string) error {
	return &Error{Kind: ErrClosed, Message: what + " is closed"}
}

func invalid(message string) error {
	return &Error{Kind: ErrInvalidArgument, Message: message}
}

func kindOf(code C.int, message string) error {
	switch code {
	case C.TERRACE_NOT_FOUND:
		return ErrNotFound
	case C.TERRACE_CORRUPTION:
		return ErrCorruption
	case C.TERRACE_NOT_SUPPORTED:
		return ErrNotSupported
	case C.TERRACE_INVALID_ARGUMENT:
		return ErrInvalidArgument
	case C.TERRACE_INTERNAL_ERROR:
		return ErrInternal
	}
	if strings.Contains(message, "already held by process") {
		return ErrLocked
	}
	return ErrIO
}
