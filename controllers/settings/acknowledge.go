package settings

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/podclient"
)

// What asking may cost, whatever pods do.
const (
	// maxAtOnce requests of one reading are under way.
	maxAtOnce = 16
	// readTimeout is that of all pods together.
	readTimeout = time.Second
	// maxHealth is in bytes.
	maxHealth = 1 << 20
	// Pods are asked again after leastPause, and pausePerPod more for each pod of the environment, since each of them is work for what it
	// runs on; the longer they have not acknowledged the later, after mostPause at most.
	leastPause, pausePerPod, mostPause = 50 * time.Millisecond, 10 * time.Millisecond, 5 * time.Second
	// patience is how long a pod may refuse its generation before it counts as failed, unless it was sent it: the kubelet writes the
	// number and the settings one after the other.
	patience = 5 * time.Second
	// A pod that answers may be behind for leastPatience, and perPod longer for each pod of the environment, since a kubelet writes
	// the files of one pod after the other; for mostPatience at most. Then the kubelet is reminded of it. Each further reminder waits
	// twice as long, up to lastReminder: after that, the kubelet is about to look by itself.
	leastPatience, perPod, mostPatience = 100 * time.Millisecond, 25 * time.Millisecond, 700 * time.Millisecond
	lastReminder                        = 30 * time.Second
	// maxRejected and maxReason, in characters, bound what a status holds.
	maxRejected, maxReason = 20, 300
)

// Result is how far the settings of an environment have come.
type Result struct {
	Pods, Acknowledged int32
	// Missing are the pods that have not acknowledged, by name, and why as far as they tell.
	Missing map[string]string
	// Rejected are those that refuse their generation. Failed are those of them that have done so for longer than it takes the
	// kubelet to write it.
	Rejected []v1alpha1.SettingsRejection
	Failed   map[string]bool
	// Overdue are the pods, by name, of which the kubelet is to be reminded now: see Assignment.Reminder.
	Overdue map[string]bool
	// Next is when to ask again; zero if all have acknowledged.
	Next time.Time
}

// Reader asks pods and keeps in memory what they acknowledged, so that a pod is asked until it has and not again. A pod that is behind
// and takes settings is sent them: the kubelet may need a minute. It is safe for concurrent use.
type Reader struct {
	client *podclient.Client
	signer *Signer

	mu    sync.Mutex
	known map[Key]*environment
}

// Key is an environment.
type Key struct {
	Microservice types.NamespacedName
	Environment  string
}

// environment is what is known of the pods of one, by who they are.
type environment struct {
	pods map[identity]memory
	// waitingSince is zero while nothing is waited for.
	waitingSince, readAt time.Time
	assigned             string
}

// identity is a process: a container that starts anew has acknowledged nothing.
type identity struct {
	uid      types.UID
	restarts int32
}

type memory struct {
	generation     int64
	reason         string
	rejected       bool
	rejectingSince time.Time
	rejecting      int64
	delay          delay
}

// delay is how long a pod has answered without running with a generation, and how often the kubelet was reminded of it.
type delay struct {
	generation int64
	since      time.Time
	reminders  int
}

// due reports whether it is time for another reminder, in an environment of so many pods.
func (d delay) due(wanted int64, pods int, now time.Time) bool {
	wait := min(leastPatience+time.Duration(pods)*perPod, mostPatience) << d.reminders
	return d.generation == wanted && wait <= lastReminder && now.Sub(d.since) >= wait
}

// NewReader returns a Reader that has asked nobody. Without a signer it sends nothing.
func NewReader(client *podclient.Client, signer *Signer) *Reader {
	return &Reader{client: client, signer: signer, known: map[Key]*environment{}}
}

// PublicKey is what pods verify by what they are sent; empty if they are sent nothing.
func (r *Reader) PublicKey() string { return r.signer.PublicKey() }

