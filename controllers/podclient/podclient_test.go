package podclient_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/controllers/podclient"
)

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func TestDirect(t *testing.T) {
	for name, tc := range map[string]struct{ ip, want string }{
		"version 4":               {ip: "10.0.0.7", want: "http://10.0.0.7:9090"},
		"version 6":               {ip: "fd00::7", want: "http://[fd00::7]:9090"},
		"not scheduled":           {ip: ""},
		"a name is not an IP":     {ip: "example.org"},
		"a URL in place of an IP": {ip: "10.0.0.7/x?"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := podclient.Direct{}.BaseURL(podclient.Pod{Name: "a", IP: tc.ip}, 9090)
			if got != tc.want || (tc.want == "") != errors.Is(err, podclient.ErrNoAddress) {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

func TestARequestArrivesWhole(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Release", "r1")
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(r.Method + " " + r.RequestURI + " " + r.Host + " " + r.Header.Get("X-A") + " " + string(body)))
	})
	got, err := podclient.New().Do(t.Context(), podclient.Request{
		Method: http.MethodPost, URL: url + "/x?y=1", Body: []byte("hello"), MaxBody: 100,
		Header: http.Header{"X-A": {"a"}, "host": {"shop.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("POST /x?y=1 shop.example a hello", string(got.Body)); diff != "" {
		t.Error(diff)
	}
	if got.Status != http.StatusTeapot || got.Header.Get("X-Release") != "r1" {
		t.Errorf("got %+v", got)
	}
}

func TestARedirectIsAnAnswer(t *testing.T) {
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) })
	got, err := podclient.New().Do(t.Context(), podclient.Request{URL: url, MaxBody: 1000})
	if err != nil || got.Status != http.StatusFound {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestNoProxyOfTheEnvironment(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") })
	for _, name := range []string{"HTTP_PROXY", "http_proxy"} {
		t.Setenv(name, proxy)
	}
	// The name does not exist, so only a proxy could answer.
	_, err := podclient.New().Do(t.Context(), podclient.Request{URL: "http://pod.invalid/"})
	if err == nil {
		t.Error("answered")
	}
}

func TestSizeOfTheAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		size     int
		max      int64
		want     int
		tooLarge bool
	}{
		"fits exactly":      {size: 100, max: 100, want: 100},
		"one byte more":     {size: 101, max: 100, tooLarge: true},
		"body not asked":    {size: 1 << 20, max: 0, want: 0},
		"no body":           {size: 0, max: 100, want: 0},
		"far more, quickly": {size: 64 << 20, max: 100, tooLarge: true},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.CopyN(w, zeros{}, int64(tc.size))
			})
			got, err := podclient.New().Do(t.Context(), podclient.Request{URL: url, MaxBody: tc.max})
			var tooLarge *podclient.TooLargeError
			if errors.As(err, &tooLarge) != tc.tooLarge || (err != nil) != tc.tooLarge {
				t.Fatalf("got error %v", err)
			}
			if len(got.Body) != tc.want {
				t.Errorf("got %d bytes, want %d", len(got.Body), tc.want)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestHugeHeadersAreRefused(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("a", 1<<20))
	})
	if _, err := podclient.New().Do(t.Context(), podclient.Request{URL: url}); err == nil {
		t.Error("read a header of a mebibyte")
	}
}

func TestAHangingPodIsLeft(t *testing.T) {
	stop := make(chan struct{})
	handlers := map[string]http.HandlerFunc{
		"before the answer": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		},
		"within the body": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		},
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := podclient.New().Do(ctx, podclient.Request{URL: serve(t, handler), MaxBody: 100})
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the deadline", err)
			}
		})
	}
	close(stop)
}

func TestWhatIsNoAnswer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	_ = listener.Close()
	broken := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
		panic(http.ErrAbortHandler)
	})
	for name, url := range map[string]string{"nobody listens": closed, "breaks off": broken, "no URL": "http://[::1"} {
		t.Run(name, func(t *testing.T) {
			if got, err := podclient.New().Do(t.Context(), podclient.Request{URL: url, MaxBody: 1000}); err == nil {
				t.Errorf("got %+v", got)
			}
		})
	}
}
