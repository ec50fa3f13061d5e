package rights_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/test/rights"
)

func TestRightsAllowRequests(t *testing.T) {
	pods := rights.Request{Verb: "get", Resource: "pods", Namespace: "a", Name: "x"}
	for name, tc := range map[string]struct {
		right   rights.Right
		request rights.Request
		want    bool
	}{
		"the same":                              {rights.Right{Verb: "get", Resource: "pods"}, pods, true},
		"another verb":                          {rights.Right{Verb: "list", Resource: "pods"}, pods, false},
		"another group":                         {rights.Right{Verb: "get", Group: "metrics.k8s.io", Resource: "pods"}, pods, false},
		"any verb":                              {rights.Right{Verb: "*", Resource: "pods"}, pods, true},
		"any group and resource":                {rights.Right{Verb: "get", Group: "*", Resource: "*"}, pods, true},
		"in its namespace":                      {rights.Right{Verb: "get", Resource: "pods", Namespace: "a"}, pods, true},
		"in another namespace":                  {rights.Right{Verb: "get", Resource: "pods", Namespace: "b"}, pods, false},
		"of its name":                           {rights.Right{Verb: "get", Resource: "pods", Name: "x"}, pods, true},
		"of another name":                       {rights.Right{Verb: "get", Resource: "pods", Name: "y"}, pods, false},
		"a name where none is asked":            {rights.Right{Verb: "list", Resource: "pods", Name: "x"}, rights.Request{Verb: "list", Resource: "pods"}, false},
		"a resource is not its subresource":     {rights.Right{Verb: "get", Resource: "pods"}, rights.Request{Verb: "get", Resource: "pods/log"}, false},
		"a subresource is not its resource":     {rights.Right{Verb: "get", Resource: "pods/log"}, pods, false},
		"a subresource":                         {rights.Right{Verb: "get", Resource: "pods/log"}, rights.Request{Verb: "get", Resource: "pods/log"}, true},
		"a subresource of any resource":         {rights.Right{Verb: "get", Resource: "*/log"}, rights.Request{Verb: "get", Resource: "pods/log"}, true},
		"another subresource of any resource":   {rights.Right{Verb: "get", Resource: "*/scale"}, rights.Request{Verb: "get", Resource: "pods/log"}, false},
		"all resources, their subresources too": {rights.Right{Verb: "get", Resource: "*"}, rights.Request{Verb: "get", Resource: "pods/log"}, true},
		"a path":                                {rights.Right{Verb: "get", Path: "/metrics"}, rights.Request{Verb: "get", Path: "/metrics"}, true},
		"a path below":                          {rights.Right{Verb: "get", Path: "/metrics"}, rights.Request{Verb: "get", Path: "/metrics/slis"}, false},
		"paths below":                           {rights.Right{Verb: "get", Path: "/metrics/*"}, rights.Request{Verb: "get", Path: "/metrics/slis"}, true},
		"a path is no resource":                 {rights.Right{Verb: "get", Path: "*"}, pods, false},
		"a resource is no path":                 {rights.Right{Verb: "get", Group: "*", Resource: "*"}, rights.Request{Verb: "get", Path: "/metrics"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.right.Allows(tc.request); got != tc.want {
				t.Errorf("%s allows %s: %t, want %t", tc.right, tc.request, got, tc.want)
			}
		})
	}
}

