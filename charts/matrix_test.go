package charts_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// sampleSpec is a service without anything that it could do without.
const sampleSpec = `
spec:
  image: example.com/scores:1.0.0
  environments:
  - {name: staging, namespace: scores-staging}
  - {name: production, namespace: scores-production}
`

const databaseSpec = `
spec:
  image: example.com/scores:1.0.0
  auth: {secretRef: {name: scores-auth}}
  database: {secretRef: {name: scores-database}, migrationSecretRef: {name: scores-owner, key: dsn}}
  environments:
  - {name: staging, namespace: scores-staging}
  - name: production
    namespace: scores-production
    overrides: {database: {secretRef: {name: production-database}}}
sampleSecrets:
  enabled: true
  databases:
    staging: {url: "postgres://app@staging/scores", ownerURL: "postgres://owner@staging/scores"}
    production: {url: "postgres://app@production/scores", ownerURL: "postgres://owner@production/scores"}
`

// A variant is one point of the matrix. If it names a value, that is the one that it is there for: without it the rendering must
// be another one.
type variant struct {
	chart, value, values string
}

var variants = []variant{
	{operatorChart, "image.repository", `image: {repository: registry.example.com:5000/operator}`},
	{operatorChart, "image.tag", `image: {tag: 1.2.3}`},
	{operatorChart, "image.digest", `image: {tag: 1.2.3, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}`},
	{operatorChart, "image.pullPolicy", `image: {pullPolicy: Always}`},
	{operatorChart, "migrateImage.repository", `migrateImage: {repository: registry.example.com/migrate}`},
	{operatorChart, "migrateImage.tag", `migrateImage: {tag: 1.2.3}`},
	{operatorChart, "migrateImage.digest", `migrateImage: {digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}`},
	{operatorChart, "imagePullSecrets", `imagePullSecrets: [{name: registry}]`},
	{operatorChart, "namespaces", `namespaces: [team-a, team-a-production]`},
	{operatorChart, "replicas", `replicas: 1`},
	{operatorChart, "concurrency", `concurrency: 64`},
	{operatorChart, "maxRollouts", `maxRollouts: 10000`},
	{operatorChart, "patience", `patience: 1h30m`},
	{operatorChart, "logLevel", `logLevel: debug`},
	{operatorChart, "otlpEndpoint", `otlpEndpoint: http://collector:4318`},
	{operatorChart, "resources", `resources: {requests: {cpu: 1, memory: 1Gi, ephemeral-storage: 1Gi}, limits: {cpu: 2, memory: 2Gi, ephemeral-storage: 1Gi}}`},
	{operatorChart, "env", `env: [{name: HTTPS_PROXY, value: "http://proxy.example.com:3128"}, {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]`},
	{operatorChart, "podAnnotations", `podAnnotations: {example.com/team: platform}`},
	{operatorChart, "podLabels", `podLabels: {team: platform}`},
	{operatorChart, "nodeSelector", `nodeSelector: {kubernetes.io/os: linux}`},
	{operatorChart, "tolerations", `tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}]`},
	{operatorChart, "affinity", `affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone}}]}}`},
	{operatorChart, "priorityClassName", `priorityClassName: system-cluster-critical`},
	{operatorChart, "crds.enabled", `crds: {enabled: false}`},
	{operatorChart, "rbac.aggregate", `rbac: {aggregate: false}`},
	{operatorChart, "admission.enabled", `admission: {enabled: false}`},
	{operatorChart, "metrics.enabled", `metrics: {enabled: false}`},
	{operatorChart, "metrics.serviceMonitor.enabled", `metrics: {serviceMonitor: {enabled: true}}`},
	{operatorChart, "metrics.serviceMonitor.interval", `metrics: {serviceMonitor: {enabled: true, interval: 1m}}`},
	{operatorChart, "metrics.serviceMonitor.labels", `metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}}}`},
	{operatorChart, "dashboard.enabled", `dashboard: {enabled: true, tlsSecretName: dashboard-tls}`},
	{operatorChart, "dashboard.port", `dashboard: {enabled: true, tlsSecretName: dashboard-tls, port: 8443}`},
	{operatorChart, "dashboard.tlsSecretName", `dashboard: {enabled: true, tlsSecretName: dashboard-tls}`},
	{operatorChart, "dashboard.plaintext", `dashboard: {enabled: true, plaintext: true}`},
	{operatorChart, "networkPolicy.enabled", `networkPolicy: {enabled: false}`},
	{operatorChart, "networkPolicy.metricsFrom", `networkPolicy: {metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}`},
	{operatorChart, "networkPolicy.dashboardFrom", `{dashboard: {enabled: true, tlsSecretName: dashboard-tls}, networkPolicy: {dashboardFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}}]}}`},
	{operatorChart, "", `{namespaces: [team-a], dashboard: {enabled: true, tlsSecretName: dashboard-tls}}`},
	{operatorChart, "", `{resources: {}, namespaces: [team-a], metrics: {enabled: false}, networkPolicy: {enabled: true}, replicas: 3}`},

	{serviceChart, "name", "name: library" + sampleSpec},
	{serviceChart, "labels", "labels: {team: music}" + sampleSpec},
	{serviceChart, "annotations", "annotations: {example.com/owner: music}" + sampleSpec},
	{serviceChart, "spec", sampleSpec},
	{serviceChart, "namespaces.create", "namespaces: {create: false}" + sampleSpec},
	{serviceChart, "namespaces.podSecurity", "namespaces: {podSecurity: baseline}" + sampleSpec},
	{serviceChart, "namespaces.labels", "namespaces: {labels: {team: music}}" + sampleSpec},
	{serviceChart, "namespaces.annotations", "namespaces: {annotations: {example.com/owner: music}}" + sampleSpec},
	{serviceChart, "sampleSecrets.enabled", databaseSpec},
	{serviceChart, "sampleSecrets.databases", databaseSpec},
	{serviceChart, "sampleSecrets.extra", "sampleSecrets: {enabled: true, extra: {scores-notes: {keyset.json: '{}'}}}" + sampleSpec},
	{serviceChart, "test.image.repository", "test: {image: {repository: registry.example.com/operator}}" + sampleSpec},
	{serviceChart, "test.image.tag", "test: {image: {tag: 1.2.3}}" + sampleSpec},
	{serviceChart, "test.image.digest", `test: {image: {digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}}` + sampleSpec},
	{serviceChart, "test.image.pullPolicy", "test: {image: {pullPolicy: Always}}" + sampleSpec},
	{serviceChart, "test.timeout", "test: {timeout: 1h}" + sampleSpec},
	{serviceChart, "", "spec: {image: 'example.com/scores:1', environments: [{name: production, namespace: mirubato}]}"},
}

