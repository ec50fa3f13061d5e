package rights

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// A Request is what an account asked for, as far as rights are concerned.
type Request struct {
	Verb            string
	Group, Resource string
	Namespace, Name string
	// Path of what is no resource.
	Path string
	// Refused for lack of a right. What was refused for another reason, a quota for instance, had the right.
	Refused bool
	// Role is the one that the API server let it pass by; empty if it does not say.
	Role string
}

func (q Request) String() string {
	out := Right{Verb: q.Verb, Group: q.Group, Resource: q.Resource, Namespace: q.Namespace, Path: q.Path}.String()
	switch {
	case q.Refused:
		return out + ": refused"
	case q.Role != "":
		return out + ": allowed by " + q.Role
	default:
		return out + ": allowed by a role that is not named"
	}
}

// event is the part of an audit event (audit.k8s.io/v1) that is looked at.
type event struct {
	Verb string `json:"verb"`
	User struct {
		Username string `json:"username"`
	} `json:"user"`
	RequestURI string    `json:"requestURI"`
	Received   time.Time `json:"requestReceivedTimestamp"`
	ObjectRef  *struct {
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		APIGroup    string `json:"apiGroup"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
	Annotations map[string]string `json:"annotations"`
}

const (
	decision = "authorization.k8s.io/decision"
	reason   = "authorization.k8s.io/reason"
)

// Requests reads those of a user since a moment, each but once, from an audit log: a JSON object a line. A last line that is not ended is
// still being written, and is left out.
func Requests(log io.Reader, user string, since time.Time) ([]Request, error) {
	var out []Request
	seen := map[Request]bool{}
	lines := bufio.NewReader(log)
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		var found event
		if err := json.Unmarshal(line, &found); err != nil {
			return nil, fmt.Errorf("reading line %d of the audit log: %w", number, err)
		}
		if found.User.Username != user || found.Received.Before(since) {
			continue
		}
		for _, request := range found.requests() {
			if !seen[request] {
				seen[request] = true
				out = append(out, request)
			}
		}
	}
}

// roleOf finds the role in the reason that RBAC gives.
var roleOf = regexp.MustCompile(`of (?:ClusterRole|Role) "([^"]+)"`)

// requests are one, or two: to apply an object that is not there takes the right to create it besides that to patch, and the API server
// asks for it without writing it down.
func (e event) requests() []Request {
	asked := Request{Verb: e.Verb, Refused: e.Annotations[decision] == "forbid"}
	if found := roleOf.FindStringSubmatch(e.Annotations[reason]); found != nil {
		asked.Role = found[1]
	}
	if e.ObjectRef == nil {
		asked.Path = e.RequestURI
		if parsed, err := url.Parse(e.RequestURI); err == nil {
			asked.Path = parsed.Path
		}
		return []Request{asked}
	}
	asked.Group, asked.Resource = e.ObjectRef.APIGroup, e.ObjectRef.Resource
	asked.Namespace, asked.Name = e.ObjectRef.Namespace, e.ObjectRef.Name
	if e.ObjectRef.Subresource != "" {
		asked.Resource += "/" + e.ObjectRef.Subresource
	}
	if e.Verb == "create" {
		asked.Name = "" // taken from the object, where authorization does not look
	}
	if e.Verb != "patch" || asked.Refused {
		return []Request{asked}
	}
	made := asked
	made.Verb = "create"
	switch {
	case e.ResponseStatus.Code == http.StatusCreated:
		return []Request{asked, made}
	case e.ResponseStatus.Code == http.StatusForbidden && strings.Contains(e.ResponseStatus.Message, " cannot create resource "):
		made.Refused = true
		return []Request{asked, made}
	}
	return []Request{asked}
}
