package gate_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func place(name string) gate.Place {
	return gate.Place{Microservice: types.NamespacedName{Namespace: "music", Name: name}, Environment: "production"}
}

func begun(name string) gate.Claim { return gate.Claim{Place: place(name), Begun: true} }

func waits(name string, minutes int) gate.Claim {
	return gate.Claim{Place: place(name), WaitingSince: noon.Add(-time.Duration(minutes) * time.Minute)}
}

func on(database string, claim gate.Claim) gate.Claim {
	claim.Database = database
	return claim
}

type claims = []gate.Claim

func TestABudgetIsGivenByAge(t *testing.T) {
	for name, tc := range map[string]struct {
		limit    int
		claims   claims
		asks     string
		want     bool
		database string
	}{
		"the first":                                     {2, nil, "a", true, ""},
		"one place left":                                {2, claims{begun("b")}, "a", true, ""},
		"none left":                                     {2, claims{begun("b"), begun("c")}, "a", false, ""},
		"who has begun keeps the place":                 {2, claims{begun("b"), begun("c"), begun("a")}, "a", true, ""},
		"a limit that was lowered since":                {1, claims{begun("b"), begun("a")}, "a", true, ""},
		"somebody waits for longer":                     {2, claims{begun("b"), waits("c", 5)}, "a", false, ""},
		"there is enough for both":                      {3, claims{begun("b"), waits("c", 5)}, "a", true, ""},
		"I wait for longer":                             {2, claims{begun("b"), waits("c", 5), waits("a", 6)}, "a", true, ""},
		"as long as another, whose name is z":           {2, claims{begun("b"), waits("z", 5), waits("a", 5)}, "a", true, ""},
		"as long as another, and mine is":               {2, claims{begun("b"), waits("a", 5), waits("z", 5)}, "z", false, ""},
		"the oldest, but nothing is free":               {1, claims{begun("b"), waits("a", 5)}, "a", false, ""},
		"no limit below one":                            {0, nil, "a", true, ""},
		"another database":                              {9, claims{on("x", begun("b"))}, "a", true, "y"},
		"the same database":                             {9, claims{on("x", begun("b"))}, "a", false, "x"},
		"no database":                                   {9, claims{begun("b")}, "a", true, ""},
		"somebody waits for it for longer":              {9, claims{on("x", waits("b", 5)), on("x", waits("a", 4))}, "a", false, "x"},
		"who waits for a database holds up nobody else": {2, claims{on("x", begun("b")), on("x", waits("c", 5))}, "a", true, "y"},
		"nor does who waits behind such a one":          {3, claims{on("x", waits("b", 5)), on("x", waits("c", 4))}, "a", true, "y"},
		"what has begun goes on beside another":         {9, claims{on("x", begun("b")), on("x", begun("a"))}, "a", true, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			got := gate.NewBudget(tc.limit).Ask(noon, gate.Claim{Place: place(tc.asks), Database: tc.database}, tc.claims)
			if (got == nil) != tc.want {
				t.Errorf("waiting = %+v", got)
			}
			if got != nil && (got.Type != v1alpha1.WaitBudget || got.Message == "" || got.Unblock == "") {
				t.Errorf("waiting = %+v", got)
			}
		})
	}
}

func TestAPlaceThatWasGivenIsKeptUntilItIsRecordedOrNeverTaken(t *testing.T) {
	budget := gate.NewBudget(1)
	at := func(after time.Duration, name string, claims claims) bool {
		return budget.Ask(noon.Add(after), gate.Claim{Place: place(name)}, claims) == nil
	}
	if !at(0, "a", nil) || !at(time.Second, "a", nil) {
		t.Fatal("a was refused")
	}
	if at(time.Second, "b", nil) {
		t.Error("b was let in, though a was a moment ago")
	}
	if at(2*time.Second, "b", claims{begun("a"), waits("b", 0)}) {
		t.Error("b was let in, though a has begun")
	}
	if !at(3*time.Second, "b", claims{waits("b", 0)}) {
		t.Error("b was refused, though a has ended")
	}
	if !at(3*time.Second, "b", claims{begun("b")}) || at(3*time.Second, "a", claims{begun("b")}) || !at(3*time.Second, "b", nil) {
		t.Error("b has begun and then ended: the place is free, and was not")
	}
	if at(4*time.Second, "a", nil) {
		t.Error("a was let in, though b was a moment ago")
	}
	if !at(2*time.Minute, "a", nil) {
		t.Error("a place that was never taken was not given again")
	}
}

