// Package rights compares what an account may do with what it did: the roles that are bound to it, as they are installed, with the audit
// log of an API server. It owns what a right is, which requests use it, and when an exception is none. It asks nobody: whoever has the
// manifests and the log hands them over.
package rights

import (
	"slices"
	"strings"
)

// Everything stands in a rule for any verb, group, resource or path.
const everything = "*"

// A Right is one verb on one resource, or on one path of the API server: what is left of a rule when its lists are multiplied.
type Right struct {
	Verb string
	// Group and Resource are those of a rule; a subresource follows a slash. Both are empty for a path.
	Group, Resource string
	// Name limits the right to one object; empty for all.
	Name string
	// Namespace limits the right to one namespace; empty for all, and for what lies in none.
	Namespace string
	// Path is a URL that is no resource, and may end in a star.
	Path string
}

// String is how people read a right, and how exceptions name it: "patch releases.platform.mirubato.com/status in some-namespace".
func (r Right) String() string {
	if r.Path != "" {
		return r.Verb + " " + r.Path
	}
	out := r.Verb + " " + qualified(r.Group, r.Resource)
	if r.Name != "" {
		out += " " + r.Name
	}
	if r.Namespace != "" {
		out += " in " + r.Namespace
	}
	return out
}

func qualified(group, resource string) string {
	if group == "" {
		return resource
	}
	resource, subresource, found := strings.Cut(resource, "/")
	out := resource + "." + group
	if found {
		out += "/" + subresource
	}
	return out
}

// Allows tells whether a request is within the right.
func (r Right) Allows(q Request) bool {
	if !matches(r.Verb, q.Verb) {
		return false
	}
	if r.Path != "" || q.Path != "" {
		return r.Path != "" && q.Path != "" && allowsPath(r.Path, q.Path)
	}
	return matches(r.Group, q.Group) && allowsResource(r.Resource, q.Resource) &&
		(r.Name == "" || r.Name == q.Name) && (r.Namespace == "" || r.Namespace == q.Namespace)
}

func matches(granted, asked string) bool { return granted == everything || granted == asked }

// allowsPath knows the star at the end of a path, the only place where it means something.
func allowsPath(granted, asked string) bool {
	if prefix, open := strings.CutSuffix(granted, everything); open {
		return strings.HasPrefix(asked, prefix)
	}
	return granted == asked
}

// allowsResource knows "*", which subresources are part of, and "*/scale". A resource alone does not allow its subresources.
func allowsResource(granted, asked string) bool {
	if matches(granted, asked) {
		return true
	}
	of, subresource, found := strings.Cut(granted, "/")
	return found && of == everything && strings.HasSuffix(asked, "/"+subresource)
}

// Account is whose rights and requests are compared.
type Account struct {
	Granted  []Right
	Requests []Request
	// Exceptions give the reason why a right is granted that no request uses, by the String of the right.
	Exceptions map[string]string
	// Chances give the reason why a right is granted that some runs use and others do not, in the same way.
	Chances map[string]string
}

// Wanting lists the requests that no right allows, and that were refused for it or let pass by somebody else's role. Roles of Kubernetes,
// named system:, are what every account has.
func (a Account) Wanting() []string {
	var out []string
	for _, request := range a.Requests {
		allows := func(r Right) bool { return r.Allows(request) }
		if slices.ContainsFunc(a.Granted, allows) || !request.Refused && strings.HasPrefix(request.Role, "system:") {
			continue
		}
		out = append(out, request.String())
	}
	return unique(out)
}

// Needless lists the rights that no request uses and that no exception excuses.
func (a Account) Needless() []string {
	var out []string
	for _, right := range a.Granted {
		if a.Exceptions[right.String()] == "" && a.Chances[right.String()] == "" && !a.used(right) {
			out = append(out, right.String())
		}
	}
	return unique(out)
}

// Untrue lists the exceptions that are none: without a reason, for what is not granted, or for what is used.
func (a Account) Untrue() []string {
	var out []string
	for name, reason := range a.Chances {
		if reason == "" || !slices.ContainsFunc(a.Granted, func(r Right) bool { return r.String() == name }) {
			out = append(out, name+": no reason is given, or it is not granted")
		}
	}
	for name, reason := range a.Exceptions {
		i := slices.IndexFunc(a.Granted, func(r Right) bool { return r.String() == name })
		switch {
		case reason == "":
			out = append(out, name+": no reason is given")
		case i < 0:
			out = append(out, name+": it is not granted")
		case a.used(a.Granted[i]):
			out = append(out, name+": it is used")
		}
	}
	return unique(out)
}

// used tells whether a request needed the right. One that was refused did not get it, whatever the roles say now.
func (a Account) used(right Right) bool {
	return slices.ContainsFunc(a.Requests, func(q Request) bool { return !q.Refused && right.Allows(q) })
}

func unique(lines []string) []string {
	slices.Sort(lines)
	return slices.Compact(lines)
}
