package gate

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// Place is an environment of a Microservice, in which at most one rollout is under way.
type Place struct {
	Microservice types.NamespacedName
	Environment  string
}

func (p Place) compare(other Place) int {
	return cmp.Or(
		cmp.Compare(p.Microservice.Namespace, other.Microservice.Namespace),
		cmp.Compare(p.Microservice.Name, other.Microservice.Name),
		cmp.Compare(p.Environment, other.Environment),
	)
}

// Claim is what a Microservice's status says of a place.
type Claim struct {
	Place
	// Begun: a rollout was admitted and has neither brought its pods up nor been given up. Soaking does not count: it costs
	// nobody anything and may take days.
	Begun bool
	// WaitingSince is since when it has waited for the budget; zero if it does not.
	WaitingSince time.Time
	// Database is the one that its service uses, as far as the spec tells (see Database); empty for none.
	Database string
}

// Database names the database of an environment: the Secret that holds its URL. Two Secrets that lead to one database are taken for
// two. It is empty without one.
func Database(ms *v1alpha1.Microservice, environment string) string {
	if ms.Spec.Database == nil {
		return ""
	}
	for _, e := range ms.Spec.Environments {
		if e.Name != environment {
			continue
		}
		reference := ms.Spec.Database.SecretRef
		if e.Overrides != nil && e.Overrides.Database != nil {
			reference = cmp.Or(e.Overrides.Database.SecretRef, reference)
		}
		if reference != nil {
			return e.Namespace + "/" + reference.Name + "/" + cmp.Or(reference.Key, "url")
		}
	}
	return ""
}

// Claims reads a status. A Microservice that is being deleted has none.
func Claims(ms *v1alpha1.Microservice) []Claim {
	if !ms.DeletionTimestamp.IsZero() {
		return nil
	}
	var out []Claim
	for _, environment := range ms.Status.Environments {
		claim := Claim{Place: Place{
			Microservice: types.NamespacedName{Namespace: ms.Namespace, Name: ms.Name},
			Environment:  environment.Name,
		}}
		waiting := environment.WaitingFor
		if waiting != nil && waiting.Type == v1alpha1.WaitCluster {
			continue // nobody works on it, and it may stay away for ever
		}
		switch environment.Step {
		case v1alpha1.StepCheck, v1alpha1.StepBackUp, v1alpha1.StepRehearse, v1alpha1.StepExpand,
			v1alpha1.StepCanary, v1alpha1.StepPromote, v1alpha1.StepRollBack:
			claim.Begun = true
		case v1alpha1.StepAdmit:
			// Admitted, and nothing done yet.
			claim.Begun = waiting != nil && waiting.Type == v1alpha1.WaitStep
			if waiting != nil && waiting.Type == v1alpha1.WaitBudget {
				claim.WaitingSince = waiting.Since.Time
			}
		}
		if claim.Begun || !claim.WaitingSince.IsZero() {
			claim.Database = Database(ms, claim.Environment)
			out = append(out, claim)
		}
	}
	return out
}

// patience is how long a place that was given may go untaken. It covers the time until a cache shows what a pass has written,
// and ends what a pass has left behind that did not get that far.
const patience = time.Minute

// turn is how long somebody whose turn it is may go without asking; after that those behind are let in first. Whoever waits is to ask
// when Next names it, which is to be called when a rollout has ended and every CallAgain.
const (
	turn      = 2 * time.Minute
	CallAgain = 30 * time.Second
)

// perDatabase is how many rollouts are under way at once on one database: two would not know whose migrations, or whose requests,
// have slowed it down.
const perDatabase = 1

// Budget bounds how many rollouts are under way at once in one operator, of which one replica works at a time, and on one database.
//
// What is recorded decides, so that it survives a restart: who has begun keeps the place. Those who wait are let in by age, and
// by name among equals; nobody who asks later overtakes them, unless they wait for a database, or do not come when it is their
// turn because their passes fail. What was given a moment ago and is not recorded yet is kept in mind, since several passes run at
// once and caches lag behind. It may be used by several goroutines.
//
// A rollback asks nobody, so there may be more rollouts under way than the budget has.
type Budget struct {
	limit int
	mu    sync.Mutex
	given map[Place]given
	// called is since when it has been somebody's turn who has not asked.
	called map[Place]time.Time
	// missed is when somebody had a place and did not take it in time: its turn comes after those who waited then.
	missed map[Place]time.Time
}

type given struct {
	at       time.Time
	database string
}

// NewBudget makes a budget of limit rollouts, at least one.
func NewBudget(limit int) *Budget {
	return &Budget{limit: max(limit, 1), given: map[Place]given{}, called: map[Place]time.Time{}, missed: map[Place]time.Time{}}
}