func TestWhoDoesNotComeInItsTurnHoldsUpNobody(t *testing.T) {
	budget := gate.NewBudget(1)
	all := claims{waits("broken", 9), waits("a", 5), waits("b", 4)}
	ask := func(after time.Duration, name string) bool {
		return budget.Ask(noon.Add(after), gate.Claim{Place: place(name)}, all) == nil
	}
	if ask(0, "a") || ask(time.Minute, "b") || ask(119*time.Second, "a") {
		t.Fatal("somebody was let in before it was clear that the first does not come")
	}
	if ask(2*time.Minute, "b") {
		t.Error("b was let in before a, who waits for longer")
	}
	if next := budget.Next(noon.Add(2*time.Minute), all); len(next) != 1 || next[0] != place("a") {
		t.Errorf("next are %v, want a", next)
	}
	if !ask(2*time.Minute, "a") {
		t.Error("a was refused, though the first does not come")
	}
	all = all[:1:1]
	if ask(121*time.Second, "b") || !ask(4*time.Minute, "broken") {
		t.Error("the first was refused, though it came back and the place was free")
	}
	all = append(all, waits("a", 5))
	if ask(270*time.Second, "a") {
		t.Error("a was let in though the first has come back and has the place")
	}
}

// A pass that asks and then fails, again and again, must not keep the place from those behind.
func TestWhoDoesNotTakeItsPlaceComesAfterTheOthers(t *testing.T) {
	budget := gate.NewBudget(1)
	all := claims{waits("broken", 9), waits("a", 5)}
	ask := func(after time.Duration, name string) bool {
		return budget.Ask(noon.Add(after), gate.Claim{Place: place(name)}, all) == nil
	}
	for second := range 60 {
		if after := time.Duration(second) * time.Second; !ask(after, "broken") || ask(after, "a") {
			t.Fatal("the first has no place of its own, though it is in front")
		}
	}
	if ask(time.Minute, "broken") || !ask(time.Minute, "a") {
		t.Error("the place was not given to the next")
	}
	if all = all[:1]; !ask(2*time.Minute, "broken") {
		t.Error("the first was refused, though nobody else waits")
	}
}

