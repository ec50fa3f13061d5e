// Package refusal owns the reasons why an uploaded file is not analysed: one error type whose message its owner may read.
// It decides nothing; the packages that read files do. Errors that are no refusal, such as those of the storage a file
// lies in, say nothing about the file, and reading it again may succeed; Source keeps the two apart.
package refusal

import "fmt"

// Reason is the kind of a refusal, for programs and metrics. The same file is refused for the same reason each time.
type Reason string

// The reasons.
const (
	// Empty: there is nothing in the file.
	Empty Reason = "empty"
	// WrongType: the file is of another kind than it was read as.
	WrongType Reason = "wrong_type"
	// Truncated: the file ends too early.
	Truncated Reason = "truncated"
	// Malformed: the file breaks a rule of its format.
	Malformed Reason = "malformed"
	// Encrypted: the file cannot be read without a password.
	Encrypted Reason = "encrypted"
	// TooLarge: the file, or a part of it, is larger than is read.
	TooLarge Reason = "too_large"
	// Forbidden: the file makes use of something that is never needed but by an attack.
	Forbidden Reason = "forbidden"
	// Unsupported: the file keeps the rules of its format but needs something that is not read.
	Unsupported Reason = "unsupported"
)

// Error says why a file is refused.
type Error struct {
	Reason Reason
	// Message is one sentence for the owner of the file. It holds no more of the file than names of measures, parts and
	// elements, without control characters.
	Message string
	// Err is the cause, for the log; nil if there is none beyond the message.
	Err error
}

// New returns a refusal whose message is made as by fmt.Sprintf.
func New(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Because returns the refusal with its cause.
func (e *Error) Because(err error) *Error {
	return &Error{Reason: e.Reason, Message: e.Message, Err: err}
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }
