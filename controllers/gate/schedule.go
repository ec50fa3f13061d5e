package gate

import (
	"fmt"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// schedule is a v1alpha1.Window that was read: it opens whenever the clocks of a zone show one of its times. A time that they
// skip counts as shown at the moment when they do; one that they show twice counts twice.
//
// The library is asked in UTC, with the digits that the clocks show. Told the zone itself, it passes over what the clocks skip,
// so that a freeze would not come on that night, and loses a day where they skip half an hour.
type schedule struct {
	openings cron.Schedule
	duration time.Duration
	zone     *time.Location
}

// parse reads a window. The problem names the field of the window, what is wrong with it and what would be right; it is empty
// for a window that opens some day.
func parse(window v1alpha1.Window, now time.Time) (s schedule, field, problem string) {
	zone, err := time.LoadLocation(window.TimeZone)
	if err != nil || window.TimeZone == "" || window.TimeZone == "Local" {
		return s, "timeZone", fmt.Sprintf("%q is no name of the IANA time zone database, such as Europe/Berlin or UTC", window.TimeZone)
	}
	openings, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow).Parse(window.Schedule)
	if err != nil {
		return s, "schedule", fmt.Sprintf("%q cannot be read (%v); it needs minute, hour, day of month, month and day of week, such as 0 9 * * MON-THU", window.Schedule, err)
	}
	if window.Duration.Duration <= 0 {
		return s, "duration", "it must be longer than nothing, such as 8h"
	}
	s = schedule{openings: openings, duration: window.Duration.Duration, zone: zone}
	if s.after(now).IsZero() {
		return s, "schedule", fmt.Sprintf("%q is a time that never comes", window.Schedule)
	}
	return s, "", ""
}

// after returns the first opening later than t, or zero if none comes within ten years.
func (s schedule) after(t time.Time) time.Time {
	for t = t.In(s.zone); ; {
		ahead := aheadOfUTC(t)
		next := s.next(t.Add(ahead).UTC())
		if next.IsZero() {
			return time.Time{}
		}
		_, change := t.ZoneBounds()
		if moment := next.Add(-ahead); change.IsZero() || moment.Before(change) {
			return moment
		}
		// Before it comes the clocks are changed: they would show old and show shown instead.
		old, shown := change.Add(ahead).UTC(), change.Add(aheadOfUTC(change)).UTC()
		if next := s.next(earlier(old, shown).Add(-time.Second)); !next.After(shown) {
			return change
		}
		t = change
	}
}

// aheadOfUTC is by how much the clocks of t's zone are ahead of UTC at t.
func aheadOfUTC(t time.Time) time.Duration {
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// next returns the first time later than shown that is one of the schedule's. The library gives up after five years, so it is
// asked twice: 29 February may be eight years away.
func (s schedule) next(shown time.Time) time.Time {
	const givesUpAfter = 5
	if next := s.openings.Next(shown); !next.IsZero() {
		return next
	}
	return s.openings.Next(shown.AddDate(givesUpAfter, 0, 0))
}

// openUntil returns a moment until which it stays open, if it is open at t. It may reopen before: openings overlap if the
// duration is longer than the time between them, and then the moment is near the end of the last opening before t.
func (s schedule) openUntil(t time.Time) (end time.Time, open bool) {
	// The later the opening, the further it reaches; each attempt looks back further.
	for back := min(time.Minute, s.duration); ; back = min(back*16, s.duration) {
		if opening := s.after(t.Add(-back)); !opening.IsZero() && !opening.After(t) {
			return opening.Add(s.duration), true
		}
		if back == s.duration {
			return time.Time{}, false
		}
	}
}
