package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/fault"
)

func contextWithRecord(r *http.Request) context.Context {
	rec := newRecord(r)
	return context.WithValue(r.Context(), recordKey{}, &rec)
}

func TestErrorsAsTheClientSeesThem(t *testing.T) {
	cause := errors.New("password=hunter2")
	for name, tc := range map[string]struct {
		err    error
		status int
		want   ErrorEnvelope
		header map[string]string
	}{
		"invalid input names its fields": {
			err: fault.InvalidInput("Validation failed", fault.Detail{Field: "a", Code: "b", Message: "c"}), status: 400,
			want: ErrorEnvelope{Error: "Validation failed", Code: "VALIDATION_ERROR", Details: []fault.Detail{{Field: "a", Code: "b", Message: "c"}}},
		},
		"a missing token is challenged": {
			err: fault.Wrap(fault.Unauthenticated, "Who?", cause), status: 401,
			want: ErrorEnvelope{Error: "Who?", Code: "AUTHENTICATION_ERROR"}, header: map[string]string{"WWW-Authenticate": `Bearer realm="mirubato"`},
		},
		"denied":              {err: fault.New(fault.Denied, "No"), status: 403, want: ErrorEnvelope{Error: "No", Code: "AUTHORIZATION_ERROR"}},
		"not found":           {err: fault.New(fault.NotFound, "Gone"), status: 404, want: ErrorEnvelope{Error: "Gone", Code: "NOT_FOUND"}},
		"method not allowed":  {err: fault.New(fault.MethodNotAllowed, "No"), status: 405, want: ErrorEnvelope{Error: "No", Code: "METHOD_NOT_ALLOWED"}},
		"slow request":        {err: fault.New(fault.SlowRequest, "Slow"), status: 408, want: ErrorEnvelope{Error: "Slow", Code: "REQUEST_TIMEOUT"}},
		"conflict":            {err: fault.New(fault.Conflict, "Taken"), status: 409, want: ErrorEnvelope{Error: "Taken", Code: "CONFLICT"}},
		"precondition failed": {err: fault.New(fault.PreconditionFailed, "Old"), status: 412, want: ErrorEnvelope{Error: "Old", Code: "PRECONDITION_FAILED"}},
		"too large":           {err: fault.New(fault.TooLarge, "Big"), status: 413, want: ErrorEnvelope{Error: "Big", Code: "PAYLOAD_TOO_LARGE"}},
		"unsupported media":   {err: fault.New(fault.UnsupportedMedia, "XML"), status: 415, want: ErrorEnvelope{Error: "XML", Code: "UNSUPPORTED_MEDIA_TYPE"}},
		"canceled":            {err: context.Canceled, status: 499, want: ErrorEnvelope{Error: "The client closed the request", Code: "REQUEST_CANCELED"}},
		"timeout":             {err: context.DeadlineExceeded, status: 504, want: ErrorEnvelope{Error: "The request took too long", Code: "TIMEOUT"}},
		"what is away may come back": {
			err: fault.Wrap(fault.Unavailable, "Away", cause), status: 503,
			want: ErrorEnvelope{Error: "Away", Code: "SERVICE_ERROR"}, header: map[string]string{"Retry-After": "1"},
		},
		"a defect shows nothing of itself": {
			err: &fault.Error{Code: fault.Internal, Message: "Database error", Err: cause, Details: []fault.Detail{{Message: "secret"}}}, status: 500,
			want: ErrorEnvelope{Error: "Internal server error", Code: "INTERNAL_ERROR", Message: "An unexpected error occurred"},
		},
		"an error without a code is a defect": {
			err: cause, status: 500,
			want: ErrorEnvelope{Error: "Internal server error", Code: "INTERNAL_ERROR", Message: "An unexpected error occurred"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			WriteError(t.Context(), rec, tc.err)
			var got ErrorEnvelope
			if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || rec.Code != tc.status {
				t.Errorf("status %d, want %d; body (-want +got):\n%s", rec.Code, tc.status, diff)
			}
			for name, value := range tc.header {
				if got := rec.Header().Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			if got := rec.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("an error may be cached: %q", got)
			}
		})
	}
}

