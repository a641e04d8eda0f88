package terrace

// #include "capi.h"
import "C"

import (
	"errors"
	"strings"
	"syscall"
)

// What an [Error] may be, for errors.Is.
var (
	// ErrNotFound: the key is not there; or a file or directory that should be.
	ErrNotFound = errors.New("not found")
	// ErrCorruption: stored bytes contradict the format or their checksum.
	ErrCorruption = errors.New("corruption")
	// ErrNotSupported: the operation is not offered.
	ErrNotSupported = errors.New("not supported")
	// ErrInvalidArgument: an argument that can never work, a comparator of another name among them.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrIO: the system refused an operation, or the database can no longer do it.
	ErrIO = errors.New("input/output error")
	// ErrLocked: the database is open already, here or in another process. Such an error is an ErrIO as well.
	ErrLocked = errors.New("locked")
	// ErrInternal: a defect of the library, or a panic of a comparator, caught.
	ErrInternal = errors.New("internal error")
	// ErrClosed: the database, iterator or snapshot was closed before.
	ErrClosed = errors.New("closed")
)

// Error is what every method of this package fails with.
type Error struct {
	// Kind is one of the errors above.
	Kind error
	// Message says what happened, to which file, and what to do.
	Message string
	// Path is the file or directory it is about; empty if none.
	Path string
	// Errno is the system's error number behind it; 0 if there is none.
	Errno syscall.Errno
	// Retryable says that the same call may succeed later without a change of the program: after a full disk, say.
	Retryable bool
}

// Error is the message.
func (e *Error) Error() string { return "terrace: " + e.Message }

// Is tells whether the error is of that kind.
func (e *Error) Is(target error) bool {
	return target == e.Kind || target == ErrIO && e.Kind == ErrLocked
}

// Unwrap gives the system's error number, so that errors.Is(err, syscall.ENOSPC) works.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// errNotFound is made once: a key that is not there is nothing unusual.
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
