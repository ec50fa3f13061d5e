package environment

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/diagnosis"
)

// annotationMigrated, on a Deployment, is the hash of the migration run that came before its pods. It outlives the Job.
const annotationMigrated = "platform.mirubato.com/migrated"

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

// runs reports whether a Deployment's template is the wanted content.
func runs(deployment *appsv1.Deployment, content string) bool {
	return deployment != nil && deployment.Spec.Template.Labels[v1alpha1.LabelContent] == content
}

// migrated reports whether the run came before a Deployment's pods. Without a database there is nothing to run.
func migrated(deployment *appsv1.Deployment, migrationHash string) bool {
	return migrationHash == "" || deployment != nil && deployment.Annotations[annotationMigrated] == migrationHash
}

// progressFailed reports whether the Deployment gave up waiting for its pods.
func progressFailed(deployment *appsv1.Deployment) bool {
	if deployment == nil {
		return false
	}
	for _, condition := range deployment.Status.Conditions {
		if condition.Type == appsv1.DeploymentProgressing {
			return condition.Status == corev1.ConditionFalse && condition.Reason == "ProgressDeadlineExceeded"
		}
	}
	return false
}

// waitForPods says why pods of the wanted content are not all ready.
func waitForPods(pods []corev1.Pod, content, release string) *v1alpha1.WaitingFor {
	var own []corev1.Pod
	for _, pod := range pods {
		if pod.Labels[v1alpha1.LabelContent] == content {
			own = append(own, pod)
		}
	}
	if finding := diagnosis.Of(own); finding != nil {
		waiting := &v1alpha1.WaitingFor{Type: v1alpha1.WaitPods, Message: finding.Message, Unblock: finding.Unblock}
		if finding.Image {
			waiting.Type = v1alpha1.WaitImage
		}
		return waiting
	}
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitPods,
		Message: "the pods of release " + release + " are not all ready",
	}
}
