package release

import "github.com/mirubato/mirubato/api/v1alpha1"

// Admits reports whether a plan lets the target in: nothing is done for it yet.
func (p Plan) Admits() bool {
	return p.Rejection == nil && p.Step == v1alpha1.StepAdmit && p.Record.AdmittedAt != nil &&
		p.Waiting != nil && p.Waiting.Type == v1alpha1.WaitStep
}

// Onward plans what comes after an admission from the same facts, so that one pass does both. It is false where the next pass has to
// look first: migrations are prepared by what is found once the target is in, and what runs beside the stable pods is stopped before.
//
// Write the Record of the plan that is returned before its Actions are carried out: that the gates were open must be known before
// anything is done. The Record says nothing else that only the Actions bring about.
func Onward(in Input, admission Plan) (Plan, bool) {
	if !admission.Admits() || in.Target.Migration != "" || in.Facts.Canary.Exists || in.Facts.Weight != 0 {
		return Plan{}, false
	}
	in.Record = admission.Record
	in.Facts.Smoke, in.Facts.Analysis = nil, Analysis{} // of before the admission
	next := New(in)
	return next, next.Rejection == nil
}
