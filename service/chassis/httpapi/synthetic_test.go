package httpapi

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestSyntheticRequestsHaveTheirObserver(t *testing.T) {
	for name, tc := range map[string]struct {
		marked, apart bool
		users, others int
	}{
		"a user":                    {apart: true, users: 1},
		"marked":                    {marked: true, apart: true, others: 1},
		"marked, with one observer": {marked: true, users: 1},
		"a user, with one observer": {users: 1},
	} {
		t.Run(name, func(t *testing.T) {
			users, others := &observer{}, &observer{}
			o := Options{Logger: slog.New(slog.DiscardHandler), Observer: users, RequestTimeout: Fixed(time.Second), MaxBody: 1}
			if tc.apart {
				o.Synthetic = others
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
			if tc.marked {
				r.Header.Set("X-Synthetic", "true")
			}
			Middleware(o, http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
			if users.started != tc.users || len(users.finished) != tc.users || others.started != tc.others || len(others.finished) != tc.others {
				t.Errorf("users %+v, others %+v", users.finished, others.finished)
			}
		})
	}
}
