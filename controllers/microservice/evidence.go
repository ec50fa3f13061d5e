package microservice

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/analysis"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/release"
	"github.com/mirubato/mirubato/controllers/smoke"
)

// maxSamples is how many readings of an analysis a release keeps as evidence.
const maxSamples = 20

// observeEvidence adds to the facts what smoke tests and the analysis have found out about the target.
func (r *Reconciler) observeEvidence(ctx context.Context, ms *v1alpha1.Microservice, s *station) error {
	rollout := s.spec.Rollout
	if rollout == nil {
		return nil
	}
	if waiting := smoke.Problem(rollout.SmokeTests); waiting != nil {
		s.input.Facts.Gates = append(s.input.Facts.Gates, *waiting)
	}
	if len(rollout.SmokeTests) > 0 {
		if err := r.observeSmoke(ctx, ms, s); err != nil {
			return err
		}
	}
	if rollout.Analysis != nil {
		r.observeAnalysis(ctx, ms, s)
	}
	return nil
}

// executor makes smoke tests where the station is.
func (r *Reconciler) executor(s *station) *smoke.Executor {
	out := *r.Smoke
	out.Endpoints, out.Reader, out.Writer = s.endpoints(), s.cluster.Live, s.cluster.Client
	return &out
}

// observeSmoke tells how far the smoke tests of each target have come. What they lack keeps a release out of the environment,
// and one that is in it waits: it is no fault of the release.
func (r *Reconciler) observeSmoke(ctx context.Context, ms *v1alpha1.Microservice, s *station) error {
	tests, record := s.spec.Rollout.SmokeTests, s.input.Record
	var missing *v1alpha1.WaitingFor
	open := record.Step != v1alpha1.StepVerified && s.input.Rejection == nil
	if s.facts.Namespace.Consents && open {
		var err error
		if missing, err = r.executor(s).MissingSecret(ctx, s.place.Namespace, tests); err != nil {
			return err
		}
	}
	if missing != nil && record.AdmittedAt == nil {
		s.input.Facts.Gates = append(s.input.Facts.Gates, *missing)
	}
	s.input.Facts.Smoke = map[v1alpha1.SmokeTarget]release.Smoke{}
	for _, target := range []v1alpha1.SmokeTarget{v1alpha1.SmokeStable, v1alpha1.SmokeCanary, v1alpha1.SmokeEnvironment} {
		run, err := s.smokeRun(ms, target)
		if err != nil {
			return err
		}
		state := run.State(s.smokeObserved())
		state.Waiting = missing
		if open && record.AdmittedAt != nil {
			// What a Job has found out is recorded in the pass that goes on because of it: the next one may find the Job removed.
			s.input.Record.SmokeTests = run.Results(s.smokeObserved())
		}
		s.input.Facts.Smoke[target] = state
	}
	return nil
}

// smokeRun is the smoke tests of a target. The stable pods are those of the release before until the promotion.
func (s *station) smokeRun(ms *v1alpha1.Microservice, target v1alpha1.SmokeTarget) (smoke.Run, error) {
	children := s.targetChildren()
	if target == v1alpha1.SmokeStable {
		children = s.children[s.input.Facts.Stable.Release]
	}
	content := s.content(ms, s.target)
	subject := smoke.Subject{
		Owner:            s.place.Owner,
		Namespace:        s.place.Namespace,
		ServiceAccount:   s.place.Name(),
		Target:           target,
		Release:          children.Version,
		Image:            content.Image,
		ImagePullSecrets: content.ImagePullSecrets,
		Placement:        content.Placement,
	}
	if admitted := s.input.Record.AdmittedAt; admitted != nil {
		subject.Admitted = admitted.Time
	}
	return smoke.New(subject, s.spec.Rollout.SmokeTests)
}

func (s *station) smokeObserved() smoke.Observed {
	return smoke.Observed{Results: s.input.Record.SmokeTests, Jobs: s.smokeJobs, Pods: s.facts.Pods, Now: s.input.Now}
}

// smoke makes one attempt at each test of a target. What was found out is recorded even if something else went wrong, lest an
// attempt be made again that has failed.
func (r *Reconciler) smoke(ctx context.Context, ms *v1alpha1.Microservice, s *station, target v1alpha1.SmokeTarget) error {
	run, err := s.smokeRun(ms, target)
	if err != nil {
		return err
	}
	results, err := r.executor(s).Attempt(ctx, run, s.smokeObserved())
	s.plan.Record.SmokeTests = results
	s.late = err
	return nil
}

// observeAnalysis takes a reading if one is due.
func (r *Reconciler) observeAnalysis(ctx context.Context, ms *v1alpha1.Microservice, s *station) {
	key := analysis.Key{Namespace: ms.Namespace, Microservice: ms.Name, Environment: s.name()}
	record := &s.input.Record
	if record.Step != v1alpha1.StepCanary || record.Since == nil || record.Weight == 0 || s.input.Rejection != nil || ms.Spec.Paused {
		r.Analysis.Forget(key)
		return
	}
	result, sample, taken := r.Analysis.Observe(ctx, analysis.Subject{
		Key:          key,
		Release:      s.targetChildren().Version,
		Since:        record.Since.Time,
		Weight:       record.Weight,
		Rules:        *s.spec.Rollout.Analysis,
		PodNamespace: s.place.Namespace,
		New:          askable(s.pods.Canary),
		Old:          askable(s.pods.Stable),
		Endpoints:    s.endpoints(),
	}, s.input.Now)
	s.input.Facts.Analysis = result
	if taken {
		s.reading = &sample
	}
}

// keepReading adds the reading of this pass to the record if it says something new, or if the record is written anyhow: the
// one that decided is always kept. A write for each reading would be one a second.
func (s *station) keepReading() {
	if s.reading == nil || !saysMore(s.input.Record.Analysis, *s.reading) && equal(s.input.Record, s.plan.Record) {
		return
	}
	kept := append(slices.Clone(s.plan.Record.Analysis), *s.reading)
	s.plan.Record.Analysis = kept[max(0, len(kept)-maxSamples):]
}

// saysMore reports whether a reading is worth a write of its own: another weight or verdict than the last one that was kept,
// or twice the requests.
func saysMore(kept []v1alpha1.AnalysisSample, reading v1alpha1.AnalysisSample) bool {
	if len(kept) == 0 {
		return true
	}
	last := kept[len(kept)-1]
	return reading.Weight != last.Weight || reading.Verdict != last.Verdict || reading.CanaryRequests > 0 && reading.CanaryRequests >= 2*last.CanaryRequests
}

// askable returns the pods that are ready.
func askable(pods []corev1.Pod) []podclient.Pod {
	var out []podclient.Pod
	for _, pod := range pods {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
				out = append(out, podclient.Pod{Name: pod.Name, UID: string(pod.UID), IP: pod.Status.PodIP})
			}
		}
	}
	return out
}
