package charts_test

import (
	"strings"
	"testing"
)

// TestWrongValuesAreNamed expects one line that names the value, and nothing rendered.
func TestWrongValuesAreNamed(t *testing.T) {
	for name, tc := range map[string]struct{ chart, values, want string }{
		"a value that does not exist":       {operatorChart, `replicaCount: 3`, "additional properties 'replicaCount' not allowed"},
		"one that does not exist below":     {operatorChart, `metrics: {port: 8080}`, "at '/metrics': additional properties 'port' not allowed"},
		"a number in words":                 {operatorChart, `replicas: two`, "at '/replicas': got string, want integer"},
		"too many workers":                  {operatorChart, `concurrency: 65`, "at '/concurrency': maximum: got 65, want 64"},
		"no rollouts":                       {operatorChart, `maxRollouts: 0`, "at '/maxRollouts': minimum: got 0, want 1"},
		"a patience of nine seconds":        {operatorChart, `patience: 9s`, "at '/patience': '9s' does not match pattern"},
		"a level that is none":              {operatorChart, `logLevel: loud`, "at '/logLevel': value must be one of 'debug', 'info', 'warn', 'error'"},
		"a collector that is no URL":        {operatorChart, `otlpEndpoint: "collector:4318"`, "at '/otlpEndpoint': 'collector:4318' does not match pattern"},
		"a namespace that is none":          {operatorChart, `namespaces: [Team]`, "at '/namespaces/0': 'Team' does not match pattern"},
		"a namespace named twice":           {operatorChart, `namespaces: [team, team]`, "at '/namespaces': items at 0 and 1 are equal"},
		"a digest that is none":             {operatorChart, `image: {digest: latest}`, "at '/image/digest': 'latest' does not match pattern"},
		"a monitor of no metrics":           {operatorChart, `metrics: {enabled: false, serviceMonitor: {enabled: true}}`, "metrics.serviceMonitor.enabled needs metrics.enabled"},
		"a dashboard without a certificate": {operatorChart, `dashboard: {enabled: true}`, "dashboard.tlsSecretName is missing: name a Secret with tls.crt and tls.key"},
		"one with a certificate and none":   {operatorChart, `dashboard: {enabled: true, plaintext: true, tlsSecretName: a}`, "dashboard.plaintext and dashboard.tlsSecretName exclude each other"},
		"a Secret that is none":             {operatorChart, `dashboard: {enabled: true, tlsSecretName: A}`, "at '/dashboard/tlsSecretName': 'A' does not match pattern"},
		"a port that is none":               {operatorChart, `dashboard: {enabled: true, plaintext: true, port: 0}`, "at '/dashboard/port': minimum: got 0, want 1"},

		"no image":                       {serviceChart, `spec: {environments: [{name: a, namespace: a}]}`, "spec.image is missing"},
		"no environment":                 {serviceChart, `spec: {image: "example.com/a:1"}`, "spec.environments is missing"},
		"an empty list of them":          {serviceChart, `spec: {image: "example.com/a:1", environments: []}`, "at '/spec/environments': minItems: got 0, want 1"},
		"an environment without a place": {serviceChart, `spec: {image: "example.com/a:1", environments: [{name: a}]}`, "at '/spec/environments/0': missing property 'namespace'"},
		"a field that does not exist":    {serviceChart, "spec: {replicas: 3}", "at '/spec': additional properties 'replicas' not allowed"},
		"one in an environment":          {serviceChart, `spec: {environments: [{name: a, namespace: a, rollout: {step: []}}]}`, "at '/spec/environments/0/rollout': additional properties 'step' not allowed"},
		"a name too long":                {serviceChart, "name: a-name-of-more-than-forty-characters-is-too-long" + sampleSpec, "at '/name': maxLength: got 48, want 40"},
		"a URL that is missing":          {serviceChart, strings.Replace(databaseSpec, "production: {url: \"postgres://app@production/scores\", ", "production: {", 1), "sampleSecrets.databases.production.url is missing: give the connection URL that Secret production-database is to hold"},
		"a URL of another database":      {serviceChart, `sampleSecrets: {databases: {a: {url: "mysql://"}}}`, "at '/sampleSecrets/databases/a/url': 'mysql://' does not match pattern"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := render(tc.chart, parse(t, tc.values), kubernetes)
			if err == nil {
				t.Fatal("it was rendered")
			}
			var named []string
			for line := range strings.Lines(err.Error()) {
				if strings.Contains(line, tc.want) {
					named = append(named, line)
				}
			}
			if len(named) != 1 {
				t.Errorf("%d lines tell %q:\n%v", len(named), tc.want, err)
			}
		})
	}
}

func TestOldKubernetesIsRefused(t *testing.T) {
	for _, name := range []string{operatorChart, serviceChart} {
		source, err := loaded[name]()
		if err != nil {
			t.Fatal(err)
		}
		if got := source.Metadata.KubeVersion; got != ">=1.30.0-0" {
			t.Errorf("%s takes Kubernetes %s", name, got)
		}
	}
}
