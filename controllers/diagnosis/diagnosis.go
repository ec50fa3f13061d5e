// Package diagnosis reads from the status of pods why they do not start. It is pure: it looks at what the kubelet and the
// scheduler reported and puts it into one stable sentence. What to do about it is the caller's business.
package diagnosis

import (
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Finding is one reason why a pod does not start.
type Finding struct {
	// Image is true if the image itself is at fault: it cannot be pulled or its program ends.
	Image bool
	// Message is one sentence without counters or times, so that it stays the same while nothing changes.
	Message string
	// Unblock says what a person can do.
	Unblock string
}

// Of returns the first finding among the pods, or nil if all that is left is to wait.
func Of(pods []corev1.Pod) *Finding {
	for i := range pods {
		if finding := ofPod(&pods[i]); finding != nil {
			return finding
		}
	}
	return nil
}

func ofPod(pod *corev1.Pod) *Finding {
	if pod.DeletionTimestamp != nil {
		return nil
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return &Finding{
				Message: "no node has room for a pod",
				Unblock: "add nodes, or lower spec.workload.resources.requests",
			}
		}
	}
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range statuses {
			if finding := ofContainer(&statuses[i], pod.Namespace+"/"+pod.Name); finding != nil {
				return finding
			}
		}
	}
	return nil
}

func ofContainer(status *corev1.ContainerStatus, pod string) *Finding {
	waiting := status.State.Waiting
	if waiting == nil {
		return ofExit(status, pod)
	}
	switch waiting.Reason {
	case "ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed":
		return &Finding{
			Image:   true,
			Message: fmt.Sprintf("image %s cannot be pulled (%s)", status.Image, pullReason(waiting)),
			Unblock: "push the image, correct spec.image, or name credentials in spec.workload.imagePullSecrets",
		}
	case "InvalidImageName":
		return &Finding{
			Image:   true,
			Message: fmt.Sprintf("image %s has no valid name", status.Image),
			Unblock: "correct spec.image",
		}
	case "CreateContainerConfigError", "CreateContainerError", "PreCreateHookError":
		return &Finding{
			Image:   true,
			Message: fmt.Sprintf("container %s cannot be created: %s", status.Name, oneLine(waiting.Message)),
			Unblock: "see kubectl describe pod " + namespaced(pod),
		}
	case "RunContainerError":
		return cannotStart(status, waiting.Message, pod)
	}
	return ofExit(status, pod)
}

// cannotStart reports a program that the runtime could not start, such as one that is not in the image.
func cannotStart(status *corev1.ContainerStatus, message, pod string) *Finding {
	return &Finding{
		Image:   true,
		Message: fmt.Sprintf("container %s cannot be started: %s", status.Name, oneLine(message)),
		Unblock: "see kubectl describe pod " + namespaced(pod),
	}
}

// ofExit reports a container that ended. It looks past a restart until the container is ready: ending, waiting and running
// take turns in a crash loop, and the finding shall not. One that ended well and is not restarted is no finding.
func ofExit(status *corev1.ContainerStatus, pod string) *Finding {
	end := status.State.Terminated
	if end == nil {
		end = status.LastTerminationState.Terminated
	}
	if end == nil || status.Ready || end.ExitCode == 0 && status.RestartCount == 0 {
		return nil
	}
	logs := "see kubectl logs " + namespaced(pod) + " --container " + status.Name
	if status.RestartCount > 0 {
		logs += " --previous"
	}
	how := fmt.Sprintf("ended with exit code %d", end.ExitCode)
	switch {
	case end.Reason == "StartError", end.Reason == "ContainerCannotRun":
		return cannotStart(status, end.Message, pod)
	case end.Reason == "OOMKilled":
		how = "was ended because it used more memory than its limit"
	case end.ExitCode == 0:
		how += " although it should keep running"
	}
	message := fmt.Sprintf("container %s %s", status.Name, how)
	if last := lastWords(end.Message); last != "" {
		message += ": " + last
	}
	return &Finding{Image: true, Message: message, Unblock: logs}
}

// pullReason tells a missing image from a registry that is away, as far as the runtime's text does.
func pullReason(waiting *corev1.ContainerStateWaiting) string {
	message := strings.ToLower(waiting.Message)
	switch {
	case strings.Contains(message, "not found"), strings.Contains(message, "not present"):
		return "not found"
	case strings.Contains(message, "unauthorized"), strings.Contains(message, "authorization failed"), strings.Contains(message, "denied"):
		return "access denied"
	}
	// Pulling and backing off take turns; one name for both keeps the message stable.
	return "the registry does not answer or refuses"
}

func namespaced(pod string) string {
	namespace, name, _ := strings.Cut(pod, "/")
	return "--namespace " + namespace + " " + name
}

// maxDetail bounds, in bytes, what is quoted from a container.
const maxDetail = 300

func oneLine(text string) string {
	return clip(redact(strings.Join(strings.Fields(text), " ")))
}

// lastWords returns what the last line of a log says. Of a structured line that is the message and the error: the time in
// it would make every restart look like another reason.
func lastWords(text string) string {
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	var line map[string]any
	if json.Unmarshal([]byte(text), &line) != nil {
		return oneLine(text)
	}
	var said []string
	for _, key := range []string{"msg", "message", "error", "err"} {
		if value, ok := line[key].(string); ok && value != "" {
			said = append(said, value)
		}
	}
	return oneLine(strings.Join(said, ": "))
}

func clip(text string) string {
	if len(text) <= maxDetail {
		return text
	}
	return strings.ToValidUTF8(text[:maxDetail], "") + "…"
}
