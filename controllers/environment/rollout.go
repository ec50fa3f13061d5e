package environment

import (
	"cmp"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/diagnosis"
	"github.com/mirubato/mirubato/controllers/release"
)

// annotationMigrated, on a Deployment, is the hash of the migration run that came before its pods. It outlives the Job.
const annotationMigrated = "platform.mirubato.com/migrated"

// annotationSettings, on a Deployment, is the hash of the live settings that its pods are to have. It is not on the pods' template:
// a change of settings replaces none.
const annotationSettings = "platform.mirubato.com/settings"

// annotationWeight, on a canary's Deployment, is the weight that the number of its pods was made for.
const annotationWeight = "platform.mirubato.com/weight"

// Complete reports whether all pods of a Deployment are of its present template and available, and none is left of another.
func Complete(deployment *appsv1.Deployment) bool {
	if deployment == nil || deployment.Spec.Replicas == nil || deployment.DeletionTimestamp != nil {
		return false
	}
	status, want := deployment.Status, *deployment.Spec.Replicas
	return status.ObservedGeneration >= deployment.Generation &&
		status.UpdatedReplicas == want &&
		status.AvailableReplicas == want &&
		status.Replicas == want
}

// FleetOf tells how far a Deployment has come, and what its pods lack. The Deployment may be nil.
func FleetOf(deployment *appsv1.Deployment, pods []corev1.Pod) release.Fleet {
	if deployment == nil {
		return release.Fleet{}
	}
	content := deployment.Spec.Template.Labels[v1alpha1.LabelContent]
	fleet := release.Fleet{
		Exists:    true,
		Release:   deployment.Annotations[v1alpha1.AnnotationRelease],
		Content:   content,
		Migration: deployment.Annotations[annotationMigrated],
		Settings:  deployment.Annotations[annotationSettings],
		Replicas:  *cmp.Or(deployment.Spec.Replicas, new(int32(1))),
		Complete:  Complete(deployment),
		Failed:    progressFailed(deployment),
	}
	if weight, err := strconv.ParseInt(deployment.Annotations[annotationWeight], 10, 32); err == nil {
		fleet.Weight = int32(weight)
	}
	var own []corev1.Pod
	for _, pod := range pods {
		if pod.Labels[v1alpha1.LabelContent] != content || !selects(deployment, &pod) {
			continue
		}
		own = append(own, pod)
		if isReady(&pod) {
			fleet.Ready++
		}
	}
	if !fleet.Complete {
		fleet.Waiting = waitForPods(own, deployment.Annotations[v1alpha1.AnnotationRelease])
	}
	return fleet
}

func selects(deployment *appsv1.Deployment, pod *corev1.Pod) bool {
	return labels.SelectorFromSet(deployment.Spec.Selector.MatchLabels).Matches(labels.Set(pod.Labels))
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// progressFailed reports whether the Deployment gave up waiting for its pods.
func progressFailed(deployment *appsv1.Deployment) bool {
	for _, condition := range deployment.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing {
			return condition.Status == corev1.ConditionFalse && condition.Reason == "ProgressDeadlineExceeded"
		}
	}
	return false
}

// waitForPods says why pods are not all ready.
func waitForPods(pods []corev1.Pod, name string) *v1alpha1.WaitingFor {
	if finding := diagnosis.Of(pods); finding != nil {
		waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: finding.Message, Unblock: finding.Unblock}
		if finding.Image {
			waiting.Type = v1alpha1.WaitImage
		}
		return waiting
	}
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitPods,
		Message: "the pods of release " + name + " are not all ready",
	}
}
