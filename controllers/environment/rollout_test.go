package environment

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/release"
)

// rolled is a Deployment of three pods whose rollout is complete.
func rolled(changes ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 4, Annotations: map[string]string{annotationMigrated: "schema"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(3)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"component": "api"}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelContent: "content"}}},
		},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 4, Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: 3, AvailableReplicas: 3},
	}
	for _, change := range changes {
		change(d)
	}
	return d
}

func TestComplete(t *testing.T) {
	for name, tc := range map[string]struct {
		deployment *appsv1.Deployment
		want       bool
	}{
		"all pods new and available":         {rolled(), true},
		"no Deployment":                      {nil, false},
		"the controller has not looked yet":  {rolled(func(d *appsv1.Deployment) { d.Generation++ }), false},
		"a pod of the release before":        {rolled(func(d *appsv1.Deployment) { d.Status.UpdatedReplicas, d.Status.Replicas = 2, 3 }), false},
		"an old pod beside the new ones":     {rolled(func(d *appsv1.Deployment) { d.Status.Replicas = 4 }), false},
		"a pod that is not ready":            {rolled(func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 2 }), false},
		"fewer pods than wanted":             {rolled(func(d *appsv1.Deployment) { *d.Spec.Replicas = 5 }), false},
		"a Deployment that is being removed": {rolled(func(d *appsv1.Deployment) { d.DeletionTimestamp = &metav1.Time{} }), false},
		"a Deployment without defaults":      {rolled(func(d *appsv1.Deployment) { d.Spec.Replicas = nil }), false},
	} {
		if got := Complete(tc.deployment); got != tc.want {
			t.Errorf("%s: complete = %t, want %t", name, got, tc.want)
		}
	}
}

func TestFleetOf(t *testing.T) {
	pod := func(content, component string, conditions ...corev1.PodCondition) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{v1alpha1.LabelContent: content, "component": component}},
			Status:     corev1.PodStatus{Conditions: conditions},
		}
	}
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	going := pod("content", "api", ready)
	going.DeletionTimestamp = &metav1.Time{}
	pods := []corev1.Pod{
		pod("content", "api", ready), pod("content", "api"), pod("other", "api", ready), pod("content", "canary", ready), going,
	}
	complete := release.Fleet{Exists: true, Content: "content", Migration: "schema", Replicas: 3, Ready: 1, Complete: true}
	starting := complete
	starting.Complete, starting.Release = false, "scores-7"
	starting.Waiting = &v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: "the pods of release scores-7 are not all ready"}
	for name, tc := range map[string]struct {
		deployment *appsv1.Deployment
		want       release.Fleet
	}{
		"no Deployment": {nil, release.Fleet{}},
		"complete":      {rolled(), complete},
		"on its way": {rolled(func(d *appsv1.Deployment) {
			d.Generation++
			d.Annotations[v1alpha1.AnnotationRelease] = "scores-7"
		}), starting},
	} {
		if diff := cmp.Diff(tc.want, FleetOf(tc.deployment, pods)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestProgressFailed(t *testing.T) {
	condition := func(status corev1.ConditionStatus, reason string) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) {
			d.Status.Conditions = []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"},
				{Type: appsv1.DeploymentProgressing, Status: status, Reason: reason},
			}
		}
	}
	for name, tc := range map[string]struct {
		deployment *appsv1.Deployment
		want       bool
	}{
		"no condition yet":                   {rolled(), false},
		"on its way":                         {rolled(condition(corev1.ConditionTrue, "ReplicaSetUpdated")), false},
		"given up":                           {rolled(condition(corev1.ConditionFalse, "ProgressDeadlineExceeded")), true},
		"refused for another reason":         {rolled(condition(corev1.ConditionFalse, "FailedCreate")), false},
		"complete, whatever the reason says": {rolled(condition(corev1.ConditionTrue, "ProgressDeadlineExceeded")), false},
	} {
		if got := progressFailed(tc.deployment); got != tc.want {
			t.Errorf("%s: failed = %t, want %t", name, got, tc.want)
		}
	}
}

func TestWaitForPodsSaysWhatTheyLack(t *testing.T) {
	pod := func(content, reason string) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", Labels: map[string]string{v1alpha1.LabelContent: content}},
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{
				Name: "service", Image: image, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "not found"}},
			}}},
		}
	}
	unschedulable := pod("new", "")
	unschedulable.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}}
	starting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: "the pods of release 1.4.0 are not all ready"}
	for name, tc := range map[string]struct {
		pods []corev1.Pod
		want *v1alpha1.WaitingFor
	}{
		"no pods yet":     {nil, starting},
		"pods that start": {[]corev1.Pod{pod("new", "ContainerCreating")}, starting},
		"an image that cannot be pulled": {[]corev1.Pod{pod("new", "ErrImagePull")}, &v1alpha1.WaitingFor{
			Type: v1alpha1.WaitImage, Message: "image " + image + " cannot be pulled (not found)",
			Unblock: "push the image, correct spec.image, or name credentials in spec.workload.imagePullSecrets",
		}},
		"no room for a pod": {[]corev1.Pod{unschedulable}, &v1alpha1.WaitingFor{
			Type: v1alpha1.WaitPods, Message: "no node has room for a pod", Unblock: "add nodes, or lower spec.workload.resources.requests",
		}},
	} {
		if diff := cmp.Diff(tc.want, waitForPods(tc.pods, "1.4.0")); diff != "" {
			t.Errorf("%s: waiting for (-want +got):\n%s", name, diff)
		}
	}
}
