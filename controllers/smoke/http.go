package smoke

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/util/jsonpath"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

const (
	// atOnce is how many pods are asked at the same time.
	atOnce = 10
	// maxBody bounds an answer in which a value is looked up, in bytes.
	maxBody = 1 << 20
	// maxMessage and maxQuote bound, in bytes, what is told of an attempt and what it quotes of an answer.
	maxMessage = 200
	maxQuote   = 60
)

// question is what every pod of a target is asked, and what its answer must be.
type question struct {
	client    *podclient.Client
	endpoints podclient.Endpoints
	test      *v1alpha1.HTTPTest
	// header holds what must not be told.
	header  http.Header
	release string
	timeout time.Duration
}

// ask asks all pods and returns what was wrong with the first of them, by name; empty if nothing was. The timeout is that
// of all answers together: pods that were not reached in time have not answered. The error is that of ctx, if it ended.
func (q question) ask(ctx context.Context, pods []podclient.Pod) (string, error) {
	if len(pods) == 0 {
		return "no pod is ready", nil
	}
	pods = slices.SortedFunc(slices.Values(pods), func(a, b podclient.Pod) int { return cmp.Compare(a.Name, b.Name) })
	limited, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	problems := make([]string, len(pods))
	var failed atomic.Int32
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, pod := range pods {
		group.Go(func() error {
			if problems[i] = q.askOne(limited, pod); problems[i] != "" {
				failed.Add(1)
			}
			return nil
		})
	}
	_ = group.Wait() // the problems say it all
	if err := ctx.Err(); err != nil {
		return "", err
	}
	i := slices.IndexFunc(problems, func(p string) bool { return p != "" })
	if i < 0 {
		return "", nil
	}
	message := fmt.Sprintf("pod %s: %s", pods[i].Name, q.hide(problems[i]))
	if len(pods) > 1 {
		message = fmt.Sprintf("%d of %d pods failed; %s", failed.Load(), len(pods), message)
	}
	return clip(message), nil
}

// askOne returns what was wrong with a pod's answer.
func (q question) askOne(ctx context.Context, pod podclient.Pod) string {
	base, err := q.endpoints.BaseURL(pod, contract.APIPort)
	if err != nil {
		return err.Error()
	}
	request := podclient.Request{Method: q.test.Method, URL: base + q.test.Path, Header: q.header, Body: []byte(q.test.Body)}
	if q.test.JSONPath != "" {
		request.MaxBody = maxBody
	}
	answer, err := q.client.Do(ctx, request)
	if err != nil {
		return q.unanswered(ctx, err)
	}
	for _, problem := range []func(podclient.Response) string{q.wrongRelease, q.wrongStatus, q.wrongBody} {
		if message := problem(answer); message != "" {
			return message
		}
	}
	return ""
}

// unanswered says why there was no answer, without the URL: the path is in the spec, and the pod is named already.
func (q question) unanswered(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "no answer within " + q.timeout.String()
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return err.Error()
}

func (q question) wrongRelease(answer podclient.Response) string {
	switch got := answer.Header.Get(contract.ReleaseHeader); got {
	case q.release:
		return ""
	case "":
		return fmt.Sprintf("it answers without the header %s (status %d)", contract.ReleaseHeader, answer.Status)
	default:
		return fmt.Sprintf("it answers as release %s, not %s", quote(got), q.release)
	}
}

func (q question) wrongStatus(answer podclient.Response) string {
	switch wanted := q.test.Status; {
	case wanted == nil && answer.Status/100 == 2, wanted != nil && answer.Status == int(*wanted):
		return ""
	case wanted == nil:
		return fmt.Sprintf("it answers with status %d, not with one of 200 to 299", answer.Status)
	default:
		return fmt.Sprintf("it answers with status %d, not %d", answer.Status, *wanted)
	}
}

func (q question) wrongBody(answer podclient.Response) string {
	if q.test.JSONPath == "" {
		return ""
	}
	var body any
	if err := json.Unmarshal(answer.Body, &body); err != nil {
		return "its answer is not JSON"
	}
	got, err := lookUp(q.test.JSONPath, body)
	switch {
	case err != nil:
		return fmt.Sprintf("%s is not in its answer: %s", q.test.JSONPath, quote(err.Error()))
	case q.test.Value != "" && got != q.test.Value:
		return fmt.Sprintf("%s is %s, not %s", q.test.JSONPath, quote(got), quote(q.test.Value))
	}
	return ""
}

// lookUp returns what a path leads to, as kubectl prints it. It leads to something, or there is an error.
func lookUp(path string, body any) (out string, err error) {
	defer func() { // it works by reflection, on what strangers answer
		if failure := recover(); failure != nil {
			err = errors.New("it cannot be looked up")
		}
	}()
	parsed, err := parse(path)
	if err != nil {
		return "", err
	}
	results, err := parsed.FindResults(body)
	if err != nil {
		return "", err
	}
	var printed bytes.Buffer
	found := 0
	for _, values := range results {
		found += len(values)
		if err := parsed.PrintResults(&printed, values); err != nil {
			return "", err
		}
	}
	if found == 0 {
		return "", errors.New("nothing is found")
	}
	return printed.String(), nil
}

func parse(path string) (*jsonpath.JSONPath, error) {
	parsed := jsonpath.New("jsonPath")
	return parsed, parsed.Parse(path)
}

// hide takes the values of the headers out of a text. Shorter ones are no secrets, and would be found in any text.
func (q question) hide(text string) string {
	const shortest = 4
	for _, values := range q.header {
		for _, value := range values {
			if len(value) >= shortest {
				text = strings.ReplaceAll(text, value, "***")
			}
		}
	}
	return text
}

// quote makes what a stranger has said fit to be told.
func quote(text string) string {
	if len(text) > maxQuote {
		text = strings.ToValidUTF8(text[:maxQuote], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}

func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	return strings.ToValidUTF8(text[:maxMessage], "") + "…"
}
