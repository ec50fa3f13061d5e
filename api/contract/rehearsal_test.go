package contract

import "testing"

func TestAdmits(t *testing.T) {
	add, index := PendingMigration{7, "7_add.sql", "expand", "aa"}, PendingMigration{8, "8_index.sql", "expand", "bb"}
	passed := RehearsalReport{Passed: true, FingerprintBefore: "f", Files: []PendingMigration{add, index}}
	failed := passed
	failed.Passed = false
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
