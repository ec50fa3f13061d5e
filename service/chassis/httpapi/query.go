package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

// Limits of a list. A page further out than MaxPage is refused, because the database has to walk over all rows before it.
const (
	DefaultLimit = 20
	MaxLimit     = 100
	MaxPage      = 10_000
)

// PageParams describe the parameters that Query.Page reads; a list's description of its parameters embeds them.
type PageParams struct {
	Page  int `query:"page" minimum:"1" maximum:"10000" default:"1"`
	Limit int `query:"limit" minimum:"1" maximum:"100" default:"20" description:"How many items a page holds."`
}

// Query reads the query string of a request and gathers everything that is wrong with it, so that a client learns of
// all its mistakes at once. Parameters that nobody asks for are ignored.
type Query struct {
	values  url.Values
	details []fault.Detail
}

// ReadQuery starts reading.
func ReadQuery(r *http.Request) *Query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &Query{values: values}
	if err != nil {
		q.fail("", "malformed", "the query string is not properly escaped")
	}
	return q
}

// Int returns a whole number between least and greatest, or fallback if the parameter was left out.
func (q *Query) Int(name string, fallback, least, greatest int) int {
	text, ok := q.one(name)
	if !ok {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > greatest {
		q.fail(name, "range", fmt.Sprintf("must be a whole number from %d to %d", least, greatest))
		return fallback
	}
	return n
}

// OneOf returns one of the allowed words, or fallback if the parameter was left out.
func (q *Query) OneOf(name, fallback string, allowed ...string) string {
	text, ok := q.one(name)
	if !ok {
		return fallback
	}
	if !slices.Contains(allowed, text) {
		q.fail(name, "one_of", "must be one of "+strings.Join(allowed, ", "))
		return fallback
	}
	return text
}

// Text returns a text of 1 to greatest characters without control characters, or "" if the parameter was left out.
func (q *Query) Text(name string, greatest int) string {
	text, ok := q.one(name)
	if !ok {
		return ""
	}
	n := utf8.RuneCountInString(text)
	if n < 1 || n > greatest || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		q.fail(name, "text", fmt.Sprintf("must be a text of 1 to %d characters", greatest))
		return ""
	}
	return text
}

// Period returns two moments of the years 2 to 9999 in UTC, the second later than the first; the zero time stands for one that
// was left out.
func (q *Query) Period(from, to string) (begin, end time.Time) {
	begin, end = q.time(from), q.time(to)
	if !begin.IsZero() && !end.IsZero() && !begin.Before(end) {
		q.fail(to, "range", "must be later than "+from)
	}
	return begin, end
}

func (q *Query) time(name string) time.Time {
	text, ok := q.one(name)
	if !ok {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	at = at.UTC()
	const firstYear, lastYear = 2, 9999 // the zero time is in the year 1
	if err != nil || at.Year() < firstYear || at.Year() > lastYear {
		q.fail(name, "date-time", "must be a date and time of RFC 3339, such as 2026-01-31T12:00:00Z")
		return time.Time{}
	}
	return at
}

// Page returns the parameters page, counted from 1, and limit.
func (q *Query) Page() (page, limit int) {
	return q.Int("page", 1, 1, MaxPage), q.Int("limit", DefaultLimit, 1, MaxLimit)
}

// Err returns everything that was wrong as one Invalid fault, or nil.
func (q *Query) Err() error {
	if len(q.details) == 0 {
		return nil
	}
	return fault.InvalidInput("Invalid query parameters", q.details...)
}

func (q *Query) one(name string) (string, bool) {
	given := q.values[name]
	if len(given) > 1 {
		q.fail(name, "repeated", "must be given once")
		return "", false
	}
	return strings.Join(given, ""), len(given) == 1
}

func (q *Query) fail(field, code, message string) {
	q.details = append(q.details, fault.Detail{Field: field, Code: code, Message: message})
}
