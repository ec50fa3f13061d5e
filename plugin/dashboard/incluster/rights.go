package incluster

import (
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/dashboard/board"
)

const (
	microservices = "microservices"
	releases      = "releases"
)

// question is whether somebody may do something. An empty namespace means all of them, an empty name all objects.
type question struct {
	Verb, Resource, Namespace, Name string
}

// command is how whoever is meant asks the same.
func (q question) command() string {
	out := fmt.Sprintf("kubectl auth can-i %s %s.%s", q.Verb, q.Resource, v1alpha1.GroupVersion.Group)
	if q.Name != "" {
		out += "/" + q.Name
	}
	if q.Namespace == "" {
		return out + " --all-namespaces"
	}
	return out + " --namespace " + q.Namespace
}

// asking answers questions about one person. It is called by many at a time.
type asking func(question) (bool, error)

// all tells whether each of some verbs is allowed; it asks for no more once one is not.
func (ask asking) all(resource, namespace, name string, verbs ...string) (bool, error) {
	for _, verb := range verbs {
		if may, err := ask(question{verb, resource, namespace, name}); err != nil || !may {
			return false, err
		}
	}
	return true, nil
}

// follows tells whether all of a kind in a namespace, or everywhere, may be seen as they change: what kubectl get --watch takes.
func (ask asking) follows(resource, namespace string) (bool, error) {
	return ask.all(resource, namespace, "", "list", "watch")
}

// sight is what somebody may see: namespaces whose Microservices they may, and whether also the Releases there.
type sight map[string]bool

// sees is for the board.
func (s sight) sees(kind board.Kind, namespace string) bool {
	history, some := s[namespace]
	return some && (kind == board.Microservices || history)
}

// ofAll is what somebody sees of some namespaces. Whoever may see everything is asked about once, everybody else for each namespace.
func ofAll(ask asking, namespaces []string) (sight, error) {
	everything, err := ask.follows(microservices, "")
	if err != nil {
		return nil, err
	}
	history := false
	if everything {
		if history, err = ask.follows(releases, ""); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	out := sight{}
	var each errgroup.Group
	each.SetLimit(maxReviews)
	for _, namespace := range namespaces {
		each.Go(func() error {
			some, its, err := true, history, error(nil)
			if !everything {
				some, err = ask.follows(microservices, namespace)
			}
			if err == nil && some && !history {
				its, err = ask.follows(releases, namespace)
			}
			if err == nil && some {
				mu.Lock()
				defer mu.Unlock()
				out[namespace] = its
			}
			return err
		})
	}
	return out, each.Wait()
}

// ofOne is what somebody sees of one Microservice: whoever may see all of its namespace, and whoever may see this one, by name.
func ofOne(ask asking, namespace, name string) (sight, error) {
	some, err := ask.follows(microservices, namespace)
	if err == nil && !some {
		some, err = ask.all(microservices, namespace, name, "get", "watch")
	}
	if err != nil || !some {
		return sight{}, err
	}
	history, err := ask.follows(releases, namespace)
	return sight{namespace: history}, err
}