// Ask returns nil if a rollout may begin at the asker's place, and keeps the place for it. Ask when nothing else holds the rollout
// up: a place that is not taken is lost to others for a minute. Asked again, the answer stays the same until then.
//
// claims are those of all Microservices. Of the asker its place and database count, and since when it waits is looked up there.
func (b *Budget) Ask(now time.Time, asker Claim, claims []Claim) *v1alpha1.WaitingFor {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now, claims)
	delete(b.called, asker.Place)
	under := b.under(claims)
	if under.has(asker.Place) {
		return nil
	}
	for _, next := range b.line(now, under, claims, &asker) {
		if next == asker.Place {
			b.given[asker.Place] = given{now, asker.Database}
			return nil
		}
		if _, waits := b.called[next]; !waits {
			b.called[next] = now
		}
	}
	return wait(under, asker.Database)
}

func wait(under rollouts, database string) *v1alpha1.WaitingFor {
	if under.on(database) >= perDatabase {
		return &v1alpha1.WaitingFor{
			Type:    v1alpha1.WaitBudget,
			Message: "another rollout is under way on the same database",
			Unblock: "nothing, or abort the other one",
		}
	}
	return &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitBudget,
		Message: "as many rollouts as the operator carries out at once are under way, or others wait for longer",
		Unblock: "nothing, or start the operator with a higher --max-rollouts",
	}
}

// Next returns who would be let in now, in order. Have them ask.
func (b *Budget) Next(now time.Time, claims []Claim) []Place {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now, claims)
	return b.line(now, b.under(claims), claims, nil)
}

// line returns who may begin now, in order: of those who wait, and of an asker, who comes last if it has not waited before.
func (b *Budget) line(now time.Time, under rollouts, claims []Claim, asker *Claim) []Place {
	if under.count() >= b.limit {
		return nil // without putting in order the many who wait then
	}
	waiting := slices.DeleteFunc(slices.Clone(claims), func(c Claim) bool {
		return c.WaitingSince.IsZero() || under.has(c.Place) || b.isAbsent(now, c.Place)
	})
	for i := range waiting {
		if missed := b.missed[waiting[i].Place]; missed.After(waiting[i].WaitingSince) {
			waiting[i].WaitingSince = missed
		}
	}
	slices.SortFunc(waiting, before)
	if asker != nil && !slices.ContainsFunc(waiting, func(c Claim) bool { return c.Place == asker.Place }) {
		waiting = append(waiting, *asker)
	}
	var out []Place
	for _, claim := range waiting {
		if under.count() >= b.limit {
			break
		}
		if under.on(claim.Database) >= perDatabase {
			continue
		}
		under.begin(claim.Place, claim.Database)
		out = append(out, claim.Place)
	}
	for _, place := range out {
		under.end(place)
	}
	return out
}

// before orders those who wait.
func before(a, b Claim) int {
	return cmp.Or(a.WaitingSince.Compare(b.WaitingSince), a.compare(b.Place))
}

// isAbsent reports whether somebody did not ask when it was its turn.
func (b *Budget) isAbsent(now time.Time, place Place) bool {
	since, called := b.called[place]
	return called && now.Sub(since) >= turn
}

// forget drops what was given and is recorded by now, or was never taken, and who was called and waits no more.
func (b *Budget) forget(now time.Time, claims []Claim) {
	for _, claim := range claims {
		if claim.Begun {
			delete(b.given, claim.Place)
		}
	}
	for place, g := range b.given {
		if now.Sub(g.at) >= patience {
			delete(b.given, place)
			b.missed[place] = now
		}
	}
	if len(b.called)+len(b.missed) == 0 {
		return // as nearly always
	}
	waits := map[Place]bool{}
	for _, claim := range claims {
		waits[claim.Place] = !claim.WaitingSince.IsZero()
	}
	gone := func(place Place, _ time.Time) bool { return !waits[place] }
	maps.DeleteFunc(b.called, gone)
	maps.DeleteFunc(b.missed, gone)
}

// rollouts are those under way, with their databases: begun as recorded, or given a moment ago.
type rollouts struct {
	begun map[Place]string
	given map[Place]given
	// databases is how many there are on each: counting them anew for everybody who waits would be a square of many.
	databases map[string]int
}

func (b *Budget) under(claims []Claim) rollouts {
	out := rollouts{begun: map[Place]string{}, given: b.given, databases: map[string]int{}}
	for _, claim := range claims {
		if claim.Begun {
			out.begin(claim.Place, claim.Database)
		}
	}
	for _, g := range b.given {
		out.databases[g.database]++
	}
	return out
}

func (r rollouts) begin(place Place, database string) {
	if _, begun := r.begun[place]; begun {
		return
	}
	r.begun[place] = database
	r.databases[database]++
}

func (r rollouts) end(place Place) {
	r.databases[r.begun[place]]--
	delete(r.begun, place)
}

func (r rollouts) has(place Place) bool {
	_, begun := r.begun[place]
	_, given := r.given[place]
	return begun || given
}

func (r rollouts) count() int { return len(r.begun) + len(r.given) }

// on is how many are under way on a database; none for no database.
func (r rollouts) on(database string) int {
	if database == "" {
		return 0
	}
	return r.databases[database]
}
