package release

import (
	"testing"
	"time"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func TestCanary(t *testing.T) {
	t.Parallel()
	begun := func(in *Input) { step(v1alpha1.StepCanary)(in); migrated(in) }
	with := func(c Fleet) change { return func(in *Input) { in.Facts.Canary = c } }
	expanded := func(in *Input) { step(v1alpha1.StepExpand)(in); migrated(in) }
	some := canary(20)
	some.Replicas, some.Complete = 2, false
	none := some
	none.Ready = 0
	gaveUp := none
	gaveUp.Failed = true
	pending := func(d time.Duration) change { return func(in *Input) { in.Record.PendingSince = ago(d) } }
	steps := func(s ...Step) change { return func(in *Input) { in.Rollout.Steps = s } }
	lacking := func(state SmokeState) Smoke {
		return Smoke{State: state, Waiting: &v1alpha1.WaitingFor{Type: v1alpha1.WaitSecret, Message: "Secret robot does not exist"}}
	}
	other := func(in *Input) { in.Facts.Canary.Content, in.Facts.Weight = "other", 50 }
	cases{
		"it starts beside the others":                      {input(begun), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"its pods are waited for":                          {input(begun, with(none), pending(4*time.Minute)), "Canary: keep(scores-1) start(20) wait Pods look 6m0s"},
		"but not for ever":                                 {input(begun, with(none), pending(10*time.Minute)), "RollBack: wait Rejected look 0s rejects PodsNotReady at Canary"},
		"nor when the Deployment gave up":                  {input(begun, with(gaveUp)), "RollBack: wait Rejected look 0s rejects PodsNotReady at Canary"},
		"it is asked before it gets any request":           {input(begun, with(canary(20)), smoke(v1alpha1.SmokeCanary, Smoke{})), "Canary: keep(scores-1) start(20) smoke(Canary) wait SmokeTest look 0s"},
		"an attempt that runs is waited for":               {input(begun, with(canary(20)), smoke(v1alpha1.SmokeCanary, Smoke{State: SmokeRunning})), "Canary: keep(scores-1) start(20) wait SmokeTest"},
		"the next attempt has its time":                    {input(begun, with(canary(20)), smoke(v1alpha1.SmokeCanary, Smoke{State: SmokeRunning, Next: noon.Add(time.Second)})), "Canary: keep(scores-1) start(20) wait SmokeTest look 1s"},
		"and is made then":                                 {input(begun, with(canary(20)), smoke(v1alpha1.SmokeCanary, Smoke{State: SmokeRunning, Next: noon})), "Canary: keep(scores-1) start(20) smoke(Canary) wait SmokeTest look 0s"},
		"what a test lacks is waited for":                  {input(begun, with(canary(20)), smoke(v1alpha1.SmokeCanary, lacking(SmokeRunning)), pending(time.Hour)), "Canary: keep(scores-1) start(20) wait Secret"},
		"what has passed lacks nothing":                    {input(begun, with(canary(20)), smoke(v1alpha1.SmokeCanary, lacking(SmokePassed))), "Canary: keep(scores-1) start(20) shift(20) wait Step look 1m0s"},
		"one that fails rejects":                           {input(begun, with(canary(20)), smoke(v1alpha1.SmokeCanary, Smoke{State: SmokeFailed})), "RollBack: wait Rejected look 0s rejects SmokeTestFailed at Canary"},
		"it gets its first requests":                       {input(begun, with(canary(20))), "Canary: keep(scores-1) start(20) shift(20) wait Step look 1m0s"},
		"with an analysis the first reading is due":        {input(begun, with(canary(20)), verdict("")), "Canary: keep(scores-1) start(20) shift(20) wait Step look 0s"},
		"requests left from a pass that broke off go":      {input(begun, with(none), func(in *Input) { in.Facts.Weight = 20 }), "Canary: keep(scores-1) start(20) shift(0) wait Pods look 10m0s"},
		"the canary of another release is stopped first":   {input(begun, with(canary(50)), other), "Canary: shift(0) stop keep(scores-1) wait Pods"},
		"the same content again is no canary":              {input(expanded, func(in *Input) { in.Fallback.Content = "new" }), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"nor is there one without steps":                   {input(begun, steps()), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"nor beside a first release that never was ready":  {input(expanded, func(in *Input) { in.Fallback, in.Facts.Stable.Complete = nil, false }), "Promote: keep(scores-2) wait Pods look 10m0s"},
		"one that was begun goes on when others are lost":  {input(begun, func(in *Input) { in.Fallback, in.Facts.Stable.Complete = nil, false }), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"but beside one that is ready":                     {input(expanded, func(in *Input) { in.Fallback = nil }), "Canary: keep(scores-1) start(20) wait Pods look 10m0s"},
		"a share is held":                                  {input(weight(20), func(in *Input) { in.Record.Since = ago(20 * time.Second) }), "Canary: keep(scores-1) start(20) shift(20) wait Step look 40s"},
		"then the canary grows":                            {input(weight(20)), "Canary: keep(scores-1) start(50) shift(20) wait Pods look 10m0s"},
		"and gets the next share":                          {input(weight(20), with(canary(50))), "Canary: keep(scores-1) start(50) shift(20) shift(50) wait Step look 1m0s"},
		"after the last the release is promoted":           {input(weight(50)), "Promote: keep(scores-2) shift(50) wait Pods look 10m0s"},
		"a pod that is lost keeps it from growing":         {input(weight(20), with(some)), "Canary: keep(scores-1) start(20) shift(20) wait Pods look 10m0s"},
		"with no pod ready no request is sent":             {input(weight(20), with(none)), "Canary: keep(scores-1) start(20) shift(0) wait Pods look 10m0s"},
		"pods that stay away reject":                       {input(weight(20), with(none), pending(10*time.Minute)), "RollBack: wait Rejected look 0s rejects PodsNotReady at Canary"},
		"a canary removed by hand starts from the first":   {input(weight(50), with(Fleet{})), "Canary: shift(0) keep(scores-1) start(20) shift(0) wait Pods look 10m0s"},
		"blue and green move all requests":                 {input(begun, with(canary(100)), steps(Step{Weight: 100})), "Canary: keep(scores-1) start(100) shift(100) wait Step look 0s"},
		"and then promote":                                 {input(weight(100), steps(Step{Weight: 100})), "Promote: keep(scores-2) shift(100) wait Pods look 10m0s"},
		"steps added above are taken":                      {input(weight(50), steps(Step{Weight: 20}, Step{Weight: 50}, Step{Weight: 70})), "Canary: keep(scores-1) start(70) shift(50) wait Pods look 10m0s"},
		"a changed share waits for the checks of this one": {input(weight(20), steps(Step{Weight: 30}), verdict(v1alpha1.VerdictNotEnoughData)), "Canary: keep(scores-1) start(20) shift(20) wait Analysis look 10s"},
		"steps taken away end the canary in order":         {input(weight(20), steps()), "Promote: keep(scores-2) shift(20) wait Pods look 10m0s"},
	}.run(t)
}

func TestAShareCountsFromWhenTheGatewaysHaveTakenIt(t *testing.T) {
	t.Parallel()
	routed := func(in *Input) { in.Rollout.Gateway = true }
	waits := func(in *Input) {
		routed(in)
		in.Facts.Gateway = &v1alpha1.WaitingFor{Type: v1alpha1.WaitGateway, Message: "Gateway infra/public has not read the present HTTPRoute"}
	}
	begun := func(in *Input) { step(v1alpha1.StepCanary)(in); migrated(in); in.Facts.Canary = canary(20) }
	untaken := func(in *Input) { in.Record.Since = nil }
	behind := func(in *Input) { waits(in); in.Facts.GatewayBehind = true }
	stopping := func(in *Input) { in.Facts.Canary, in.Facts.Weight, in.Record.Weight = canary(50), 0, 0 }
	cases{
		"it is looked at at once":                 {input(begun, routed), "Canary: keep(scores-1) start(20) shift(20) wait Gateway look 0s"},
		"then again and again":                    {input(weight(20), untaken, waits), "Canary: keep(scores-1) start(20) shift(20) wait Gateway look 1s"},
		"also when the canary is large enough":    {input(weight(20), untaken, waits, func(in *Input) { in.Facts.Canary = canary(50) }), "Canary: keep(scores-1) start(50) shift(20) wait Gateway look 1s"},
		"its time begins when they have taken it": {input(weight(20), untaken, routed), "Canary: keep(scores-1) start(20) shift(20) wait Step look 0s"},
		"and goes on":                             {input(weight(20), routed, func(in *Input) { in.Record.Since = ago(20 * time.Second) }), "Canary: keep(scores-1) start(20) shift(20) wait Step look 40s"},
		"what one has given up counts no more":    {input(weight(20), waits), "Canary: keep(scores-1) start(20) shift(20) wait Gateway look 1s"},
		"a bad verdict is not waited with":        {input(weight(20), waits, verdict(v1alpha1.VerdictFail)), "RollBack: wait Rejected look 0s rejects AnalysisFailed at Canary"},
		"a canary stays while requests may come":  {input(weight(50), behind, rejection("staging")), "RollBack: shift(0) keep(scores-1) wait Pods look 1s"},
		"also one that was told to get none":      {input(weight(50), behind, stopping, rejection("staging")), "RollBack: shift(0) keep(scores-1) wait Pods look 1s"},
		"and after the promotion":                 {input(verified, replaced(true), behind, stopping), "Verified: shift(0) keep(scores-2) cleanup look 1s"},
		"it goes when they have heard of it":      {input(weight(50), routed, stopping, rejection("staging")), "RollBack: shift(0) stop keep(scores-1) wait Pods"},
		"or when nobody sends requests":           {input(weight(50), waits, stopping, rejection("staging")), "RollBack: shift(0) stop keep(scores-1) wait Pods"},
	}.run(t)
	if since := New(input(weight(20), waits)).Record.Since; since != nil {
		t.Errorf("since = %v, though a Gateway does something else", since)
	}
	if since := New(input(weight(20), untaken, routed)).Record.Since; since == nil || !since.Time.Equal(noon) {
		t.Errorf("since = %v, want now", since)
	}
}

func TestPauseOfAStep(t *testing.T) {
	t.Parallel()
	pause := func(in *Input) { in.Rollout.Steps[0].Pause = true }
	resume := func(in *Input) { in.Resume = true }
	resumed := func(in *Input) { in.Record.ResumedAt = ago(time.Second) }
	held := func(in *Input) { in.Record.Since = ago(20 * time.Second) }
	cases{
		"the share stays":                            {input(weight(20), pause), "Canary: keep(scores-1) start(20) shift(20) wait Pause"},
		"while its figures are watched":              {input(weight(20), pause, verdict(v1alpha1.VerdictPass)), "Canary: keep(scores-1) start(20) shift(20) wait Pause look 10s"},
		"and end it if they are bad":                 {input(weight(20), pause, verdict(v1alpha1.VerdictFail)), "RollBack: wait Rejected look 0s rejects AnalysisFailed at Canary"},
		"until somebody resumes":                     {input(weight(20), pause, resume), "Canary: keep(scores-1) start(50) shift(20) wait Pods look 10m0s"},
		"which is remembered":                        {input(weight(20), pause, resumed, verdict("")), "Canary: keep(scores-1) start(20) shift(20) wait Analysis look 10s"},
		"who resumes early still waits for the hold": {input(weight(20), pause, resume, held), "Canary: keep(scores-1) start(20) shift(20) wait Step look 40s"},
	}.run(t)
	plan := New(input(weight(20), pause))
	if want := "kubectl annotate microservice scores --namespace home --overwrite platform.mirubato.com/resume=staging/$(date +%s)"; plan.Waiting.Unblock != want {
		t.Errorf("unblock:\n%s\nwant\n%s", plan.Waiting.Unblock, want)
	}
	if New(input(weight(20), pause, resume, held)).Record.ResumedAt == nil || New(input(weight(50), pause, resume)).Record.ResumedAt != nil {
		t.Error("resuming is recorded of the step that pauses, and of no other")
	}
}

func TestAnalysis(t *testing.T) {
	t.Parallel()
	held := func(in *Input) { in.Record.Since = ago(20 * time.Second) }
	pending := func(d time.Duration) change { return func(in *Input) { in.Record.PendingSince = ago(d) } }
	policy := func(data, source v1alpha1.AnalysisPolicy) change {
		return func(in *Input) { in.Rollout.NotEnoughData, in.Rollout.SourceDown = data, source }
	}
	cases{
		"a pass lets the canary grow":         {input(weight(20), verdict(v1alpha1.VerdictPass)), "Canary: keep(scores-1) start(50) shift(20) wait Pods look 10m0s"},
		"after its hold":                      {input(weight(20), held, verdict(v1alpha1.VerdictPass)), "Canary: keep(scores-1) start(20) shift(20) wait Step look 10s"},
		"a failure is not waited for":         {input(weight(20), held, verdict(v1alpha1.VerdictFail)), "RollBack: wait Rejected look 0s rejects AnalysisFailed at Canary"},
		"no verdict is waited for":            {input(weight(20), verdict("")), "Canary: keep(scores-1) start(20) shift(20) wait Analysis look 10s"},
		"but not for ever":                    {input(weight(20), verdict(""), pending(10*time.Minute)), "RollBack: wait Rejected look 0s rejects Timeout at Canary"},
		"the limit is looked at when it ends": {input(weight(20), verdict(""), pending(10*time.Minute-time.Second)), "Canary: keep(scores-1) start(20) shift(20) wait Analysis look 1s"},
		"too few requests are waited for":     {input(weight(20), verdict(v1alpha1.VerdictNotEnoughData)), "Canary: keep(scores-1) start(20) shift(20) wait Analysis look 10s"},
		"or pass":                             {input(weight(20), verdict(v1alpha1.VerdictNotEnoughData), policy(v1alpha1.AnalysisPass, "")), "Canary: keep(scores-1) start(50) shift(20) wait Pods look 10m0s"},
		"or fail":                             {input(weight(20), verdict(v1alpha1.VerdictNotEnoughData), policy(v1alpha1.AnalysisFail, "")), "RollBack: wait Rejected look 0s rejects AnalysisFailed at Canary"},
		"though not before the hold is over":  {input(weight(20), held, verdict(v1alpha1.VerdictNotEnoughData), policy(v1alpha1.AnalysisFail, "")), "Canary: keep(scores-1) start(20) shift(20) wait Step look 10s"},
		"figures that cannot be read hold":    {input(weight(20), verdict(v1alpha1.VerdictSourceDown)), "Canary: keep(scores-1) start(20) shift(20) wait Analysis look 10s"},
		"or fail, if asked":                   {input(weight(20), verdict(v1alpha1.VerdictSourceDown), policy("", v1alpha1.AnalysisFail)), "RollBack: wait Rejected look 0s rejects AnalysisFailed at Canary"},
		"but never pass":                      {input(weight(20), verdict(v1alpha1.VerdictSourceDown), policy("", v1alpha1.AnalysisPass)), "Canary: keep(scores-1) start(20) shift(20) wait Analysis look 10s"},
		"the last share is judged as well":    {input(weight(50), verdict(v1alpha1.VerdictNotEnoughData)), "Canary: keep(scores-1) start(50) shift(50) wait Analysis look 10s"},
		"nothing is judged without analysis": {
			input(weight(50), verdict(v1alpha1.VerdictFail), func(in *Input) { in.Rollout.Analysis = false }),
			"Promote: keep(scores-2) shift(50) wait Pods look 10m0s",
		},
	}.run(t)
}

func TestWeightIsRecorded(t *testing.T) {
	t.Parallel()
	in := input(weight(20), func(in *Input) {
		in.Facts.Canary.Weight, in.Record.PendingSince, in.Record.ResumedAt = 50, ago(time.Minute), ago(time.Minute)
	})
	record := New(in).Record
	if record.Weight != 50 || record.StepIndex != 1 || !record.Since.Time.Equal(noon) || record.PendingSince != nil || record.ResumedAt != nil {
		t.Errorf("want the second step, begun now: %+v", record)
	}
}

func TestEachStepHasItsOwnTime(t *testing.T) {
	t.Parallel()
	in := input(weight(50), func(in *Input) { in.Record.PendingSince = ago(9 * time.Minute) })
	if record := New(in).Record; record.Step != v1alpha1.StepPromote || !record.PendingSince.Time.Equal(noon) {
		t.Errorf("the promotion has ten minutes of its own: %+v", record)
	}
}