const manifests = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: worker, namespace: home}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: worker}
rules:
- {apiGroups: [""], resources: [pods, pods/log], verbs: [get]}
- {apiGroups: ["", apps], resources: [deployments], verbs: [list, watch]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: worker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: worker}
subjects: [{kind: ServiceAccount, name: worker, namespace: home}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: election, namespace: home}
rules:
- {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [one, two], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: election, namespace: home}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: election}
subjects: [{kind: ServiceAccount, name: worker, namespace: home}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: of-somebody-else}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: worker, namespace: elsewhere}, {kind: User, name: worker}]
`

var worker = types.NamespacedName{Namespace: "home", Name: "worker"}

func granted(t testing.TB, manifests string) []rights.Right {
	t.Helper()
	out, err := rights.Granted(strings.NewReader(manifests), worker)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRightsAreThoseOfTheRolesThatAreBound(t *testing.T) {
	var got []string
	for _, right := range granted(t, manifests) {
		got = append(got, right.String())
	}
	want := []string{
		"get pods", "get pods/log",
		"list deployments", "list deployments.apps", "watch deployments", "watch deployments.apps",
		"get /metrics",
		"update leases.coordination.k8s.io one in home", "update leases.coordination.k8s.io two in home",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatARoleGrantsMustBeKnown(t *testing.T) {
	const bound = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: worker, namespace: home}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{kind: ServiceAccount, name: worker, namespace: home}]
`
	for name, text := range map[string]string{
		"not among the manifests": bound,
		"put together from other roles": bound + `---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: admin}
aggregationRule: {clusterRoleSelectors: [{}]}
`,
		"unknown field": bound + `---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: admin}
rules: [{apiGroup: apps}]
`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := rights.Granted(strings.NewReader(text), worker); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want an error that says %q", err, name)
			}
		})
	}
}

// line is an audit event of the worker a minute after the start.
func line(rest string) string {
	return `{"kind":"Event","level":"Metadata","stage":"ResponseComplete","requestReceivedTimestamp":"2026-01-01T00:01:00.000000Z",` +
		`"user":{"username":"system:serviceaccount:home:worker"},` + rest + "}\n"
}

const allowed = `"annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":` +
	`"RBAC: allowed by ClusterRoleBinding \"worker\" of ClusterRole \"worker\" to ServiceAccount \"worker/home\""}`

var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

	get       = line(`"verb":"get","objectRef":{"resource":"pods","namespace":"a","name":"x","apiVersion":"v1"},"responseStatus":{"code":200},` + allowed)
	forbidden = line(`"verb":"list","objectRef":{"resource":"nodes","apiVersion":"v1"},"responseStatus":{"code":403},` +
		`"annotations":{"authorization.k8s.io/decision":"forbid","authorization.k8s.io/reason":""}`)
)

func applied(code, message string) string {
	return line(`"verb":"patch","objectRef":{"resource":"deployments","namespace":"a","name":"x","apiGroup":"apps","apiVersion":"v1"},` +
		`"responseStatus":{"code":` + code + `,"message":"` + message + `"},` + allowed)
}

