package gate_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the same zones wherever the tests run

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/gate"
)

func window(schedule string, duration time.Duration, zone string) v1alpha1.Window {
	return v1alpha1.Window{Schedule: schedule, Duration: metav1.Duration{Duration: duration}, TimeZone: zone}
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	out, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type windows = []v1alpha1.Window

func TestAReleaseEntersInAWindowAndNotInAFreeze(t *testing.T) {
	office := windows{window("0 9 * * MON-THU", 8*time.Hour, "Europe/Berlin")}
	nights := windows{window("0 20 * * *", 12*time.Hour, "UTC")}
	for name, tc := range map[string]struct {
		windows, freezes windows
		now              string
		opens            string // empty: open now
	}{
		"no windows":                        {now: "2026-11-23T12:00:00Z"},
		"in a window":                       {windows: office, now: "2026-11-23T12:00:00Z"},
		"as it opens":                       {windows: office, now: "2026-11-23T08:00:00Z"},
		"a moment before":                   {windows: office, now: "2026-11-23T07:59:59.999Z", opens: "2026-11-23T08:00:00Z"},
		"a moment before it closes":         {windows: office, now: "2026-11-23T15:59:59.999Z"},
		"as it closes":                      {windows: office, now: "2026-11-23T16:00:00Z", opens: "2026-11-24T08:00:00Z"},
		"over the weekend":                  {windows: office, now: "2026-11-26T17:00:00Z", opens: "2026-11-30T08:00:00Z"},
		"the zone counts, not the caller's": {windows: office, now: "2026-11-23T23:30:00+09:00"},
		"summer time moves the opening":     {windows: office, now: "2026-07-06T06:59:00Z", opens: "2026-07-06T07:00:00Z"},
		"a window over midnight":            {windows: nights, now: "2026-11-23T03:00:00Z"},
		"the nearest of several": {
			windows: windows{window("0 0 1 * *", time.Hour, "UTC"), window("30 18 * * *", time.Hour, "UTC")},
			now:     "2026-11-23T12:00:00Z", opens: "2026-11-23T18:30:00Z",
		},
		"any of several": {
			windows: windows{window("0 0 1 * *", time.Hour, "UTC"), window("30 11 * * *", time.Hour, "UTC")},
			now:     "2026-11-23T12:00:00Z",
		},
		"a freeze without windows":     {freezes: nights, now: "2026-11-23T21:00:00Z", opens: "2026-11-24T08:00:00Z"},
		"a freeze beats a window":      {windows: office, freezes: windows{window("0 0 23 11 *", 24*time.Hour, "UTC")}, now: "2026-11-23T12:00:00Z", opens: "2026-11-24T08:00:00Z"},
		"a freeze over the opening":    {windows: office, freezes: windows{window("0 0 24 11 *", 10*time.Hour, "UTC")}, now: "2026-11-23T20:00:00Z", opens: "2026-11-24T10:00:00Z"},
		"a freeze at another time":     {windows: office, freezes: nights, now: "2026-11-23T12:00:00Z"},
		"two freezes one into another": {freezes: windows{window("0 10 23 11 *", 3*time.Hour, "UTC"), window("0 12 23 11 *", 3*time.Hour, "UTC")}, now: "2026-11-23T11:00:00Z", opens: "2026-11-23T15:00:00Z"},
		"a freeze that reopens before it closed": {
			freezes: windows{window("0 * 23 * *", 90*time.Minute, "UTC")},
			now:     "2026-11-23T00:10:00Z", opens: "2026-11-24T00:30:00Z",
		},
		"a window longer than the time to the next": {windows: windows{window("0 0 * * *", 48*time.Hour, "UTC")}, now: "2026-11-23T12:00:00Z"},
		"every minute for a week":                   {windows: windows{window("* * * * *", 168*time.Hour, "UTC")}, now: "2026-11-23T12:00:30Z"},
		"hourly freezes of eleven months":           {freezes: windows{window("0 * * 1-11 *", time.Hour, "UTC")}, now: "2026-01-01T00:00:00Z", opens: "2026-12-01T00:00:00Z"},
		"29 February":                               {windows: windows{window("0 0 29 2 *", time.Hour, "UTC")}, now: "2026-11-23T12:00:00Z", opens: "2028-02-29T00:00:00Z"},
		"29 February in a century without one":      {windows: windows{window("0 0 29 2 *", time.Hour, "UTC")}, now: "2096-03-01T00:00:00Z", opens: "2104-02-29T00:00:00Z"},
		"a name of a month in small letters":        {windows: windows{window("0 0 1 dec *", time.Hour, "UTC")}, now: "2026-11-23T12:00:00Z", opens: "2026-12-01T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, gate.Window(tc.windows, tc.freezes, moment(t, tc.now)), tc.opens)
		})
	}
}

