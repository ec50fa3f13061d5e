package diagnosis

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const image = "example.com/scores:1.4.0"

// pod is a pod with one container, in the state that the changes give it.
func pod(changes ...func(*corev1.ContainerStatus)) corev1.Pod {
	status := corev1.ContainerStatus{Name: "service", Image: image}
	for _, change := range changes {
		change(&status)
	}
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "scores-1"},
		Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{status}},
	}
}

func waiting(reason, message string) func(*corev1.ContainerStatus) {
	return func(s *corev1.ContainerStatus) {
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: message}
	}
}

func running(s *corev1.ContainerStatus) { s.State.Running = &corev1.ContainerStateRunning{} }

func ready(s *corev1.ContainerStatus) { s.Ready = true }

func ended(code int32, reason, message string) func(*corev1.ContainerStatus) {
	return func(s *corev1.ContainerStatus) {
		s.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}
	}
}

// endedBefore is a container that was restarted after it ended.
func endedBefore(code int32, reason, message string) func(*corev1.ContainerStatus) {
	return func(s *corev1.ContainerStatus) {
		s.RestartCount++
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}
	}
}

const (
	unblockPull     = "push the image, correct spec.image, or name credentials in spec.workload.imagePullSecrets"
	unblockDescribe = "see kubectl describe pod --namespace ns scores-1"
	unblockLogs     = "see kubectl logs --namespace ns scores-1 --container service"
	unblockPrevious = unblockLogs + " --previous"

	containerd = `rpc error: code = NotFound desc = failed to pull and unpack image "example.com/scores:1.4.0": example.com/scores:1.4.0: not found`
	denied     = "failed to authorize: failed to fetch anonymous token: 401 Unauthorized"
	refused    = `failed to do request: Head "https://example.com/v2/scores/manifests/1.4.0": dial tcp 192.0.2.1:443: connect: connection refused`
	runc       = `failed to create containerd task: exec: "/nope": stat /nope: no such file or directory`
)

func TestOfOnePod(t *testing.T) {
	fault := func(message, unblock string) *Finding {
		return &Finding{Image: true, Message: message, Unblock: unblock}
	}
	for name, tc := range map[string]struct {
		pod  corev1.Pod
		want *Finding
	}{
		"a pod that nobody has looked at":           {pod: corev1.Pod{}},
		"a pod that is being created":               {pod: pod(waiting("ContainerCreating", ""))},
		"a pod whose init containers run":           {pod: pod(waiting("PodInitializing", ""))},
		"a pod that starts":                         {pod: pod(running)},
		"a pod that is ready":                       {pod: pod(running, ready)},
		"a pod that is ready after a crash":         {pod: pod(running, ready, endedBefore(1, "Error", "lost"))},
		"a container of a Job that has ended well":  {pod: pod(ended(0, "Completed", "done"))},
		"an image that is not there":                {pod: pod(waiting("ErrImagePull", containerd)), want: fault("image "+image+" cannot be pulled (not found)", unblockPull)},
		"an image that may not be pulled":           {pod: pod(waiting("ErrImagePull", denied)), want: fault("image "+image+" cannot be pulled (access denied)", unblockPull)},
		"a registry that does not answer":           {pod: pod(waiting("ErrImagePull", refused)), want: fault("image "+image+" cannot be pulled (the registry does not answer or refuses)", unblockPull)},
		"a registry that the runtime finds away":    {pod: pod(waiting("RegistryUnavailable", "")), want: fault("image "+image+" cannot be pulled (the registry does not answer or refuses)", unblockPull)},
		"an image that is never pulled":             {pod: pod(waiting("ErrImageNeverPull", `Container image "x" is not present with pull policy of Never`)), want: fault("image "+image+" cannot be pulled (not found)", unblockPull)},
		"an image whose name is none":               {pod: pod(waiting("InvalidImageName", "")), want: fault("image "+image+" has no valid name", "correct spec.image")},
		"a Secret that is missing in the container": {pod: pod(waiting("CreateContainerConfigError", `secret "scores" not found`)), want: fault(`container service cannot be created: secret "scores" not found`, unblockDescribe)},
		"an image that would run as root":           {pod: pod(waiting("CreateContainerConfigError", "container has runAsNonRoot and image will\n run as root")), want: fault("container service cannot be created: container has runAsNonRoot and image will run as root", unblockDescribe)},
		"a container that the runtime refuses":      {pod: pod(waiting("CreateContainerError", "name is reserved")), want: fault("container service cannot be created: name is reserved", unblockDescribe)},
		"a program that is not in the image":        {pod: pod(waiting("RunContainerError", runc)), want: fault("container service cannot be started: "+runc, unblockDescribe)},
		"a program that was not in a Job's image":   {pod: pod(ended(128, "StartError", runc)), want: fault("container service cannot be started: "+runc, unblockDescribe)},
		"a container that has just crashed":         {pod: pod(ended(1, "Error", "starting\nno such table: scores\n")), want: fault("container service ended with exit code 1: no such table: scores", unblockLogs)},
		"a container that crashed without a word":   {pod: pod(ended(2, "Error", "")), want: fault("container service ended with exit code 2", unblockLogs)},
		"a crash loop":                              {pod: pod(waiting("CrashLoopBackOff", "back-off 10s"), endedBefore(1, "Error", "no")), want: fault("container service ended with exit code 1: no", unblockPrevious)},
		"a crash loop of a program that ends well":  {pod: pod(waiting("CrashLoopBackOff", "back-off 10s"), endedBefore(0, "Completed", "")), want: fault("container service ended with exit code 0 although it should keep running", unblockPrevious)},
		"a container that used too much memory":     {pod: pod(waiting("CrashLoopBackOff", ""), endedBefore(137, "OOMKilled", "")), want: fault("container service was ended because it used more memory than its limit", unblockPrevious)},
		"a structured last line is told without its time": {
			pod:  pod(ended(1, "Error", `{"time":"2026-11-23T12:00:00Z","level":"ERROR","msg":"Opening","error":"no route to host"}`)),
			want: fault("container service ended with exit code 1: Opening: no route to host", unblockLogs),
		},
		"a structured last line that says nothing is left out": {
			pod:  pod(ended(1, "Error", `{"level":"ERROR","error":{"code":"MigrationFailed"}}`)),
			want: fault("container service ended with exit code 1", unblockLogs),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Of([]corev1.Pod{tc.pod})); diff != "" {
				t.Errorf("finding (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnschedulable(t *testing.T) {
	scheduled := func(status corev1.ConditionStatus, reason string) corev1.Pod {
		return corev1.Pod{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
			{Type: corev1.PodScheduled, Status: status, Reason: reason, Message: "0/1 nodes are available: 1 Insufficient cpu."},
		}}}
	}
	want := &Finding{Message: "no node has room for a pod", Unblock: "add nodes, or lower spec.workload.resources.requests"}
	if diff := cmp.Diff(want, Of([]corev1.Pod{scheduled(corev1.ConditionFalse, corev1.PodReasonUnschedulable)})); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
	for name, pod := range map[string]corev1.Pod{
		"a pod that is scheduled":    scheduled(corev1.ConditionTrue, ""),
		"a pod that a gate holds up": scheduled(corev1.ConditionFalse, corev1.PodReasonSchedulingGated),
	} {
		if got := Of([]corev1.Pod{pod}); got != nil {
			t.Errorf("%s: finding %q, want none", name, got.Message)
		}
	}
}

func TestOfSeveralPods(t *testing.T) {
	leaving := pod(waiting("ImagePullBackOff", ""))
	leaving.DeletionTimestamp = &metav1.Time{}
	if got := Of([]corev1.Pod{leaving}); got != nil {
		t.Errorf("a pod that is being removed was found at fault: %s", got.Message)
	}
	if got := Of(nil); got != nil {
		t.Errorf("without pods there is a finding: %s", got.Message)
	}
	crashed := pod(ended(3, "Error", ""))
	if got := Of([]corev1.Pod{leaving, pod(running, ready), crashed}); got == nil || got.Message != "container service ended with exit code 3" {
		t.Errorf("finding = %v, want that of the only pod at fault", got)
	}
}

func TestInitContainersComeFirst(t *testing.T) {
	p := pod(waiting("PodInitializing", ""))
	p.Status.InitContainerStatuses = []corev1.ContainerStatus{
		{Name: "first", Ready: true, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}},
		{Name: "export", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Message: "unknown command"}}},
	}
	want := "container export ended with exit code 2: unknown command"
	if got := Of([]corev1.Pod{p}); got == nil || got.Message != want {
		t.Errorf("finding = %v, want %q", got, want)
	}
}

