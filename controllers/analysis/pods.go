package analysis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// What a reading may cost, whatever pods do.
const (
	// maxPods of a side are read, the first by name: a sample of requests does not get better for being counted in more places.
	maxPods = 20
	// maxAtOnce requests of one reading are under way.
	maxAtOnce = 16
	// readTimeout is that of all pods and queries together, sendTimeout that of all requests that the operator sends.
	readTimeout = time.Second
	sendTimeout = 700 * time.Millisecond
	// maxExposition is in bytes.
	maxExposition = 4 << 20
)

// sample returns the pods of a side that are read.
func sample(pods []podclient.Pod) []podclient.Pod {
	sorted := slices.SortedFunc(slices.Values(pods), func(a, b podclient.Pod) int { return strings.Compare(a.Name, b.Name) })
	return sorted[:min(len(sorted), maxPods)]
}

// scrape reads pods, by UID. It fails if there are pods and none of them could be read; the error is that of the first.
func (r *Recorder) scrape(ctx context.Context, s *Subject, pods []podclient.Pod, wanted []MetricRule) (map[string]reading, error) {
	readings, failures := make([]reading, len(pods)), make([]error, len(pods))
	each(len(pods), func(i int) {
		if readings[i], failures[i] = r.scrapePod(ctx, s, pods[i], wanted); failures[i] != nil {
			failures[i] = fmt.Errorf("pod %s: %w", pods[i].Name, failures[i])
		}
	})
	byUID := map[string]reading{}
	for i, pod := range pods {
		if failures[i] == nil {
			byUID[pod.UID] = readings[i]
		}
	}
	if len(pods) > 0 && len(byUID) == 0 {
		return nil, failures[0]
	}
	return byUID, nil
}

func (r *Recorder) scrapePod(ctx context.Context, s *Subject, pod podclient.Pod, wanted []MetricRule) (reading, error) {
	base, err := s.endpoints().BaseURL(pod, contract.OperationsPort)
	if err != nil {
		return reading{}, err
	}
	answer, err := r.client.Do(ctx, podclient.Request{
		URL: base + contract.MetricsPath, MaxBody: maxExposition,
		Header: http.Header{"Accept": {"text/plain; version=0.0.4"}},
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return reading{}, fmt.Errorf("%s is not answered within %s", contract.MetricsPath, readTimeout)
	case err != nil:
		return reading{}, err
	case answer.Status != http.StatusOK:
		return reading{}, fmt.Errorf("%s is answered with %d", contract.MetricsPath, answer.Status)
	}
	got, err := parse(answer.Body, wanted)
	if err != nil {
		return reading{}, fmt.Errorf("%s: %w", contract.MetricsPath, err)
	}
	return got, nil
}

// send makes requests to pods in turn. What becomes of them, the pods count.
func (r *Recorder) send(ctx context.Context, s *Subject, synthetic Synthetic, pods []podclient.Pod) {
	if len(pods) == 0 {
		return
	}
	each(synthetic.Requests, func(i int) {
		base, err := s.endpoints().BaseURL(pods[i%len(pods)], contract.APIPort)
		if err != nil || ctx.Err() != nil {
			return
		}
		_, _ = r.client.Do(ctx, podclient.Request{
			URL: base + synthetic.Path, MaxBody: maxExposition, Header: http.Header{contract.SyntheticHeader: {"true"}},
		})
	})
}

// each calls do with 0 to n-1, some at once, and returns when all have returned.
func each(n int, do func(i int)) {
	slots := make(chan struct{}, maxAtOnce)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			do(i)
		})
	}
	all.Wait()
}