// In 2026, clocks in Berlin go from 2 to 3 on 29 March and from 3 to 2 on 25 October; on Lord Howe from 2 to half past 2 on
// 4 October; in Santiago from midnight to 1 on 6 September. Samoa had no 30 December 2011.
func TestAWindowOpensWheneverTheClockShowsItsTime(t *testing.T) {
	for name, tc := range map[string]struct {
		schedule, zone string
		duration       time.Duration
		now, opens     string
	}{
		"skipped: opens as the clocks skip it":       {"30 2 * * *", "Europe/Berlin", time.Hour, "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"},
		"skipped: lasts as long as ever":             {"30 2 * * *", "Europe/Berlin", time.Hour, "2026-03-29T01:59:59Z", ""},
		"skipped: then closes":                       {"30 2 * * *", "Europe/Berlin", time.Hour, "2026-03-29T02:00:00Z", "2026-03-30T00:30:00Z"},
		"at the hour to which they skip":             {"0 3 * * *", "Europe/Berlin", time.Hour, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"},
		"shown twice: opens the first time":          {"30 2 * * *", "Europe/Berlin", 20 * time.Minute, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"},
		"shown twice: and the second":                {"30 2 * * *", "Europe/Berlin", 20 * time.Minute, "2026-10-25T00:50:00Z", "2026-10-25T01:30:00Z"},
		"shown twice: then the next day":             {"30 2 * * *", "Europe/Berlin", 20 * time.Minute, "2026-10-25T01:50:00Z", "2026-10-26T01:30:00Z"},
		"as the clocks go back":                      {"0 2 * * *", "Europe/Berlin", 20 * time.Minute, "2026-10-25T00:20:00Z", "2026-10-25T01:00:00Z"},
		"every hour, in the second of the two":       {"0 * * * *", "Europe/Berlin", time.Hour, "2026-10-25T01:30:10Z", ""},
		"a change of half an hour does not lose one": {"0 3 * * *", "Australia/Lord_Howe", time.Hour, "2026-10-03T15:00:00Z", "2026-10-03T16:00:00Z"},
		"no midnight":                                {"0 0 * * *", "America/Santiago", time.Hour, "2026-09-06T03:59:00Z", "2026-09-06T04:00:00Z"},
		"a day that was skipped":                     {"0 12 30 12 *", "Pacific/Apia", time.Hour, "2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, gate.Window(windows{window(tc.schedule, tc.duration, tc.zone)}, nil, moment(t, tc.now)), tc.opens)
		})
	}
}

// A freeze that the clocks skip would let everything through on that night.
func TestAFreezeComesThoughClocksSkipIt(t *testing.T) {
	freeze := windows{window("30 2 * * *", time.Hour, "Europe/Berlin")}
	check(t, gate.Window(nil, freeze, moment(t, "2026-03-29T01:30:00Z")), "2026-03-29T02:00:00Z")
}

func check(t *testing.T, got *v1alpha1.WaitingFor, opens string) {
	t.Helper()
	switch {
	case opens == "" && got == nil:
	case opens == "":
		t.Errorf("closed: %s, until %v", got.Message, got.Deadline)
	case got == nil:
		t.Errorf("open, want closed until %s", opens)
	case got.Deadline == nil || !got.Deadline.Equal(&metav1.Time{Time: moment(t, opens)}):
		t.Errorf("deadline = %v, want %s (%s)", got.Deadline, opens, got.Message)
	case got.Type != v1alpha1.WaitWindow || got.Message == "" || got.Unblock == "" || !got.Since.IsZero():
		t.Errorf("waiting = %+v", got)
	}
}

func TestAWindowThatCannotBeUsedIsReported(t *testing.T) {
	good := window("0 9 * * *", time.Hour, "UTC")
	for name, tc := range map[string]struct {
		windows, freezes windows
		message, unblock string
	}{
		"an unknown zone": {
			windows: windows{good, window("0 9 * * *", time.Hour, "Mars/Phobos")},
			message: `rollout.windows[1].timeZone: "Mars/Phobos" is no name`, unblock: "correct rollout.windows",
		},
		"the zone of the machine": {
			windows: windows{window("0 9 * * *", time.Hour, "Local")},
			message: `rollout.windows[0].timeZone: "Local" is no name`, unblock: "correct rollout.windows",
		},
		"no zone": {
			windows: windows{window("0 9 * * *", time.Hour, "")},
			message: `rollout.windows[0].timeZone: "" is no name`, unblock: "correct rollout.windows",
		},
		"a path": {
			windows: windows{window("0 9 * * *", time.Hour, "../../etc/passwd")},
			message: `rollout.windows[0].timeZone`, unblock: "correct rollout.windows",
		},
		"30 February": {
			windows: windows{window("0 0 30 2 *", time.Hour, "UTC")},
			message: `rollout.windows[0].schedule: "0 0 30 2 *" is a time that never comes`, unblock: "correct rollout.windows",
		},
		"a freeze that never comes freezes nothing, which nobody wants": {
			windows: windows{good}, freezes: windows{window("0 0 31 4 *", time.Hour, "UTC")},
			message: `rollout.freezes[0].schedule: "0 0 31 4 *" is a time that never comes`, unblock: "correct rollout.freezes",
		},
		"no cron": {
			freezes: windows{window("61 9 * * *", time.Hour, "UTC")},
			message: `rollout.freezes[0].schedule: "61 9 * * *" cannot be read`, unblock: "correct rollout.freezes",
		},
		"too few fields": {
			windows: windows{window("0 9 * *", time.Hour, "UTC")},
			message: `rollout.windows[0].schedule`, unblock: "correct rollout.windows",
		},
		"no duration": {
			windows: windows{window("0 9 * * *", 0, "UTC")},
			message: `rollout.windows[0].duration`, unblock: "correct rollout.windows",
		},
		"each of several": {
			windows: windows{window("0 9 * * *", time.Hour, "Here"), window("0 0 30 2 *", time.Hour, "UTC")},
			message: `; rollout.windows[1].schedule`, unblock: "correct rollout.windows",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := gate.Window(tc.windows, tc.freezes, moment(t, "2026-11-23T09:30:00Z"))
			if got == nil {
				t.Fatal("open")
			}
			if got.Type != v1alpha1.WaitWindow || !strings.Contains(got.Message, tc.message) || !strings.Contains(got.Unblock, tc.unblock) || got.Deadline != nil {
				t.Errorf("waiting = %+v", got)
			}
		})
	}
}