func TestAnswerThatCannotBeEncodedIsACleanError(t *testing.T) {
	rec := httptest.NewRecorder()
	Created("/things/1", math.NaN()).WithVersion(3).Write(t.Context(), rec)
	var got ErrorEnvelope
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || rec.Code != 500 || got.Code != fault.Internal {
		t.Errorf("status %d, body %q, %v; want a 500 and nothing of the answer", rec.Code, rec.Body, err)
	}
	if rec.Header().Get("Location") != "" || rec.Header().Get("ETag") != "" {
		t.Errorf("headers of the failed answer remain: %v", rec.Header())
	}
}

func TestConditionalRead(t *testing.T) {
	for name, tc := range map[string]struct {
		method, ifNoneMatch string
		status              int
	}{
		"without a condition the thing is sent":       {method: "GET", status: 200},
		"an older version is replaced":                {method: "GET", ifNoneMatch: `"6"`, status: 200},
		"the present version is not sent again":       {method: "GET", ifNoneMatch: `"7"`, status: 304},
		"a weak tag matches":                          {method: "GET", ifNoneMatch: `W/"7"`, status: 304},
		"one of several tags matches":                 {method: "HEAD", ifNoneMatch: `"1", "7"`, status: 304},
		"anything matches a star":                     {method: "GET", ifNoneMatch: `*`, status: 304},
		"a change is always answered with the result": {method: "PUT", ifNoneMatch: `"7"`, status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), tc.method, "/", nil)
			req.Header.Set("If-None-Match", tc.ifNoneMatch)
			rec := httptest.NewRecorder()
			OK("x").WithVersion(7).Write(contextWithRecord(req), rec)
			if rec.Code != tc.status || (rec.Body.Len() > 0) != (tc.status == 200) {
				t.Errorf("status %d with %d bytes, want %d", rec.Code, rec.Body.Len(), tc.status)
			}
			if got := rec.Header().Get("ETag"); got != `"7"` {
				t.Errorf("ETag %s", got)
			}
		})
	}
}

func TestIfMatch(t *testing.T) {
	for header, want := range map[string]struct {
		version int64
		code    fault.Code
	}{
		``:         {version: 0},
		`*`:        {version: 0},
		`"7"`:      {version: 7},
		`7`:        {code: fault.PreconditionFailed},
		`W/"7"`:    {code: fault.PreconditionFailed},
		`"0"`:      {code: fault.PreconditionFailed},
		`"-1"`:     {code: fault.PreconditionFailed},
		`"7`:       {code: fault.PreconditionFailed},
		`"abc"`:    {code: fault.PreconditionFailed},
		`"7", "8"`: {code: fault.PreconditionFailed},
	} {
		t.Run(header, func(t *testing.T) {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", nil)
			req.Header.Set("If-Match", header)
			version, err := IfMatch(req)
			if version != want.version || fault.CodeOf(err) != want.code {
				t.Errorf("version %d, %v; want %d, %q", version, err, want.version, want.code)
			}
		})
	}
}

func TestPaginate(t *testing.T) {
	for name, tc := range map[string]struct {
		page, limit int
		total       int64
		want        Pagination
	}{
		"an empty list has no pages":           {page: 1, limit: 20, want: Pagination{Page: 1, Limit: 20}},
		"a full page is one page":              {page: 1, limit: 20, total: 20, want: Pagination{Page: 1, Limit: 20, Total: 20, TotalPages: 1}},
		"one more makes another":               {page: 1, limit: 20, total: 21, want: Pagination{Page: 1, Limit: 20, Total: 21, TotalPages: 2, HasNext: true}},
		"the last page has only a previous":    {page: 2, limit: 20, total: 21, want: Pagination{Page: 2, Limit: 20, Total: 21, TotalPages: 2, HasPrev: true}},
		"beyond the end there is a way back":   {page: 9, limit: 20, total: 21, want: Pagination{Page: 9, Limit: 20, Total: 21, TotalPages: 2, HasPrev: true}},
		"beyond an empty list there is no way": {page: 2, limit: 20, want: Pagination{Page: 2, Limit: 20}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Paginate(tc.page, tc.limit, tc.total)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
