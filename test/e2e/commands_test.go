//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mirubato/mirubato/test/results"
)

// megabyte is the unit of sizes in figures.
const megabyte = 1e6

// setUp gives each scenario its programs and a prefix for the names of its namespaces.
func setUp(env *testscript.Env) error {
	env.Setenv("KUBECONFIG", suite.local+"/kubeconfig")
	env.Setenv("PATH", suite.local+"/bin:"+os.Getenv("PATH"))
	env.Setenv("ROOT", suite.root)
	env.Setenv("FIRST", "localhost/mirubato/scores:"+versionFirst)
	env.Setenv("NEXT", "localhost/mirubato/scores:"+versionNext)
	env.Setenv("CONTRACTING", "localhost/mirubato/scores:"+versionContracting)
	env.Setenv("BROKEN", "localhost/mirubato/scores:"+versionBroken)
	env.Values[worldKey{}] = &world{}
	// The image that CloudNativePG runs, if it was installed; its tag is the version.
	servers, err := filepath.Glob(filepath.Join(suite.local, "images", "foreign-postgres-*.tar"))
	for _, server := range servers {
		name, version, _ := strings.Cut(strings.TrimSuffix(filepath.Base(server), ".tar"), "postgres-")
		env.Setenv("CNPG_POSTGRES", "localhost/mirubato/"+name+"postgres:"+version)
	}
	return err
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world {
	w, ok := ts.Value(worldKey{}).(*world)
	if !ok {
		ts.Fatalf("the scenario has no world")
	}
	return w
}

// command adapts a function to testscript: an error fails the scenario, or makes it pass after '!'.
func command(do func(ts *testscript.TestScript, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, negated bool, args []string) {
		err := do(ts, args)
		switch {
		case err != nil && !negated:
			ts.Fatalf("%v", err)
		case err == nil && negated:
			ts.Fatalf("it succeeded, but should not have")
		case err != nil:
			ts.Logf("as expected: %v", err)
		}
	}
}

// commands are the words of the scenarios, besides those of testscript:
//
//	environments NAME...         namespaces, databases and Secrets for a Microservice called scores; sets $NS
//	substitute FILE              replaces $VARIABLES in a file
//	await DURATION REGEXP [FIGURE]   waits until the summary of the Microservice matches, and records how long that took
//	await-ready DURATION FIGURE  waits until it is ready, and records how long that took
//	rest ENV METHOD PATH STATUS [FILE]   calls the API of an environment; the answer is the standard output,
//	                                     {id} in PATH is what was made last
//	await-drained ENV            waits until no pod is leaving: until then one may still answer
//	load [-rate N] [-writes N] [-fresh N] ENV...   sends a steady 60, or N, requests a second; one in 10, or N, writes, one in 3,
//	                             or N, comes over a connection of its own
//	await-sent N                 waits until so many have been sent
//	unload FIGURE                ends it and fails if one of them failed
//	end-load                     ends it, whatever failed
//	unload-limited N WINDOW      ends it and fails if more were let through than N in a window
//	change-settings N [FIGURE BOUND]   changes settings N times, and records how long it took until all pods ran with them
//	await-acknowledged N         waits until N pods, and no others, run with the settings asked for
//	taken-back FIGURE BOUND      waits until the release is rejected and gets no requests, and records how long after the first
//	                             failed request that was
//	watch-generations ENV        looks which settings the stable pods are given
//	only-generation N            fails if one was given others than those
//	kill-at-random EVERY         evicts pods of the service, and kills those of the operator
//	end-killings LEAST           ends it, and fails if fewer were killed
//	kill-kubelet                 kills it; the node starts it again
//	rest-at-peace DURATION       fails if the operator writes anything within that time
//	resident FIGURE BOUND NAMESPACE SELECTOR PORT   records the largest resident memory of pods, in MB
//	archive FIGURE BOUND FILE    records the size of an image's archive, in MB: what is pulled
//	dashboard TOKEN REGEXP       opens the dashboard in the cluster with the token in a file, and waits until what it tells matches
//	restore-operator             after the scenario, installs the operator as the others expect it
//	secret-from FILE NAMESPACE NAME   puts back the url of a Secret
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"environments":  command(makeEnvironments),
		"substitute":    command(substitute),
		"await":         command(await),
		"await-ready":   command(awaitReady),
		"rest":          command(callREST),
		"await-drained": command(awaitDrained),
		"load":          command(startLoad),
		"unload":        command(stopLoad),
		"rest-at-peace": command(expectNoWrites),
		"resident":      command(measureResident),
		"secret-from":   command(restoreSecret),

		"dashboard":        command(lookAtDashboard),
		"restore-operator": command(restoreOperator),
		"archive":          command(measureArchive),

		"end-load":           command(endLoad),
		"unload-limited":     command(unloadLimited),
		"change-settings":    command(changeSettings),
		"await-acknowledged": command(awaitAcknowledged),
		"kill-kubelet":       command(killKubelet),

		"await-sent":        command(awaitSent),
		"taken-back":        command(takenBack),
		"watch-generations": command(watchGenerations),
		"only-generation":   command(expectGeneration),
		"kill-at-random":    command(killAtRandom),
		"end-killings":      command(endKillings),
	}
}

