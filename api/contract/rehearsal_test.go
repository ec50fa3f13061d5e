package contract

import "testing"

func TestAdmits(t *testing.T) {
	add, index := PendingMigration{7, "7_add.sql", "expand", "aa"}, PendingMigration{8, "8_index.sql", "expand", "bb"}
	passed := RehearsalReport{Passed: true, FingerprintBefore: "f", Files: []PendingMigration{add, index}}
	failed := passed
	failed.Passed = false
	drop, narrow := PendingMigration{9, "9_drop.sql", "contract", "cc"}, PendingMigration{10, "10_narrow.sql", "contract", "dd"}
	next := PendingMigration{11, "11_next.sql", "expand", "ee"}
	removed := RehearsalReport{Passed: true, Phase: "contract", FingerprintBefore: "f", Files: []PendingMigration{drop, narrow}}
	told := passed
	told.Phase = "expand"
	// On a database on which no release has run, `up` takes what lies between as well.
	initial := RehearsalReport{Passed: true, FingerprintBefore: "f", Files: []PendingMigration{add, drop, next}}
	for name, tc := range map[string]struct {
		report      RehearsalReport
		fingerprint string
		files       []PendingMigration
		want        string // the reason; empty: admitted
	}{
		"the very same":                  {passed, "f", []PendingMigration{add, index}, ""},
		"nothing was and is pending":     {RehearsalReport{Passed: true, FingerprintBefore: "f"}, "f", nil, ""},
		"a rehearsal that failed":        {failed, "f", []PendingMigration{add, index}, "the rehearsal did not pass"},
		"no report":                      {RehearsalReport{}, "", nil, "the rehearsal did not pass"},
		"another schema":                 {passed, "g", []PendingMigration{add, index}, "the schema is not the one that was rehearsed on: somebody has changed one of them by other means than migrations"},
		"a schema that nobody looked at": {RehearsalReport{Passed: true}, "", nil, "the schema is not the one that was rehearsed on: somebody has changed one of them by other means than migrations"},
		"a file more":                    {passed, "f", []PendingMigration{add, index, {9, "9_new.sql", "expand", "cc"}}, "9_new.sql was not rehearsed"},
		"a file less":                    {passed, "f", []PendingMigration{add}, "8_index.sql was rehearsed and is not pending"},
		"a contract file behind":         {passed, "f", []PendingMigration{add, index, {9, "9_drop.sql", "contract", "cc"}}, ""},
		"another order":                  {passed, "f", []PendingMigration{index, add}, "7_add.sql was rehearsed where 8_index.sql is pending"},
		"a report that tells its phase":  {told, "f", []PendingMigration{add, index, drop}, ""},
		"a new database":                 {initial, "f", []PendingMigration{add, drop, next, {12, "12_last.sql", "contract", "ff"}}, ""},
		"removals":                       {removed, "f", []PendingMigration{drop, narrow}, ""},
		"one of two removals":            {removed, "f", []PendingMigration{drop}, "10_narrow.sql was rehearsed and is not pending"},
		"a removal more":                 {removed, "f", []PendingMigration{drop, narrow, {12, "12_x.sql", "contract", "ff"}}, "12_x.sql was not rehearsed"},
		"an edited removal":              {removed, "f", []PendingMigration{{9, "9_drop.sql", "contract", "ff"}, narrow}, "9_drop.sql was edited after it was rehearsed"},
		"an expand file behind":          {removed, "f", []PendingMigration{drop, narrow, next}, ""},
		"and a removal behind that":      {removed, "f", []PendingMigration{drop, narrow, next, {12, "12_x.sql", "contract", "ff"}}, ""},
		"an expand file before":          {removed, "f", []PendingMigration{add, drop, narrow}, "7_add.sql is of phase expand and comes before what was rehearsed"},
		"an expand file between":         {removed, "f", []PendingMigration{drop, {10, "10_add.sql", "expand", "dd"}}, "10_narrow.sql was rehearsed and is not pending"},
		"removals on another schema":     {removed, "g", []PendingMigration{drop, narrow}, "the schema is not the one that was rehearsed on: somebody has changed one of them by other means than migrations"},
		"no removal for expand files":    {removed, "f", []PendingMigration{add, index}, "7_add.sql is of phase expand and comes before what was rehearsed"},
		"expand files for no removal":    {passed, "f", []PendingMigration{drop, narrow}, "7_add.sql was rehearsed and is not pending"},
		"an edited file":                 {passed, "f", []PendingMigration{{7, "7_add.sql", "expand", "ff"}, index}, "7_add.sql was edited after it was rehearsed"},
	} {
		t.Run(name, func(t *testing.T) {
			admitted, reason := tc.report.Admits(tc.fingerprint, tc.files)
			if admitted != (tc.want == "") || reason != tc.want {
				t.Errorf("admitted %v, reason %q, want %q", admitted, reason, tc.want)
			}
		})
	}
}
