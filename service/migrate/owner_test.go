package migrate

import (
	"strings"
	"testing"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/chassis/postgres/pgserver"
)

func TestADatabaseHasOneOwner(t *testing.T) {
	url := pgserver.Database(t)
	mustUp(t, url, works) // by hand, for nobody in particular
	as := func(lockID string) Config {
		cfg := config(url, works)
		cfg.LockID = lockID
		return cfg
	}
	for range 2 {
		if report, err := Up(t.Context(), as("music/scores")); err != nil || report.To != 1 {
			t.Fatalf("report %+v, error %v", report, err)
		}
	}
	for _, other := range []string{"music/notes", DefaultLockID} {
		report, failure := failUp(t, as(other), contract.OwnedByAnother)
		if ExitCode(failure) != contract.ExitFailed || failure.Retryable || report.From != 1 {
			t.Errorf("%s: %+v, report %+v", other, failure, report)
		}
		for _, want := range []string{`belongs to "music/scores"`, `hand-over --lock-id music/scores --to ` + other} {
			if !strings.Contains(failure.Message, want) {
				t.Errorf("%s: message %q does not say %q", other, failure.Message, want)
			}
		}
	}
	mustFail(t, HandOver(t.Context(), as("music/notes"), "music/notes"), contract.OwnedByAnother)

	if err := HandOver(t.Context(), as("music/scores"), "music/notes"); err != nil {
		t.Fatal(err)
	}
	failUp(t, as("music/scores"), contract.OwnedByAnother)
	if report, err := Up(t.Context(), as("music/notes")); err != nil {
		t.Errorf("the new owner: %+v, %v", report, err)
	}
	if err := HandOver(t.Context(), as("music/notes"), DefaultLockID); err != nil {
		t.Fatal(err)
	}
	mustUp(t, url, works) // it is nobody's again
}

// Two services that come to an empty database at once do not wait for each other's lock; one of them must lose.
func TestOneOfTwoClaimsAnEmptyDatabase(t *testing.T) {
	url := pgserver.Database(t)
	var runs []<-chan result
	for _, id := range []string{"music/scores", "music/notes"} {
		cfg := config(url, works)
		cfg.LockID = id
		runs = append(runs, start(t.Context(), cfg))
	}
	applied, refused := 0, 0
	for _, run := range runs {
		r := <-run
		applied += len(r.report.Applied)
		if r.err != nil {
			refused++
		}
	}
	if applied != 1 || refused != 1 {
		t.Errorf("%d files applied, %d runs refused", applied, refused)
	}
}