func TestRequestsOfAnAuditLog(t *testing.T) {
	deployment := rights.Request{Group: "apps", Resource: "deployments", Namespace: "a", Name: "x", Role: "worker"}
	patch, create, refused := deployment, deployment, deployment
	patch.Verb, create.Verb, refused.Verb = "patch", "create", "create"
	refused.Refused = true
	for name, tc := range map[string]struct {
		log  string
		want []rights.Request
	}{
		"nothing": {"", nil},
		"the same one twice": {
			get + get,
			[]rights.Request{{Verb: "get", Resource: "pods", Namespace: "a", Name: "x", Role: "worker"}},
		},
		"of another user":              {strings.Replace(get, "home:worker", "home:other", 1), nil},
		"before the start":             {strings.Replace(get, "2026", "2025", 1), nil},
		"a line that is not ended":     {get[:len(get)/2], nil},
		"refused":                      {forbidden, []rights.Request{{Verb: "list", Resource: "nodes", Refused: true}}},
		"applied to what is there":     {applied("200", ""), []rights.Request{patch}},
		"applied to what is not there": {applied("201", ""), []rights.Request{patch, create}},
		"applied, may not create":      {applied("403", `deployments.apps \"x\" is forbidden: User \"u\" cannot create resource \"deployments\"`), []rights.Request{patch, refused}},
		"applied, refused by a quota":  {applied("403", "exceeded quota"), []rights.Request{patch}},
		"a subresource": {
			line(`"verb":"patch","objectRef":{"resource":"releases","apiGroup":"example.com","name":"x","subresource":"status"},"responseStatus":{"code":200},` + allowed),
			[]rights.Request{{Verb: "patch", Group: "example.com", Resource: "releases/status", Name: "x", Role: "worker"}},
		},
		"made under a name": {
			line(`"verb":"create","objectRef":{"resource":"events","namespace":"a","name":"x"},"responseStatus":{"code":201},` + allowed),
			[]rights.Request{{Verb: "create", Resource: "events", Namespace: "a", Role: "worker"}},
		},
		"a path": {
			line(`"verb":"get","requestURI":"/apis?timeout=1s","responseStatus":{"code":200},"annotations":{"authorization.k8s.io/reason":` +
				`"RBAC: allowed by ClusterRoleBinding \"system:discovery\" of ClusterRole \"system:discovery\" to Group \"system:authenticated\""}`),
			[]rights.Request{{Verb: "get", Path: "/apis", Role: "system:discovery"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := rights.Requests(strings.NewReader(tc.log), "system:serviceaccount:home:worker", start)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if _, err := rights.Requests(strings.NewReader(get+"no event\n"), "worker", start); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a line that is no event: %v", err)
	}
}

func TestComparison(t *testing.T) {
	const role = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: worker}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: worker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: worker}
subjects: [{kind: ServiceAccount, name: worker, namespace: home}]
`
	got, list := rights.Request{Verb: "get", Resource: "pods", Role: "worker"}, rights.Request{Verb: "list", Resource: "pods", Role: "worker"}
	refused := got
	refused.Refused = true
	for name, tc := range map[string]struct {
		requests            []rights.Request
		exceptions, chances map[string]string

		wanting, needless, untrue []string
	}{
		"all is used": {requests: []rights.Request{got, list}},
		"one is not":  {requests: []rights.Request{got}, needless: []string{"list pods"}},
		"none is, since what was refused was not let": {
			requests: []rights.Request{refused}, needless: []string{"get pods", "list pods"},
		},
		"one is not, for a reason": {requests: []rights.Request{got}, exceptions: map[string]string{"list pods": "old servers"}},
		"one is not, for no reason": {
			requests: []rights.Request{got}, exceptions: map[string]string{"list pods": ""},
			needless: []string{"list pods"}, untrue: []string{"list pods: no reason is given"},
		},
		"an exception is used": {
			requests: []rights.Request{got, list}, exceptions: map[string]string{"list pods": "old servers"},
			untrue: []string{"list pods: it is used"},
		},
		"an exception is not granted": {
			requests: []rights.Request{got, list}, exceptions: map[string]string{"watch pods": "old servers"},
			untrue: []string{"watch pods: it is not granted"},
		},
		"one is not used in this run": {requests: []rights.Request{got}, chances: map[string]string{"list pods": "now and then"}},
		"or is, in another":           {requests: []rights.Request{got, list}, chances: map[string]string{"list pods": "now and then"}},
		"one may not be used, but is not granted": {
			requests: []rights.Request{got, list}, chances: map[string]string{"watch pods": "now and then"},
			untrue: []string{"watch pods: no reason is given, or it is not granted"},
		},
		"more is asked for": {
			requests: []rights.Request{got, list, {Verb: "delete", Resource: "pods", Namespace: "a", Name: "x", Refused: true}, {Verb: "delete", Resource: "pods", Namespace: "a", Name: "y", Refused: true}},
			wanting:  []string{"delete pods in a: refused"},
		},
		"more is let, by another role": {
			requests: []rights.Request{got, list, {Verb: "delete", Resource: "pods", Role: "cluster-admin"}, {Verb: "get", Resource: "nodes"}},
			wanting:  []string{"delete pods: allowed by cluster-admin", "get nodes: allowed by a role that is not named"},
		},
		"what everybody may": {requests: []rights.Request{got, list, {Verb: "get", Path: "/apis", Role: "system:discovery"}}},
	} {
		t.Run(name, func(t *testing.T) {
			account := rights.Account{Granted: granted(t, role), Requests: tc.requests, Exceptions: tc.exceptions, Chances: tc.chances}
			for what, pair := range map[string][2][]string{
				"wanting": {tc.wanting, account.Wanting()}, "needless": {tc.needless, account.Needless()}, "untrue": {tc.untrue, account.Untrue()},
			} {
				if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", what, diff)
				}
			}
		})
	}
}
