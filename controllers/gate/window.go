package gate

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// maxLeaps bounds the search for the next time at which a release may enter: hourly freezes of a year take nearly as many.
const maxLeaps = 10_000

// Window returns nil if a release may enter an environment now: one of the windows is open, or there are none, and no freeze
// is. Otherwise the deadline is when that will be so for the first time.
//
// It has no deadline if a field cannot be used or no such time exists; a person must then change the field that is named. One
// bad field holds everything up, even beside windows that could be used: a freeze that is not understood must not be passed
// over. Where a bounded search finds no time, it is looked at again when the next day begins in UTC.
func Window(windows, freezes []v1alpha1.Window, now time.Time) *v1alpha1.WaitingFor {
	opens, waiting := parseAll("windows", windows, now)
	if waiting != nil {
		return waiting
	}
	closes, waiting := parseAll("freezes", freezes, now)
	if waiting != nil {
		return waiting
	}
	next, found := search(opens, closes, now)
	switch {
	case found && next.Equal(now):
		return nil
	case found:
		return &v1alpha1.WaitingFor{
			Type:     v1alpha1.WaitWindow,
			Message:  closed(closes, now),
			Deadline: &metav1.Time{Time: next.UTC()},
			Unblock:  "change rollout.windows or rollout.freezes of this environment to let the release in earlier",
		}
	}
	const day = 24 * time.Hour
	return &v1alpha1.WaitingFor{
		Type:     v1alpha1.WaitWindow,
		Message:  never(opens),
		Deadline: &metav1.Time{Time: now.UTC().Truncate(day).Add(day)},
		Unblock:  "change rollout.windows or rollout.freezes of this environment so that they leave a time free",
	}
}

func never(opens []schedule) string {
	if len(opens) == 0 {
		return "the freezes of this environment never leave a time free"
	}
	return "no window of this environment opens at a time that its freezes leave free"
}

func closed(closes []schedule, now time.Time) string {
	if _, frozen := frozenUntil(closes, now); frozen {
		return "this environment is frozen"
	}
	return "no window of this environment is open"
}

// parseAll reads windows, or says which field of which one cannot be used.
func parseAll(list string, windows []v1alpha1.Window, now time.Time) ([]schedule, *v1alpha1.WaitingFor) {
	var out []schedule
	var problems []string
	for i, window := range windows {
		s, field, problem := parse(window, now)
		if problem != "" {
			problems = append(problems, fmt.Sprintf("rollout.%s[%d].%s: %s", list, i, field, problem))
			continue
		}
		out = append(out, s)
	}
	if problems == nil {
		return out, nil
	}
	return nil, &v1alpha1.WaitingFor{
		Type:    v1alpha1.WaitWindow,
		Message: strings.Join(problems, "; "),
		Unblock: "correct rollout." + list + " of this environment",
	}
}

// search returns the first moment from t on at which a window is open and no freeze is. It leaps from one change to the next.
func search(opens, closes []schedule, t time.Time) (moment time.Time, found bool) {
	for range maxLeaps {
		if end, frozen := frozenUntil(closes, t); frozen {
			t = end
			continue
		}
		opening := opening(opens, t)
		if opening.Equal(t) || opening.IsZero() {
			return opening, !opening.IsZero()
		}
		t = opening
	}
	return time.Time{}, false
}

func frozenUntil(closes []schedule, t time.Time) (end time.Time, frozen bool) {
	for _, freeze := range closes {
		if until, open := freeze.openUntil(t); open {
			return until, true
		}
	}
	return time.Time{}, false
}

// opening returns the first moment from t on at which a window is open, zero if none comes.
func opening(opens []schedule, t time.Time) time.Time {
	if len(opens) == 0 {
		return t
	}
	var first time.Time
	for _, window := range opens {
		if _, open := window.openUntil(t); open {
			return t
		}
		if next := window.after(t); !next.IsZero() && (first.IsZero() || next.Before(first)) {
			first = next
		}
	}
	return first
}