// Pods are those of an environment, and how they are reached.
type Pods struct {
	Assigned  []Assignment
	Endpoints podclient.Endpoints
	// Text is what the file of a generation holds; nil if pods are to be asked and sent nothing.
	Text func(generation int64) (string, error)
}

// Forget drops what is known of an environment.
func (r *Reader) Forget(key Key) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
}

// Read asks the pods that have not acknowledged their generation, if it is time, and says how far all have come. One environment
// must not be read twice at once.
func (r *Reader) Read(ctx context.Context, key Key, pods Pods, now time.Time) Result {
	r.mu.Lock()
	e := r.known[key]
	if e == nil {
		e = &environment{}
		r.known[key] = e
	}
	r.mu.Unlock()
	e.keep(pods.Assigned, now)
	if !now.Before(e.next()) {
		e.readAt = now
		r.ask(ctx, e, pods, now)
	}
	out := e.result(pods.Assigned, now)
	out.Overdue = e.remind(pods.Assigned, now)
	return out
}

// keep drops pods that are gone, and starts the clock anew when something else is to be acknowledged.
func (e *environment) keep(assigned []Assignment, now time.Time) {
	pods := map[identity]memory{}
	var all strings.Builder
	for _, a := range assigned {
		id := identify(a.Pod)
		pods[id] = e.pods[id]
		fmt.Fprintf(&all, "%s/%d=%d %t %s\n", id.uid, id.restarts, a.Generation, a.Given(), a.Pod.Status.PodIP)
	}
	e.pods = pods
	if e.assigned != all.String() {
		e.assigned, e.waitingSince, e.readAt = all.String(), now, time.Time{}
	}
}

// next is when pods are to be asked: the longer they have not acknowledged, the more seldom.
func (e *environment) next() time.Time {
	if e.readAt.IsZero() {
		return time.Time{}
	}
	waited := e.readAt.Sub(e.waitingSince)
	least := leastPause + time.Duration(len(e.pods))*pausePerPod
	return e.readAt.Add(min(max(waited/4, least), mostPause))
}

func (r *Reader) ask(ctx context.Context, e *environment, pods Pods, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var mu sync.Mutex
	slots := make(chan struct{}, maxAtOnce)
	var all sync.WaitGroup
	for _, a := range pods.Assigned {
		id := identify(a.Pod)
		last := e.pods[id]
		if !a.Given() || last.generation == a.Generation {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			said, sent, err := r.bring(ctx, a, pods)
			mu.Lock()
			defer mu.Unlock()
			e.pods[id] = last.after(said, sent, err, a.Generation, now)
		})
	}
	all.Wait()
}

// bring asks a pod, and sends it its generation if it is behind and takes it.
func (r *Reader) bring(ctx context.Context, a Assignment, pods Pods) (said *contract.SettingsReport, sent bool, err error) {
	base, err := pods.Endpoints.BaseURL(podclient.Pod{Name: a.Pod.Name, UID: string(a.Pod.UID), IP: a.Pod.Status.PodIP}, contract.OperationsPort)
	if err != nil {
		return nil, false, err
	}
	if said, err = r.askPod(ctx, base); err != nil {
		return nil, false, err
	}
	age := sequence(a.Pod)
	if said.Nonce == "" || r.signer == nil || pods.Text == nil || age == 0 || (said.Generation == a.Generation && said.Error == "") {
		return said, false, nil
	}
	push := contract.SettingsPush{Nonce: said.Nonce, Generation: a.Generation, Sequence: age}
	if push.Settings, err = pods.Text(a.Generation); err != nil {
		return said, false, nil //nolint:nilerr // none of its files holds it either
	}
	if after := r.send(ctx, base, push); after != nil {
		return after, true, nil
	}
	return said, false, nil // the files will bring it
}

