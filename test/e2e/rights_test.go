//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/test/rights"
)

// unshown are the rights that the scenarios do not use, and why they are granted all the same. One that is used after all, or is not
// granted any more, fails TestRightsAreThoseThatAreUsed.
var unshown = map[string]string{
	"get backups.postgresql.cnpg.io":                 noCloudNativePG,
	"list backups.postgresql.cnpg.io":                noCloudNativePG,
	"create backups.postgresql.cnpg.io":              noCloudNativePG,
	"delete backups.postgresql.cnpg.io":              noCloudNativePG,
	"get volumesnapshots.snapshot.storage.k8s.io":    noSnapshots,
	"list volumesnapshots.snapshot.storage.k8s.io":   noSnapshots,
	"create volumesnapshots.snapshot.storage.k8s.io": noSnapshots,
	"delete volumesnapshots.snapshot.storage.k8s.io": noSnapshots,
}

// Why rights on backups that somebody else makes are not shown here.
const (
	noCloudNativePG = "only make foreign-backups installs CloudNativePG; it and the tests of controllers/microservice use the right"
	noSnapshots     = "only make foreign-backups has volumes that can be snapshotted; it and the tests of controllers/microservice use the right"
)

// byChance are those that some runs use and others do not, and why. One that is not granted any more fails the test as well.
var byChance = map[string]string{
	"patch events.events.k8s.io": "two events of one type and reason become a series only if the object was not written in between",
}

// TestRightsAreThoseThatAreUsed comes last. It compares the roles of the operator, as they are installed, with what the API server wrote
// down of it while the scenarios ran: nothing that it asked for is missing and, if all of them ran, nothing is granted that it did not
// use.
func TestRightsAreThoseThatAreUsed(t *testing.T) {
	operator := types.NamespacedName{Namespace: "mirubato-system", Name: "mirubato-operator"}
	installed, err := suite.tools.run(t.Context(), "kubectl", "kustomize", filepath.Join("config", "local"))
	if err != nil {
		t.Fatal(err)
	}
	// A scenario turns the dashboard on, which has a role of its own.
	dashboard, err := suite.tools.run(t.Context(), "helm", "template", operator.Name, filepath.Join("charts", "mirubato-operator"),
		"--namespace", operator.Namespace, "--show-only", "templates/dashboard.yaml", "--set", "dashboard.enabled=true", "--set", "dashboard.plaintext=true")
	if err != nil {
		t.Fatal(err)
	}
	installed += "\n---\n" + dashboard
	if provider(t) == "kind" {
		t.Skip("kind's API server keeps no audit log where it can be read")
	}
	account := rights.Account{Exceptions: unshown, Chances: byChance}
	if account.Granted, err = rights.Granted(strings.NewReader(installed), operator); err != nil {
		t.Fatal(err)
	}
	user := fmt.Sprintf("system:serviceaccount:%s:%s", operator.Namespace, operator.Name)
	if account.Requests, err = audited(filepath.Join(suite.local, "cluster", "logs"), user, suite.started); err != nil {
		t.Fatal(err)
	}
	for _, request := range account.Wanting() {
		t.Errorf("not granted: %s", request)
	}
	if *directory != "scenarios" || flag.Lookup("test.run").Value.String() != "" {
		t.Log("not all scenarios ran, so that rights which none used are not looked for")
		return
	}
	for _, right := range account.Needless() {
		t.Errorf("granted and never used: %s: take it out, or let a scenario show it", right)
	}
	for _, exception := range account.Untrue() {
		t.Errorf("no exception: %s", exception)
	}
	t.Logf("%d rights are granted, all but %d used, by %d different requests", len(account.Granted), len(unshown), len(account.Requests))
}

// provider is what runs the cluster.
func provider(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(suite.local, "cluster", "cluster.json"))
	if err != nil {
		t.Fatal(err)
	}
	var record struct {
		Provider string `json:"provider"`
	}
	if err := json.Unmarshal(content, &record); err != nil {
		t.Fatal(err)
	}
	return record.Provider
}

// audited reads the audit log and, before it, what was moved out of it when it was full.
func audited(logs, user string, since time.Time) ([]rights.Request, error) {
	files, err := filepath.Glob(filepath.Join(logs, "audit*.log"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("the cluster has no audit log: stop it by make cluster-down and start it again")
	}
	var out []rights.Request
	for _, file := range files {
		log, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		requests, err := rights.Requests(log, user, since)
		if err = errors.Join(err, log.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, requests...)
	}
	return out, nil
}