func TestFreezesThatLeaveNoTimeAreReportedAndLookedAtOnceADay(t *testing.T) {
	night := window("0 18 * * *", 14*time.Hour, "UTC")
	for name, tc := range map[string]struct {
		windows, freezes windows
		message          string
	}{
		"one, every minute":            {nil, windows{window("* * * * *", time.Minute, "UTC")}, "the freezes of this environment never leave a time free"},
		"one, hourly":                  {nil, windows{window("0 * * * *", time.Hour, "Europe/Berlin")}, "the freezes of this environment never leave a time free"},
		"one, for weeks":               {nil, windows{window("* * * * *", 168*time.Hour, "UTC")}, "the freezes of this environment never leave a time free"},
		"two by turns":                 {nil, windows{night, window("0 6 * * *", 13*time.Hour, "UTC")}, "the freezes of this environment never leave a time free"},
		"a window that is always over": {windows{window("0 20 * * *", time.Hour, "UTC")}, windows{night}, "no window of this environment opens at a time that its freezes leave free"},
	} {
		t.Run(name, func(t *testing.T) {
			got := gate.Window(tc.windows, tc.freezes, moment(t, "2026-11-23T20:30:00Z"))
			if got == nil {
				t.Fatal("open")
			}
			want := metav1.NewTime(moment(t, "2026-11-24T00:00:00Z"))
			if got.Message != tc.message || got.Unblock == "" || !got.Deadline.Equal(&want) {
				t.Errorf("waiting = %+v", got)
			}
		})
	}
}

// Around changes of the clocks, every answer is the one that somebody finds who looks at the clock minute by minute.
func TestWindowsAgreeWithLookingAtTheClock(t *testing.T) {
	random := rand.New(rand.NewPCG(2026, 11))
	changes := map[string][]string{
		"Europe/Berlin":       {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
		"Australia/Lord_Howe": {"2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z"},
		"America/Santiago":    {"2026-09-06T04:00:00Z", "2026-04-05T03:00:00Z"},
		"Asia/Kolkata":        {"2026-06-01T00:00:00Z"},
	}
	for name, times := range changes {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for range 25 {
			minute, hour := random.IntN(4)*15, random.IntN(5)
			duration := time.Duration(1+random.IntN(120)) * time.Minute
			schedule := fmt.Sprintf("%d %d * * *", minute, hour)
			now := moment(t, times[random.IntN(len(times))]).Add(time.Duration(random.IntN(2*24*60)-24*60) * time.Minute)
			matches := func(shown time.Time) bool { return shown.Hour() == hour && shown.Minute() == minute }
			first := now
			for !openByTheClock(first, duration, zone, matches) {
				first = first.Add(time.Minute)
			}
			got := gate.Window(windows{window(schedule, duration, name)}, nil, now)
			opens := now
			if got != nil {
				opens = got.Deadline.Time
			}
			if !opens.Equal(first) {
				t.Fatalf("%q for %s in %s at %s: opens %s, want %s", schedule, duration, name, now, opens, first.UTC())
			}
		}
	}
}

// openByTheClock looks back from t, minute by minute, for one at which the clock showed, or skipped, a time of the schedule.
func openByTheClock(t time.Time, duration time.Duration, zone *time.Location, matches func(shown time.Time) bool) bool {
	for m := t; t.Sub(m) < duration; m = m.Add(-time.Minute) {
		shown, before := m.In(zone), m.Add(-time.Minute).In(zone)
		if matches(shown) {
			return true
		}
		_, offset := shown.Zone()
		_, offsetBefore := before.Zone()
		for skipped := 0; skipped < (offset-offsetBefore)/60; skipped++ {
			if matches(asUTC(before).Add(time.Duration(skipped+1) * time.Minute)) {
				return true
			}
		}
	}
	return false
}

// asUTC is what the clock shows at t, as a time in UTC.
func asUTC(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.Add(time.Duration(offset) * time.Second).UTC()
}
