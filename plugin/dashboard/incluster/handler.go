package incluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mirubato/mirubato/plugin/dashboard/board"
	"github.com/mirubato/mirubato/plugin/dashboard/page"
)

// Handler answers requests. There is no route by which anything of a Microservice could be changed.
func (s *Server) Handler() http.Handler {
	files := page.Files("place-incluster.js")
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.door(files))
	mux.Handle("GET /site/{file}", files)
	mux.HandleFunc("GET /api/events", s.events)
	mux.HandleFunc("POST /signin", s.signIn)
	mux.HandleFunc("POST /signout", s.signOut)
	// A form elsewhere could sign somebody in as another, or out.
	return s.withHeaders(http.NewCrossOriginProtection().Handler(mux))
}

// aYear is how long browsers shall know that the dashboard is reached over TLS only.
const aYear = "max-age=31536000"

func (s *Server) withHeaders(next http.Handler) http.Handler {
	policy := page.PolicyWithForms()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.SetHeaders(w.Header(), policy)
		if r.TLS != nil {
			w.Header().Set("Strict-Transport-Security", aYear)
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answering)) // a writer that knows no deadlines is one of a test
		next.ServeHTTP(w, r)
	})
}

// refusal is an answer that is no state, for whoever asks.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

// breath is the least time between two messages. It is longer than on one's own machine: there may be many who look.
const breath = 500 * time.Millisecond

// events tells the present state and every change, until the page goes, its reader is too slow, or the one who looks may no longer.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	scope := board.Scope{Namespace: r.URL.Query().Get("namespace"), Name: r.URL.Query().Get("name"), ReadOnly: true}
	if problem := misnamed(scope); problem != "" {
		refuse(w, http.StatusBadRequest, problem)
		return
	}
	who, _, err := s.caller(r.Context(), r)
	if err != nil {
		s.refuseFor(w, err)
		return
	}
	giveBack, problem := s.places.take(who.user.Username)
	if problem != "" {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusTooManyRequests, problem)
		return
	}
	defer giveBack()
	// What was believed is asked for again as soon as it is no longer.
	pace := board.Pace{Breath: min(breath, s.options.Believed), Most: s.options.Believed}
	answered, err := board.Stream(w, r, pace, func(ctx context.Context) (board.Message, <-chan struct{}, error) { return s.look(ctx, r, scope) }, s.say)
	if err != nil && !answered {
		s.refuseFor(w, err)
	}
}

// misnamed says what is wrong with names that no object can have.
func misnamed(scope board.Scope) string {
	switch {
	case scope.Name == "" && scope.Namespace == "":
		return ""
	case scope.Name == "" || scope.Namespace == "":
		return "Name both namespace and name of a Microservice, or neither for all of them."
	case len(validation.IsDNS1123Label(scope.Namespace))+len(validation.IsDNS1123Subdomain(scope.Name)) > 0:
		return "These are no names of a namespace and a Microservice."
	}
	return ""
}

// look is what somebody sees now. Who they are and what they may is asked each time.
func (s *Server) look(ctx context.Context, r *http.Request, scope board.Scope) (board.Message, <-chan struct{}, error) {
	who, viewer, err := s.caller(ctx, r)
	if err != nil {
		return board.Message{}, nil, err
	}
	seen, err := s.sight(ctx, who, scope)
	if err != nil {
		return board.Message{}, nil, err
	}
	scope.Viewer, scope.Sees = viewer, seen.sees
	now := s.board.Now(scope)
	if scope.Name != "" && !seen[scope.Namespace] {
		now.Link.Releases = "you may not list and watch them. Ask: " + question{Verb: "list", Resource: releases, Namespace: scope.Namespace}.command()
	}
	what, err := board.Told(now, scope)
	return what, now.Changed, err
}

// sight is what somebody may see of what they ask for; a refusal if that is nothing.
func (s *Server) sight(ctx context.Context, who *person, scope board.Scope) (sight, error) {
	ask := s.reviews.of(ctx, who)
	var seen sight
	var err error
	if scope.Name != "" {
		seen, err = ofOne(ask, scope.Namespace, scope.Name)
	} else {
		seen, err = s.ofAll(ask)
	}
	if err == nil && len(seen) == 0 {
		err = refusal{http.StatusForbidden, nothing(who.user.Username, scope)}
	}
	return seen, err
}

// ofAll sees nothing of a cluster without Microservices, which whoever may see everything may know.
func (s *Server) ofAll(ask asking) (sight, error) {
	namespaces := s.board.Namespaces()
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	return ofAll(ask, namespaces)
}

// nothing says what somebody may not, and how they can see that for themselves.
func nothing(name string, scope board.Scope) string {
	if scope.Name != "" {
		return fmt.Sprintf("%s may not see Microservice %s in namespace %s. Ask: %s", name, scope.Name, scope.Namespace,
			question{Verb: "get", Resource: microservices, Namespace: scope.Namespace, Name: scope.Name}.command())
	}
	return fmt.Sprintf("%s may list and watch Microservices in no namespace that has one. Ask: %s", name,
		question{Verb: "list", Resource: microservices, Namespace: "NAMESPACE"}.command())
}

// say words an error for whoever looks. What the API server said stays in the log.
func (s *Server) say(err error) string {
	refused := refusal{}
	switch {
	case errors.As(err, &refused):
		return refused.text
	case errors.Is(err, errUnknown):
		return saidUnknown
	case errors.Is(err, context.Canceled):
		return "" // nobody looks any more
	}
	s.options.Log.Error(err, "showing the dashboard")
	return "The API server does not say what you may see. It is asked again."
}

func (s *Server) refuseFor(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	refused := refusal{}
	switch {
	case errors.As(err, &refused):
		status = refused.status
	case errors.Is(err, errUnknown):
		w.Header().Set("WWW-Authenticate", "Bearer")
		status = http.StatusUnauthorized
	}
	refuse(w, status, s.say(err))
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": text}) // a page that is gone is told nothing
}