// The kubelet reports one trouble in several states that take turns. A message that changed with them would look like news.
func TestMessageStaysWhileNothingChanges(t *testing.T) {
	for name, states := range map[string][]corev1.Pod{
		"pulling and backing off": {
			pod(waiting("ErrImagePull", containerd)),
			pod(waiting("ImagePullBackOff", `Back-off pulling image "example.com/scores:1.4.0": ErrImagePull: `+containerd)),
		},
		"pulling and backing off from a registry that is away": {
			pod(waiting("ErrImagePull", refused)),
			pod(waiting("ImagePullBackOff", `Back-off pulling image "example.com/scores:1.4.0": ErrImagePull: `+refused)),
		},
		"ending, backing off and running": {
			pod(ended(1, "Error", "no")),
			pod(waiting("CrashLoopBackOff", "back-off 10s restarting"), endedBefore(1, "Error", "no")),
			pod(waiting("CrashLoopBackOff", "back-off 20s restarting"), endedBefore(1, "Error", "no")),
			pod(running, endedBefore(1, "Error", "no")),
		},
		"a program that is missing, and backing off": {
			pod(waiting("RunContainerError", runc), endedBefore(128, "StartError", runc)),
			pod(waiting("CrashLoopBackOff", ""), endedBefore(128, "StartError", runc)),
		},
		"a structured log with the time in it": {
			pod(waiting("CrashLoopBackOff", ""), endedBefore(1, "Error", `{"time":"2026-11-23T12:00:00Z","msg":"no"}`)),
			pod(waiting("CrashLoopBackOff", ""), endedBefore(1, "Error", `{"time":"2026-11-23T12:00:10Z","msg":"no"}`)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			first := Of(states[:1])
			for _, state := range states[1:] {
				got := Of([]corev1.Pod{state})
				if got == nil || got.Message != first.Message {
					t.Errorf("finding = %+v, before %q", got, first.Message)
				}
			}
		})
	}
}

func TestWhatIsQuotedIsBoundedAndText(t *testing.T) {
	got := Of([]corev1.Pod{pod(ended(1, "Error", "x"+strings.Repeat("ü", 1000)))})
	if !utf8.ValidString(got.Message) || len(got.Message) > 400 || !strings.HasSuffix(got.Message, "…") {
		t.Errorf("%d bytes, valid %t: %s", len(got.Message), utf8.ValidString(got.Message), got.Message)
	}
}
