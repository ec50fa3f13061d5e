package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/dashboard/board"
	"github.com/mirubato/mirubato/plugin/steering"
)

// breath is the least time between two messages: what changes faster is told together.
const breath = 100 * time.Millisecond

// events tells the present state and every change, until the page goes.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	scope := board.Scope{Namespace: r.URL.Query().Get("namespace"), Name: r.URL.Query().Get("name")}
	answered, err := board.Stream(w, r, board.Pace{Breath: breath}, func(context.Context) (board.Message, <-chan struct{}, error) {
		now := s.board.Now(scope)
		what, err := board.Told(now, scope)
		return what, now.Changed, err
	}, s.options.Say)
	if err != nil && !answered {
		refuse(w, http.StatusInternalServerError, s.options.Say(err))
	}
}

// rights is which orders somebody may give.
type rights struct {
	// Steer is all but approving.
	Steer bool `json:"steer"`
	// Approve are the environments that may be approved.
	Approve []string `json:"approve"`
}

// rights asks the API server which orders may be given to a Microservice.
func (s *Server) rights(w http.ResponseWriter, r *http.Request) {
	found := s.board.Now(board.Scope{Namespace: r.URL.Query().Get("namespace"), Name: r.URL.Query().Get("name")}).Microservices
	if r.URL.Query().Get("name") == "" || len(found) == 0 {
		refuse(w, http.StatusNotFound, "There is no such Microservice.")
		return
	}
	ms, out := found[0], rights{Approve: []string{}}
	var err error
	if out.Steer, err = s.may(r.Context(), "patch", "microservices", ms.Namespace, ms.Name); err != nil {
		refuse(w, http.StatusBadGateway, s.options.Say(err))
		return
	}
	for _, e := range ms.Spec.Environments {
		// Those that there are have to be read, lest somebody approves twice.
		may := true
		for _, verb := range []string{"create", "list"} {
			if may {
				may, err = s.may(r.Context(), verb, "approvals", e.Namespace, "")
			}
			if err != nil {
				refuse(w, http.StatusBadGateway, s.options.Say(err))
				return
			}
		}
		if may {
			out.Approve = append(out.Approve, e.Name)
		}
	}
	answer(w, out)
}

// reviewTimeout bounds how long the API server may take to say what is allowed. It is asked to the end even if the page has gone on.
const reviewTimeout = 10 * time.Second

func (s *Server) may(ctx context.Context, verb, resource, namespace, name string) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Group: v1alpha1.GroupVersion.Group, Resource: resource, Verb: verb, Namespace: namespace, Name: name,
		},
	}}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reviewTimeout)
	defer cancel()
	if err := s.options.Client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("asking which orders you may give: %w", err)
	}
	return review.Status.Allowed, nil
}

// maxOrder is how many bytes an order may have.
const maxOrder = 4 << 10

// outcome is what came of an order.
type outcome struct {
	Message string `json:"message"`
}

// order gives an order and waits until it was carried out. It is not idempotent: an order that is given twice is carried out twice.
func (s *Server) order(w http.ResponseWriter, r *http.Request) {
	given, from := Order{}, json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder))
	from.DisallowUnknownFields()
	if err := from.Decode(&given); err != nil {
		refuse(w, http.StatusBadRequest, "This is no order: "+err.Error())
		return
	}
	if problem := given.problem(); problem != "" {
		refuse(w, http.StatusBadRequest, problem)
		return
	}
	done, err := s.options.Give(r.Context(), given)
	if err != nil {
		refuse(w, http.StatusConflict, s.options.Say(err))
		return
	}
	answer(w, outcome{done})
}

// problem says what an order lacks; empty if nothing.
func (o Order) problem() string {
	all := []steering.Verb{steering.Pause, steering.Resume, steering.Retry}
	one := []steering.Verb{steering.Abort, steering.Approve, steering.Hold, steering.Resume, steering.Rollback}
	switch {
	case o.Namespace == "" || o.Name == "":
		return "An order names the namespace and the name of a Microservice."
	case o.Environment == "" && !slices.Contains(all, o.Verb):
		return fmt.Sprintf("%q is no order for all environments.", o.Verb)
	case o.Environment != "" && !slices.Contains(one, o.Verb):
		return fmt.Sprintf("%q is no order for one environment.", o.Verb)
	case o.Release == "" && (o.Verb == steering.Rollback || o.Verb == steering.Hold):
		return "This order names the release that was shown."
	case o.Plan == "" && o.Verb == steering.Approve:
		return "An approval names the plan that was shown."
	}
	return ""
}

func answer(w http.ResponseWriter, what any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(what) // a page that is gone is told nothing
}

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(outcome{text}) // a page that is gone is told nothing
}
