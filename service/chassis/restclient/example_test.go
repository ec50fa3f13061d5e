package restclient_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
	"github.com/mirubato/mirubato/service/chassis/resilience"
	"github.com/mirubato/mirubato/service/chassis/restclient"
)

// A service that looks words up in another one, the dictionary.
func ExampleCall() {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpapi.OK(word{Text: "largo", Meaning: "broad and slow"}).Write(r.Context(), w)
	}))
	defer other.Close()
	base, err := url.Parse(other.URL)
	if err != nil {
		fmt.Println(err)
		return
	}

	// In the wiring: the protection follows settings.resilience.upstreams, and the client uses it.
	live := settings.Default()
	upstream := func() settings.Protection { return live.Resilience.UpstreamOf("dictionary") }
	dictionary := restclient.New(restclient.Config{Base: base, Conns: 10, Shield: resilience.New(resilience.Config{
		Dependency: "dictionary", Judge: restclient.Judge, Observer: unmeasured{}, Logger: slog.New(slog.DiscardHandler),
		Policy: func() resilience.Policy { return resilience.PolicyOf(upstream(), *live.Resilience.RetryBudget) },
		Bulkhead: resilience.NewBulkhead(func() resilience.Limits {
			b := *upstream().Bulkhead
			return resilience.LimitsOf(b, int(*b.Concurrency))
		}),
	})})
	defer dictionary.Close()

	// In the service: one function an operation.
	lookUp := restclient.Call[string, word](dictionary, restclient.Operation[string]{
		Method: http.MethodGet,
		Path:   func(text string) ([]string, url.Values) { return []string{"api", "words", text}, nil },
	})
	found, err := lookUp(context.Background(), "largo")
	fmt.Println(found.Meaning, err)
	// Output: broad and slow <nil>
}