func TestADatabaseIsToldByItsSecret(t *testing.T) {
	reference := func(name, key string) *v1alpha1.DatabaseSpec {
		return &v1alpha1.DatabaseSpec{SecretRef: &v1alpha1.SecretKeyReference{Name: name, Key: key}}
	}
	for name, tc := range map[string]struct {
		database, override *v1alpha1.DatabaseSpec
		want               string
	}{
		"none":                      {nil, nil, ""},
		"that of the Microservice":  {reference("database", ""), nil, "music-production/database/url"},
		"by another key":            {reference("database", "dsn"), nil, "music-production/database/dsn"},
		"that of the environment":   {reference("database", ""), reference("own", ""), "music-production/own/url"},
		"an override of the others": {reference("database", ""), &v1alpha1.DatabaseSpec{}, "music-production/database/url"},
	} {
		t.Run(name, func(t *testing.T) {
			ms := &v1alpha1.Microservice{Spec: v1alpha1.MicroserviceSpec{Database: tc.database}}
			ms.Spec.Environments = []v1alpha1.EnvironmentSpec{{Name: "staging"}, {Name: "production", Namespace: "music-production"}}
			if tc.override != nil {
				ms.Spec.Environments[1].Overrides = &v1alpha1.EnvironmentOverrides{Database: tc.override}
			}
			if got := gate.Database(ms, "production"); got != tc.want {
				t.Errorf("database = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNextAreThoseWhoWouldBeLetIn(t *testing.T) {
	all := claims{begun("a"), waits("b", 1), waits("c", 3), waits("d", 2), {Place: place("e")}}
	for limit, want := range map[int][]gate.Place{
		1: nil, 2: {place("c")}, 3: {place("c"), place("d")}, 9: {place("c"), place("d"), place("b")},
	} {
		budget := gate.NewBudget(limit)
		got := budget.Next(noon, all)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("of %d (-want +got):\n%s", limit, diff)
		}
		for _, next := range got {
			if waiting := budget.Ask(noon, gate.Claim{Place: next}, all); waiting != nil {
				t.Errorf("%v was refused", next)
			}
		}
		if again := budget.Next(noon, all); len(again) != 0 {
			t.Errorf("after that, %v would be let in as well", again)
		}
	}
}

// Many ask at once, from caches that show nothing of each other.
func TestABudgetHoldsThoughNothingIsRecordedYet(t *testing.T) {
	const limit, askers = 7, 50
	budget := gate.NewBudget(limit)
	var wg sync.WaitGroup
	var mu sync.Mutex
	let := 0
	for i := range askers {
		wg.Go(func() {
			if budget.Ask(noon, gate.Claim{Place: place(fmt.Sprint("s", i))}, nil) == nil {
				mu.Lock()
				defer mu.Unlock()
				let++
			}
		})
	}
	wg.Wait()
	if let != limit {
		t.Errorf("%d were let in, want %d", let, limit)
	}
}

// However many wait, all come to their turn in the order of their age, and never are more under way than may be.
func TestEverybodyComesToTheirTurn(t *testing.T) {
	const limit, all = 3, 40
	budget := gate.NewBudget(limit)
	var queue, under claims
	for i := range all {
		queue = append(queue, waits(fmt.Sprintf("s%02d", i), all-i))
	}
	for round := 0; len(queue) > 0; round++ {
		if round > all {
			t.Fatalf("%d still wait", len(queue))
		}
		now := noon.Add(time.Duration(round) * time.Second)
		for _, next := range budget.Next(now, append(append(claims{}, under...), queue...)) {
			if next != queue[0].Place {
				t.Fatalf("%v before %v", next, queue[0].Place)
			}
			if budget.Ask(now, gate.Claim{Place: next}, append(append(claims{}, under...), queue...)) != nil {
				t.Fatalf("%v was refused", next)
			}
			under, queue = append(under, gate.Claim{Place: next, Begun: true}), queue[1:]
		}
		if len(under) > limit {
			t.Fatalf("%d are under way", len(under))
		}
		under = under[1:] // the oldest ends
	}
}

func TestClaimsAreReadFromTheStatus(t *testing.T) {
	since := metav1.NewTime(noon)
	ms := &v1alpha1.Microservice{ObjectMeta: metav1.ObjectMeta{Namespace: "music", Name: "scores"}}
	waiting := func(kind v1alpha1.WaitType) *v1alpha1.WaitingFor {
		return &v1alpha1.WaitingFor{Type: kind, Since: since}
	}
	ms.Status.Environments = []v1alpha1.EnvironmentStatus{
		{Name: "waits", Step: v1alpha1.StepAdmit, WaitingFor: waiting(v1alpha1.WaitBudget)},
		{Name: "approval", Step: v1alpha1.StepAdmit, WaitingFor: waiting(v1alpha1.WaitApproval)},
		{Name: "admitted", Step: v1alpha1.StepAdmit, WaitingFor: waiting(v1alpha1.WaitStep)},
		{Name: "check", Step: v1alpha1.StepCheck, WaitingFor: waiting(v1alpha1.WaitMigration)},
		{Name: "backup", Step: v1alpha1.StepBackUp, WaitingFor: waiting(v1alpha1.WaitMigration)},
		{Name: "rehearse", Step: v1alpha1.StepRehearse, WaitingFor: waiting(v1alpha1.WaitMigration)},
		{Name: "expand", Step: v1alpha1.StepExpand, WaitingFor: waiting(v1alpha1.WaitMigration)},
		{Name: "canary", Step: v1alpha1.StepCanary},
		{Name: "promote", Step: v1alpha1.StepPromote},
		{Name: "back", Step: v1alpha1.StepRollBack},
		{Name: "soak", Step: v1alpha1.StepSoak, WaitingFor: waiting(v1alpha1.WaitSoak)},
		{Name: "verified", Step: v1alpha1.StepVerified},
		{Name: "rejected", Step: v1alpha1.StepRejected, WaitingFor: waiting(v1alpha1.WaitRejected)},
	}
	got := map[string]time.Time{}
	for _, claim := range gate.Claims(ms) {
		if claim.Microservice.String() != "music/scores" || claim.Begun == !claim.WaitingSince.IsZero() {
			t.Errorf("claim = %+v", claim)
		}
		got[claim.Environment] = claim.WaitingSince
	}
	want := map[string]time.Time{"waits": noon, "admitted": {}, "check": {}, "backup": {}, "rehearse": {}, "expand": {}, "canary": {}, "promote": {}, "back": {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	ms.DeletionTimestamp = &since
	if left := gate.Claims(ms); left != nil {
		t.Errorf("claims of one that is being deleted = %+v", left)
	}
}