// versions are the oldest that the charts take, the last without MutatingAdmissionPolicy, and the one that everything else is tested with.
var versions = []string{"v1.30.0", "v1.35.4-gke.1200", kubernetes}

// eachRendering calls do with every variant, with the defaults of the operator's chart, and with the samples. What depends on the version
// of Kubernetes, the policies, is rendered at every version.
func eachRendering(t *testing.T, do func(t *testing.T, v variant, given values, r rendering)) {
	t.Helper()
	all := append([]variant{{operatorChart, "default", ``}}, variants...)
	samples, err := filepath.Glob(filepath.Join(serviceChart, "ci", "*.yaml"))
	if err != nil || len(samples) == 0 {
		t.Fatalf("there are no samples: %v", err)
	}
	for _, sample := range samples {
		content, err := os.ReadFile(sample)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, variant{serviceChart, filepath.Base(sample), string(content)})
	}
	for _, v := range all {
		for _, version := range versions {
			if version != kubernetes && !slices.Contains([]string{"default", "namespaces"}, v.value) {
				continue
			}
			t.Run(v.chart+" "+v.value+" "+version, func(t *testing.T) {
				given := parse(t, v.values)
				do(t, v, given, mustRender(t, v.chart, given, version))
			})
		}
	}
}

// without returns a copy that lacks the value at a path.
func without(given values, path ...string) values {
	out := maps.Clone(given)
	if inner, ok := given[path[0]].(values); ok && len(path) > 1 {
		out[path[0]] = without(inner, path[1:]...)
	} else {
		delete(out, path[0])
	}
	return out
}
