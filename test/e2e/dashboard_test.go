//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	// dashboardPatience is how long the dashboard may take to tell what is looked for.
	dashboardPatience = 30 * time.Second
	// longestEvent is in bytes; an event holds all that a page shows.
	longestEvent = 4 << 20
)

// lookAtDashboard is the command dashboard.
func lookAtDashboard(ts *testscript.TestScript, args []string) error {
	wanted, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	token, err := os.ReadFile(ts.MkAbs(args[0]))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dashboardPatience)
	defer cancel()
	ip, err := suite.tools.run(ctx, "kubectl", "--namespace", "mirubato-system", "get", "service", "mirubato-operator-dashboard", "--output", "jsonpath={.spec.clusterIP}")
	if err != nil {
		return err
	}
	if err := awaitListener(ctx, ip+":443"); err != nil {
		return fmt.Errorf("the dashboard takes no connections: %w", err)
	}
	return readEvents(ctx, "http://"+ip+":443/api/events?name=scores&namespace="+worldOf(ts).namespace, strings.TrimSpace(string(token)), wanted)
}

// readEvents reads server-sent events until one matches.
func readEvents(ctx context.Context, url, token string, wanted *regexp.Regexp) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the dashboard answers %s", response.Status)
	}
	last, lines := "", bufio.NewScanner(response.Body)
	lines.Buffer(nil, longestEvent)
	for lines.Scan() {
		data, isData := strings.CutPrefix(lines.Text(), "data: ")
		if !isData {
			continue
		}
		if wanted.MatchString(data) {
			return nil
		}
		last = data
	}
	return fmt.Errorf("the dashboard never told %q, but at last %s: %w", wanted, last, lines.Err())
}