func substitute(ts *testscript.TestScript, args []string) error {
	for _, name := range args {
		path := ts.MkAbs(name)
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		expanded := os.Expand(string(content), ts.Getenv)
		if err := os.WriteFile(path, []byte(expanded), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func await(ts *testscript.TestScript, args []string) error {
	limit, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	pattern, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	started := time.Now()
	if err := worldOf(ts).await(limit, func(summary string, _ bool) bool { return pattern.MatchString(summary) }); err != nil || len(args) < 3 {
		return err
	}
	return record(args[2], time.Since(started).Seconds(), "s", results.Bound(fmt.Sprintf("< %.0f", limit.Seconds())))
}

// measureArchive is the command archive.
func measureArchive(_ *testscript.TestScript, args []string) error {
	name, bound, file := args[0], args[1], args[2]
	info, err := os.Stat(filepath.Join(suite.local, "images", file))
	if err != nil {
		return err
	}
	return record(name, float64(info.Size())/megabyte, "MB", results.Bound(bound))
}

func awaitReady(ts *testscript.TestScript, args []string) error {
	limit, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	w := worldOf(ts)
	started := time.Now()
	if err := w.await(limit, func(_ string, ready bool) bool { return ready }); err != nil {
		return err
	}
	if len(args) < 2 {
		return nil
	}
	return record(args[1], time.Since(started).Seconds(), "s", results.Bound(fmt.Sprintf("< %.0f", limit.Seconds())))
}

// record keeps a figure and fails if its bound is missed.
func record(name string, value float64, unit string, bound results.Bound) error {
	figure := results.Figure{Name: name, Value: value, Unit: unit, Bound: bound, Command: *made}
	if err := results.Write(suite.local+"/results", figure); err != nil {
		return err
	}
	if figure.Missed() {
		return fmt.Errorf("%s is %.3g %s, must be %s", name, value, unit, bound)
	}
	return nil
}

// expectNoWrites compares the resource versions of all that belongs to the Microservice before and after a while. It
// sleeps because what it shows is that nothing happens. Kubernetes itself may still be finishing something the first time, a
// status of a disruption budget for instance, so a second and a third look are allowed; an operator that writes at rest
// fails them all.
func expectNoWrites(ts *testscript.TestScript, args []string) error {
	while, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	const looks = 3
	w := worldOf(ts)
	before, err := w.versions()
	if err != nil {
		return err
	}
	var after string
	for range looks {
		time.Sleep(while)
		if after, err = w.versions(); err != nil || after == before {
			return err
		}
		ts.Logf("something was written:\nbefore:\n%s\nafter:\n%s", before, after)
		before = after
	}
	return fmt.Errorf("something is written at rest, each time in %d looks", looks)
}

func measureResident(_ *testscript.TestScript, args []string) error {
	name, bound, namespace, selector, port := args[0], args[1], args[2], args[3], args[4]
	bytes, err := largestResident(context.Background(), namespace, selector, port)
	if err != nil {
		return err
	}
	return record(name, float64(bytes)/megabyte, "MB", results.Bound(bound))
}

// restoreSecret is the command secret-from FILE NAMESPACE NAME: it puts back the url that FILE holds in base64.
func restoreSecret(ts *testscript.TestScript, args []string) error {
	file, namespace, name := args[0], args[1], args[2]
	encoded, err := os.ReadFile(ts.MkAbs(file))
	if err != nil {
		return err
	}
	_, err = suite.tools.run(context.Background(), "kubectl", "--namespace", namespace, "patch", "secret", name,
		"--type", "merge", "--patch", fmt.Sprintf(`{"data": {"url": %q}}`, encoded))
	return err
}

// restoreOperator is the command restore-operator. Whatever the scenario did to the installation, and wherever it ended: what Helm
// remembers of it is forgotten, and config/local is applied again.
func restoreOperator(ts *testscript.TestScript, _ []string) error {
	ts.Defer(func() {
		ctx := context.Background()
		_, err := suite.tools.run(ctx, "kubectl", "--namespace", "mirubato-system", "delete", "secrets", "--selector", "owner=helm", "--ignore-not-found")
		if err = errors.Join(err, suite.tools.installOperator(ctx)); err != nil {
			ts.Logf("installing the operator again: %v", err)
		}
	})
	return nil
}
