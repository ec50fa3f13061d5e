//go:build scale

package scale

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// request is what is read of a line of the API server's audit log.
type request struct {
	Verb           string
	RequestURI     string
	ObjectRef      *struct{ Resource, Subresource string }
	ResponseStatus struct{ Code int }
}

// operatorUser is who the operator is to the API server.
const operatorUser = "operator"

// audit has the API server write down each request of the operator.
func (w *world) audit(server *envtest.Environment) {
	w.t.Helper()
	dir := w.t.TempDir()
	w.requests = filepath.Join(dir, "requests")
	policy := filepath.Join(dir, "policy")
	rules := "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n  users: [" + operatorUser + "]\n- level: None\n"
	w.must(os.WriteFile(policy, []byte(rules), 0o600))
	server.ControlPlane.GetAPIServer().Configure().Set("audit-policy-file", policy).Set("audit-log-path", w.requests)
}

// tellCalls lists what the operator has asked of the API server since the last time, for each Microservice of n.
func (w *world) tellCalls(during string, n int) {
	w.t.Helper()
	if w.requests == "" {
		return
	}
	file, err := os.Open(w.requests)
	w.must(err)
	defer func() { _ = file.Close() }()
	counted := map[string]int{}
	lines := bufio.NewScanner(file)
	const longest = 1 << 20
	lines.Buffer(nil, longest)
	line := 0
	for ; lines.Scan(); line++ {
		if line < w.told {
			continue
		}
		var one request
		w.must(json.Unmarshal(lines.Bytes(), &one))
		counted[one.String()]++
	}
	w.must(lines.Err())
	w.told = line
	names := slices.SortedFunc(maps.Keys(counted), func(a, b string) int { return cmp.Or(counted[b]-counted[a], strings.Compare(a, b)) })
	for _, name := range names {
		w.t.Logf("%s, calls for a Microservice: %6.2f %s", during, float64(counted[name])/float64(n), name)
	}
}

// String names a request by what it does and to what.
func (r request) String() string {
	out := r.Verb + " " + r.RequestURI
	if of := r.ObjectRef; of != nil {
		out = strings.TrimSuffix(r.Verb+" "+of.Resource+"/"+of.Subresource, "/")
	}
	if r.ResponseStatus.Code >= http.StatusBadRequest {
		out += fmt.Sprintf(" (%d)", r.ResponseStatus.Code)
	}
	return out
}