func (r *Reader) askPod(ctx context.Context, base string) (*contract.SettingsReport, error) {
	answer, err := r.client.Do(ctx, podclient.Request{URL: base + contract.HealthPath, MaxBody: maxHealth, Header: http.Header{"Accept": {"application/json"}}})
	if err != nil {
		return nil, fmt.Errorf("%s is not answered", contract.HealthPath)
	}
	var health struct {
		Settings *contract.SettingsReport `json:"settings"`
	}
	if err := json.Unmarshal(answer.Body, &health); err != nil || health.Settings == nil {
		return nil, fmt.Errorf("%s does not say under \"settings\" which generation is in force", contract.HealthPath)
	}
	return health.Settings, nil
}

// send returns what the pod said after it has taken the settings, nil if it has not.
func (r *Reader) send(ctx context.Context, base string, push contract.SettingsPush) *contract.SettingsReport {
	token, err := r.signer.sign(push)
	if err != nil {
		return nil
	}
	answer, err := r.client.Do(ctx, podclient.Request{
		Method: http.MethodPut, URL: base + contract.SettingsPath, MaxBody: maxHealth, Body: []byte(token),
		Header: http.Header{"Content-Type": {contract.SettingsPushMediaType}, "Accept": {"application/json"}},
	})
	if err != nil || answer.Status != http.StatusOK {
		return nil
	}
	var said contract.SettingsReport
	if json.Unmarshal(answer.Body, &said) != nil {
		return nil
	}
	return &said
}

// after is what is known once a pod has answered, or not, and whether it was sent what is wanted.
func (m memory) after(said *contract.SettingsReport, sent bool, err error, wanted int64, now time.Time) memory {
	switch {
	case err != nil:
		return memory{reason: err.Error(), delay: m.delay}
	case said.Generation == wanted && said.Error == "":
		return memory{generation: wanted}
	}
	late := m.delay
	if late.generation != wanted {
		late = delay{generation: wanted, since: now}
	}
	if said.Rejected != wanted {
		return memory{reason: fmt.Sprintf("generation %d is in force", said.Generation), delay: late}
	}
	out := memory{reason: plain(said.Error), rejected: true, rejecting: wanted, rejectingSince: now, delay: late}
	if sent {
		out.rejectingSince = now.Add(-patience) // it has seen all of it
	}
	if m.rejected && m.rejecting == wanted {
		out.rejectingSince = m.rejectingSince
	}
	return out
}

// plain makes a text of a pod fit for a status.
func plain(text string) string {
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
	if characters := []rune(text); len(characters) > maxReason {
		text = string(characters[:maxReason])
	}
	return text
}

func (e *environment) result(assigned []Assignment, now time.Time) Result {
	out := Result{Missing: map[string]string{}, Failed: map[string]bool{}}
	for _, a := range assigned {
		out.Pods++
		m := e.pods[identify(a.Pod)]
		switch {
		case !a.Given():
			out.Missing[a.Pod.Name] = "it has not been told"
			continue
		case m.generation == a.Generation:
			out.Acknowledged++
			continue
		}
		out.Missing[a.Pod.Name] = m.reason
		if m.rejected && m.rejecting == a.Generation {
			if len(out.Rejected) < maxRejected {
				out.Rejected = append(out.Rejected, v1alpha1.SettingsRejection{Pod: a.Pod.Name, Reason: m.reason})
			}
			out.Failed[a.Pod.Name] = now.Sub(m.rejectingSince) >= patience
		}
	}
	if len(out.Missing) > 0 {
		out.Next = e.next()
	}
	return out
}

// remind returns the pods of which the kubelet is to be reminded, and counts that it was.
func (e *environment) remind(assigned []Assignment, now time.Time) map[string]bool {
	out := map[string]bool{}
	for _, a := range assigned {
		id := identify(a.Pod)
		if m := e.pods[id]; a.Given() && m.delay.due(a.Generation, len(assigned), now) {
			out[a.Pod.Name] = true
			m.delay.reminders++
			e.pods[id] = m
		}
	}
	return out
}

func identify(pod corev1.Pod) identity {
	id := identity{uid: pod.UID}
	for _, c := range pod.Status.ContainerStatuses {
		id.restarts += c.RestartCount
	}
	return id
}
