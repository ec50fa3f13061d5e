package analysis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/mirubato/mirubato/controllers/podclient"
)

// maxQueryAnswer is in bytes. One number is asked for.
const maxQueryAnswer = 1 << 20

// plain are the names that Kubernetes and registries allow; none of these characters ends a string in a query.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.-]*$`)

// fill puts names in place of the variables of a query. What is put in is not looked at again.
func fill(query string, s *Subject) (string, error) {
	names := make([]string, len(s.New))
	for i, pod := range s.New {
		names[i] = pod.Name
	}
	for _, name := range append([]string{s.PodNamespace, s.Release}, names...) {
		if !plain.MatchString(name) {
			return "", fmt.Errorf("the name %q cannot be put into a query", name)
		}
	}
	// A dot in brackets needs no backslash, which the query's strings would take away.
	pods := strings.ReplaceAll(strings.Join(names, "|"), ".", "[.]")
	return strings.NewReplacer("$(namespace)", s.PodNamespace, "$(release)", s.Release, "$(pods)", pods).Replace(query), nil
}

// answer to a query. The value is not known if the query leads to no number.
type answer struct {
	value float64
	known bool
	err   error
}

// queryAll asks all queries of the rules, by the name of the rule.
func (r *Recorder) queryAll(ctx context.Context, s *Subject, rules Rules) map[string]answer {
	answers := make([]answer, len(rules.Metrics))
	each(len(rules.Metrics), func(i int) {
		if rule := rules.Metrics[i]; rule.Query != "" {
			answers[i].value, answers[i].known, answers[i].err = r.query(ctx, rules.PrometheusURL, rule.Query, s)
		}
	})
	byName := map[string]answer{}
	for i, rule := range rules.Metrics {
		byName[rule.Name] = answers[i]
	}
	return byName
}

// query asks Prometheus for one number.
func (r *Recorder) query(ctx context.Context, baseURL, query string, s *Subject) (value float64, known bool, err error) {
	if baseURL == "" {
		return 0, false, errors.New("analysis.prometheusURL is not set")
	}
	filled, err := fill(query, s)
	if err != nil {
		return 0, false, err
	}
	answer, err := r.client.Do(ctx, podclient.Request{
		Method: http.MethodPost, URL: strings.TrimSuffix(baseURL, "/") + "/api/v1/query",
		Header:  http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:    []byte(url.Values{"query": {filled}}.Encode()),
		MaxBody: maxQueryAnswer,
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return 0, false, fmt.Errorf("no answer of Prometheus within %s", readTimeout)
	case err != nil:
		return 0, false, err
	}
	return parseQueryAnswer(answer)
}

// queryAnswer is that of /api/v1/query: https://prometheus.io/docs/prometheus/latest/querying/api/
type queryAnswer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

func parseQueryAnswer(answer podclient.Response) (value float64, known bool, err error) {
	var a queryAnswer
	if json.Unmarshal(answer.Body, &a) != nil || a.Status == "" {
		return 0, false, fmt.Errorf("the answer (status %d) is not that of Prometheus", answer.Status)
	}
	if a.Status != "success" {
		return 0, false, fmt.Errorf("the query is refused: %.200s", a.Error)
	}
	return numberOf(a.Data.ResultType, a.Data.Result)
}

// numberOf reads a result that is one number, or none.
func numberOf(kind string, result json.RawMessage) (value float64, known bool, err error) {
	var pair [2]any // the time and the number, which is a string
	switch kind {
	case "scalar":
		err = json.Unmarshal(result, &pair)
	case "vector":
		var series []struct {
			Value [2]any `json:"value"`
		}
		err = json.Unmarshal(result, &series)
		if len(series) > 1 {
			return 0, false, fmt.Errorf("the query leads to %d series instead of one number; add them up with sum()", len(series))
		}
		if len(series) == 1 {
			pair = series[0].Value
		}
	default:
		return 0, false, fmt.Errorf("the query leads to a %.20s instead of one number", kind)
	}
	if err != nil {
		return 0, false, fmt.Errorf("reading the answer of Prometheus: %w", err)
	}
	text, ok := pair[1].(string)
	if !ok {
		return 0, false, nil
	}
	value, err = strconv.ParseFloat(text, 64)
	return value, err == nil && !math.IsNaN(value) && !math.IsInf(value, 0), err
}
