package plugin

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/controllers/diagnosis"
	"github.com/mirubato/mirubato/controllers/migration"
)

// restoreJob is the Job of the same restore that is at work, or one that has not been made: the API server has only been asked whether it
// would take it, lest a person answers questions for nothing.
func (c *cluster) restoreJob(ctx context.Context, r recovery) (*batchv1.Job, error) {
	place := r.place
	jobs := &batchv1.JobList{}
	if err := c.List(ctx, jobs, client.InNamespace(place.Namespace), client.MatchingLabels(place.Owner.All())); err != nil {
		return nil, fmt.Errorf("reading the Jobs in %s: %w", place.Namespace, err)
	}
	if working := migration.UnderWay(jobs.Items, r.flags.database); working != nil {
		if of := migration.BackupOf(working); of != r.backup {
			return nil, fmt.Errorf("job %s in %s is making %s of another backup, %s: name another database, or remove that Job", working.Name, place.Namespace, r.flags.database, of)
		}
		return working, nil
	}
	image := cmp.Or(r.flags.image, migration.ImageOf(jobs.Items))
	if image == "" {
		return nil, fmt.Errorf("no Job of the operator is left in %s that tells the image of mirubato-migrate; name it with --image", place.Namespace)
	}
	job, err := r.job(image)
	if err != nil {
		return nil, err
	}
	if err := c.Create(ctx, job.DeepCopy(), client.DryRunAll, client.FieldOwner("kubectl-mirubato")); err != nil {
		return nil, fmt.Errorf("making a Job in %s: %w", place.Namespace, err)
	}
	return job, nil
}

// restoreEnd is how far the Job of a restore has come, and what its pods tell.
type restoreEnd struct {
	migration.Outcome
	finding *diagnosis.Finding
}

// why is what is known of a Job that has left no report, as the rest of a sentence.
func (e restoreEnd) why() string {
	if e.finding == nil {
		return ""
	}
	return ": " + e.finding.Message + " (" + e.finding.Unblock + ")"
}

func (c *cluster) observeRestore(ctx context.Context, job *batchv1.Job) (restoreEnd, error) {
	seen := &batchv1.Job{}
	if err := c.Get(ctx, client.ObjectKeyFromObject(job), seen); err != nil {
		return restoreEnd{}, err
	}
	pods := &corev1.PodList{}
	if err := c.List(ctx, pods, client.InNamespace(job.Namespace), client.MatchingLabels{batchv1.JobNameLabel: job.Name}); err != nil {
		return restoreEnd{}, err
	}
	return restoreEnd{migration.OutcomeOf(seen, pods.Items), diagnosis.Of(pods.Items)}, nil
}

// lookEvery is how often a Job is looked at.
const lookEvery = time.Second

// followRestore waits for the end of a Job, and meanwhile tells on standard error what its log says and what keeps it from starting.
func (s *session) followRestore(ctx context.Context, c *cluster, job *batchv1.Job, timeout time.Duration) (restoreEnd, error) {
	clients, err := kubernetes.NewForConfig(c.streaming())
	if err != nil {
		return restoreEnd{}, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	tell := s.teller()
	tell(fmt.Sprintf("following job %s in %s", job.Name, job.Namespace))
	var reader sync.WaitGroup
	defer reader.Wait()
	looking, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for told, reading := "", false; ; {
		end, err := c.observeRestore(looking, job)
		switch {
		case looking.Err() != nil:
			return end, stillAtWork(ctx, job, timeout)
		case apierrors.IsNotFound(err):
			return end, fmt.Errorf("job %s in %s was removed meanwhile; what it has left is removed by the next restore into the same database", job.Name, job.Namespace)
		case err != nil:
			return end, fmt.Errorf("looking at job %s in %s, which goes on: %w", job.Name, job.Namespace, err)
		case end.Ended:
			return end, nil
		}
		if why := end.why(); why != told {
			told = why
			tell("waiting for the pod" + why)
		}
		if end.Running && !reading {
			reading = true
			reader.Go(func() { followLog(looking, clients, job.Namespace, end.Pod, tell) })
		}
		select {
		case <-looking.Done():
		case <-tick.C:
		}
	}
}

func stillAtWork(ctx context.Context, job *batchv1.Job, timeout time.Duration) error {
	text := fmt.Sprintf("job %s in %s goes on; the same command again follows it, kubectl delete job %s -n %s ends it", job.Name, job.Namespace, job.Name, job.Namespace)
	if ctx.Err() != nil {
		return errors.New("interrupted: " + text)
	}
	return coded{ExitTimeout, fmt.Errorf("not ended within %s: %s", timeout, text)}
}

// teller writes lines with the time to standard error, one at a time. They are hints: the exit code is the answer.
func (s *session) teller() func(string) {
	var lines sync.Mutex
	return func(text string) {
		lines.Lock()
		defer lines.Unlock()
		_, _ = fmt.Fprintf(s.streams.Err, "%s %s\n", s.now().UTC().Format(time.TimeOnly), text)
	}
}

// followLog tells what mirubato-migrate logs. A log that cannot be read is not told of: the Job's end is what counts.
func followLog(ctx context.Context, clients kubernetes.Interface, namespace, pod string, tell func(string)) {
	in, err := clients.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Follow: true}).Stream(ctx)
	if err != nil {
		return
	}
	defer func() { _ = in.Close() }() // only read
	tellLog(in, tell)
}

// tellLog tells the messages of a log of one JSON object a line. The report at its end has none.
func tellLog(in io.Reader, tell func(string)) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, longestLine)
	for lines.Scan() {
		var line struct {
			Msg     string `json:"msg"`
			Percent *int   `json:"percent"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg == "" {
			continue
		}
		if line.Percent != nil {
			line.Msg += fmt.Sprintf(", %d%% read", *line.Percent)
		}
		tell(line.Msg)
	}
}
