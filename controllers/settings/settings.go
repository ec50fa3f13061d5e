// Package settings delivers live settings to the pods of an environment: it says which generation each pod shall use, sends it to
// those that take it, and asks the pods which one they run with.
//
// A generation has the number of its release. The package owns the choice and what was acknowledged; which generations there are
// and where they are written is package environment's, when a release is written is package release's.
package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
)

// Side is a Deployment's present template: the content of its pods and the generation of its release. Its zero value is that of
// a Deployment that does not exist.
type Side struct {
	Content    string
	Generation int64
}

// Assignment is a pod and the generation that it shall use.
type Assignment struct {
	Pod        corev1.Pod
	Generation int64
}

// Assign returns what each pod of the service shall use. One that runs what its Deployment's template says uses its release's
// settings. One of an earlier template keeps what it has until it is gone: settings that came with an image belong to that image.
// Pods that are being removed, and those of Jobs, are left out.
func Assign(pods []corev1.Pod, stable, canary Side) []Assignment {
	var out []Assignment
	for _, pod := range pods {
		side := stable
		switch ownership.ComponentOf(pod.Labels) {
		case ownership.ComponentAPI:
		case ownership.ComponentCanary:
			side = canary
		default:
			continue
		}
		generation := side.Generation
		if pod.Labels[v1alpha1.LabelContent] != side.Content {
			generation = Own(pod)
		}
		if pod.DeletionTimestamp == nil && generation > 0 {
			out = append(out, Assignment{Pod: pod, Generation: generation})
		}
	}
	slices.SortFunc(out, func(a, b Assignment) int { return cmp.Compare(a.Pod.Name, b.Pod.Name) })
	return out
}

// Own is the generation that a pod was given; 0 if it was given none, or something that is no number.
func Own(pod corev1.Pod) int64 {
	return positive(pod.Annotations[contract.SettingsGenerationAnnotation])
}

// mostSequence is far beyond every clock. What is greater was edited by hand: a pod that was sent it would take all that follows for older.
const mostSequence = 1 << 53

// sequence is the place of a pod's generation among those that it was given; 0 if that is not known.
func sequence(pod corev1.Pod) int64 {
	if number := positive(pod.Annotations[contract.SettingsSequenceAnnotation]); number < mostSequence {
		return number
	}
	return 0
}

// positive is 0 for what is not written as a number of Kubernetes is.
func positive(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 || text != strconv.FormatInt(number, 10) {
		return 0
	}
	return number
}

// Given reports whether the pod has been told its generation.
func (a Assignment) Given() bool { return Own(a.Pod) == a.Generation }

// Patch tells the pod. It changes nothing else and needs no version of the pod: telling it twice is the same as once. The sequence
// grows by the clock, so that it does for one that knows an older state of the pod as well, and by one at least should the clock have
// been set back.
func (a Assignment) Patch(now time.Time) client.Patch {
	return client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"%d",%q:"%d"}}}`,
		contract.SettingsGenerationAnnotation, a.Generation,
		contract.SettingsSequenceAnnotation, max(now.UnixMilli(), sequence(a.Pod)+1)))
}

// Reminder has the kubelet look at the pod again. It sometimes writes what a pod was told before: it goes over a list of pods that
// is older than the change, and takes the change for done until it next looks by itself, which is a minute later.
func (a Assignment) Reminder() client.Patch {
	before, _ := strings.CutPrefix(a.Pod.Annotations[v1alpha1.AnnotationSettingsReminder], strconv.FormatInt(a.Generation, 10)+"/")
	count, err := strconv.Atoi(before)
	if err != nil {
		count = 0 // the first of this generation
	}
	return client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"%d/%d"}}}`,
		v1alpha1.AnnotationSettingsReminder, a.Generation, count+1))
}
