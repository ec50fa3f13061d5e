package page_test

import (
	"strings"
	"testing"

	"github.com/mirubato/mirubato/plugin/dashboard/page"
)

func TestPolicyAllowsNothingOfOthers(t *testing.T) {
	for policy, forms := range map[string]string{page.Policy: "form-action 'none'", page.PolicyWithForms(): "form-action 'self'"} {
		for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", forms, "require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%q lacks %s", policy, want)
			}
		}
		for _, never := range []string{"unsafe", "http", "*", "data:"} {
			if strings.Contains(policy, never) {
				t.Errorf("%q has %s", policy, never)
			}
		}
	}
}
