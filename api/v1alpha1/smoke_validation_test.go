package v1alpha1_test

import (
	"strings"
	"testing"
)

func smokeTest(fields map[string]any) map[string]any {
	test := map[string]any{"name": "health"}
	for key, value := range fields {
		test[key] = value
	}
	staging := environment("staging", "scores-staging")
	staging["rollout"] = map[string]any{"smokeTests": []any{test}}
	return map[string]any{"spec.environments": environments(staging)}
}

func request(fields map[string]any) map[string]any {
	out := map[string]any{"path": "/health"}
	for key, value := range fields {
		out[key] = value
	}
	return map[string]any{"http": out}
}

func gateway(hostnames ...any) map[string]any {
	return map[string]any{"spec.traffic.gateway": map[string]any{
		"parentRefs": []any{map[string]any{"name": "public"}},
		"hostnames":  hostnames,
	}}
}

func TestSmokeTestsAndHostnames(t *testing.T) {
	job := map[string]any{"command": []any{"/test"}}
	for name, tc := range map[string]struct {
		fields map[string]any
		refuse string
	}{
		"a request":                        {smokeTest(request(nil)), ""},
		"a request with all":               {smokeTest(request(map[string]any{"method": "POST", "body": "{}", "headersFrom": "robot", "status": int64(201), "jsonPath": "{.a}", "value": "b"})), ""},
		"a Job of an hour":                 {smokeTest(map[string]any{"job": job, "timeout": "1h"}), ""},
		"the longest request":              {smokeTest(map[string]any{"http": request(nil)["http"], "timeout": "10s"}), ""},
		"a request that is too long":       {smokeTest(map[string]any{"http": request(nil)["http"], "timeout": "11s"}), "at most 10s"},
		"neither a request nor a Job":      {smokeTest(nil), "either http or job"},
		"both":                             {smokeTest(map[string]any{"http": request(nil)["http"], "job": job}), "either http or job"},
		"a value without a path to it":     {smokeTest(request(map[string]any{"value": "b"})), "set jsonPath"},
		"a path into no body":              {smokeTest(request(map[string]any{"method": "HEAD", "jsonPath": "{.a}"})), "use GET"},
		"a path that is a URL":             {smokeTest(request(map[string]any{"path": "http://elsewhere"})), "must start with '/'"},
		"hostnames":                        {gateway("scores.example.com", "*.example.com", "localhost"), ""},
		"a hostname with a port":           {gateway("scores.example.com:80"), "without a port"},
		"a hostname in capitals":           {gateway("Scores.example.com"), "in lower case"},
		"a star that is not the first":     {gateway("scores.*.com"), "must be names"},
		"a hostname that ends with a dot":  {gateway("scores.example.com."), "must be names"},
		"the longest of as many as may be": {gateway(strings.Repeat("a.", 126) + "a"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := validate(t, tc.fields)
			if tc.refuse == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(strings.Join(causes(err), "\n"), tc.refuse) {
				t.Errorf("err = %v, want it to say %q", err, tc.refuse)
			}
		})
	}
}
