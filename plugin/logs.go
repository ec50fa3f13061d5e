package plugin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func logsCommand(s *session) *cobra.Command {
	var follow bool
	var tail int64
	cmd := &cobra.Command{
		Use:   "logs NAME [ENVIRONMENT]",
		Short: "The logs of what is at work now: migrations, smoke tests, the canary, or the pods",
		Long: `The logs of the step at hand, in the first environment that is not verified, or in the one that is named: of the migrations
and what comes with them while they run or have failed, of the smoke tests that run as Jobs, of the canary while there is one, and of the pods otherwise.`,
		GroupID: groupWatch,
		Args:    between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			ms, err := c.microservice(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			environment, err := atWork(ms, args[1:])
			if err != nil {
				return err
			}
			if err := within(ms, environment.Name, "use kubectl logs there, in namespace "+environment.Namespace); err != nil {
				return err
			}
			return s.logs(cmd.Context(), c, ms, environment, follow, tail)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is logged from now on, until Ctrl-C")
	cmd.Flags().Int64Var(&tail, "tail", 50, "how many lines of each container, from the end")
	return cmd
}

// atWork is the environment that is named, or else the first that has not verified its target, or else the last.
func atWork(ms *v1alpha1.Microservice, named []string) (v1alpha1.EnvironmentStatus, error) {
	list := ms.Status.Environments
	if len(list) == 0 {
		return v1alpha1.EnvironmentStatus{}, fmt.Errorf("the operator has told nothing of %s yet", ms.Name)
	}
	for _, e := range list {
		if len(named) > 0 && e.Name == named[0] || len(named) == 0 && e.Step != v1alpha1.StepVerified {
			return e, nil
		}
	}
	if len(named) > 0 {
		return v1alpha1.EnvironmentStatus{}, noEnvironment(ms, named[0])
	}
	return list[len(list)-1], nil
}

// onDatabase are the steps whose work is done by Jobs on the database.
var onDatabase = []v1alpha1.Step{v1alpha1.StepCheck, v1alpha1.StepBackUp, v1alpha1.StepRehearse, v1alpha1.StepExpand}

// afterwards are what a verified release may wait for on the database, and stages what the Jobs do that it then has: their pods are gone
// once that is done.
var (
	afterwards = []v1alpha1.WaitType{v1alpha1.WaitContract, v1alpha1.WaitDatabase, v1alpha1.WaitBackup, v1alpha1.WaitSchema, v1alpha1.WaitMigration}
	stages     = []string{"backfill", "backup", "rehearse-contract", "contract"}
)

// isAfterwards reports whether an environment has verified its release and something is still to be done on its database.
func isAfterwards(e v1alpha1.EnvironmentStatus) bool {
	return e.Step == v1alpha1.StepVerified && e.WaitingFor != nil && slices.Contains(afterwards, e.WaitingFor.Type)
}

// telling are those of the pods whose logs tell of an environment as it is: those of migrations that came before its release was verified do
// no longer.
func telling(e v1alpha1.EnvironmentStatus, pods []corev1.Pod) []corev1.Pod {
	if !isAfterwards(e) {
		return pods
	}
	return slices.DeleteFunc(pods, func(pod corev1.Pod) bool {
		stage, isStage := pod.Labels[v1alpha1.LabelStage]
		return isStage && !slices.Contains(stages, stage)
	})
}

// parts are the components whose logs tell of an environment as it is, the first that have pods.
func parts(e v1alpha1.EnvironmentStatus) [][]string {
	pods := [][]string{{"api"}}
	switch {
	case isAfterwards(e), slices.Contains(onDatabase, e.Step), e.WaitingFor != nil && e.WaitingFor.Type == v1alpha1.WaitMigration:
		return append([][]string{{"migration"}}, pods...)
	case e.WaitingFor != nil && e.WaitingFor.Type == v1alpha1.WaitSmokeTest:
		return append([][]string{{"smoke-test"}, {"canary"}}, pods...)
	case e.Step == v1alpha1.StepCanary, e.Step == v1alpha1.StepPromote:
		return append([][]string{{"canary"}}, pods...)
	}
	return pods
}

func (s *session) logs(ctx context.Context, c *cluster, ms *v1alpha1.Microservice, e v1alpha1.EnvironmentStatus, follow bool, tail int64) error {
	clients, err := kubernetes.NewForConfig(c.streaming())
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, components := range parts(e) {
		pods, err := c.pods(ctx, ms, e, components...)
		if err != nil {
			return err
		}
		if pods = telling(e, pods); len(pods) == 0 {
			continue
		}
		_, _ = fmt.Fprintf(s.streams.Err, "%s is at %s; logs of %s in %s\n", e.Name, e.Step, strings.Join(components, ", "), e.Namespace) // a hint
		return s.stream(ctx, clients, pods, corev1.PodLogOptions{Follow: follow, TailLines: &tail})
	}
	return fmt.Errorf("%s has no pods; kubectl mirubato why %s %s tells what it waits for", e.Name, ms.Name, e.Name)
}

// stream writes the logs of all containers, a line at a time. A container that has not started yet has none.
func (s *session) stream(ctx context.Context, clients kubernetes.Interface, pods []corev1.Pod, options corev1.PodLogOptions) error {
	var lines sync.Mutex
	var readers sync.WaitGroup
	for _, pod := range pods {
		for _, container := range containers(pod) {
			options := options
			options.Container = container
			source := clients.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &options)
			prefix := pod.Name + " " + container + " | "
			read := func() {
				in, err := source.Stream(ctx)
				if err != nil {
					lines.Lock()
					defer lines.Unlock()
					_, _ = fmt.Fprintln(s.streams.Err, prefix+plain(err)) // the other logs matter more
					return
				}
				defer func() { _ = in.Close() }() // only read
				copyLines(s.streams.Out, in, prefix, &lines)
			}
			if !options.Follow {
				read()
				continue
			}
			readers.Go(read)
		}
	}
	readers.Wait()
	return nil
}

func containers(pod corev1.Pod) []string {
	var names []string
	for _, status := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		if status.State.Waiting == nil || status.RestartCount > 0 {
			names = append(names, status.Name)
		}
	}
	return names
}

// longestLine is how many bytes a line of a log may have; the kubelet cuts at 16 KiB.
const longestLine = 64 << 10

func copyLines(out io.Writer, in io.Reader, prefix string, lines *sync.Mutex) {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, longestLine)
	for scanner.Scan() {
		lines.Lock()
		_, err := fmt.Fprintln(out, prefix+scanner.Text())
		lines.Unlock()
		if err != nil {
			return
		}
	}
}
