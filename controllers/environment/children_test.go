package environment

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/ownership"
)

func place() Place {
	return Place{
		Owner: ownership.Owner{
			Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"}, Environment: "staging",
		},
		Namespace:    "scores-staging",
		MigrateImage: "example.com/migrate:0.1.0",
	}
}

// full is a content that uses every field.
func full(changes ...func(*Content)) Content {
	c := defaults()
	c.Env = []v1alpha1.EnvironmentVariable{
		{Name: "A", Value: "1"},
		{Name: "B", Value: "2"},
		{Name: "KEYS_FILE", SecretRef: secret("keys", "all")},
		{Name: "SALT_FILE", SecretRef: secret("keys", "salt")},
	}
	c.ImagePullSecrets = []string{"pull"}
	c.Auth = &Auth{Secret: secret("auth", "now"), Previous: secret("auth", "before"), Issuer: "us", Audience: "all"}
	c.Database = defaultDatabase()
	c.Database.MigrationSecret = *secret("db-owner", "url")
	for _, change := range changes {
		change(&c)
	}
	return c
}

func childrenOf(t testing.TB, content Content) Children {
	t.Helper()
	children, err := ChildrenOf(place(), content)
	if err != nil {
		t.Fatal(err)
	}
	return children
}

// everything returns the stable objects and the Service in front of them.
func everything(t testing.TB, children Children) []manifest.Manifest {
	t.Helper()
	service, err := Service(children.place, children.place.Owner.Selector(ownership.ComponentAPI), false)
	if err != nil {
		t.Fatal(err)
	}
	return append([]manifest.Manifest{children.ServiceAccount, children.ConfigMap, service}, children.Stable...)
}

// find returns the typed form of the one child of a kind.
func find[T any](t testing.TB, children Children, kind string) *T {
	t.Helper()
	for _, m := range everything(t, children) {
		if m.Kind() != kind {
			continue
		}
		out := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(m.Object().Object, out, true); err != nil {
			t.Fatal(err)
		}
		return out
	}
	t.Fatalf("no %s among the children", kind)
	return nil
}

func TestHashesChangeWithWhatTheyStandFor(t *testing.T) {
	base := childrenOf(t, full())
	for name, tc := range map[string]struct {
		change              func(*Content)
		content, migrations bool // true: another one
	}{
		"another image replaces pods, after its migrations": {content: true, migrations: true, change: func(c *Content) { c.Image, c.Version = "scores:2", "2" }},
		"another command to export migrates again":          {migrations: true, change: func(c *Content) { c.Database.Migrations.ExportCommand = []string{"cp"} }},
		"another owner of the schema migrates again":        {migrations: true, change: func(c *Content) { c.Database.MigrationSecret = *secret("new", "url") }},
		"another role of the service replaces pods":         {content: true, change: func(c *Content) { c.Database.Secret = *secret("new", "url") }},
		"another key of the role replaces pods":             {content: true, change: func(c *Content) { c.Database.Secret.Key = "uri" }},
		"without a database nothing is migrated":            {content: true, migrations: true, change: func(c *Content) { c.Database = nil }},
		"without auth the secrets are not mounted":          {content: true, change: func(c *Content) { c.Auth = nil }},
		"another signing secret":                            {content: true, change: func(c *Content) { c.Auth.Secret = secret("new", "now") }},
		"the end of a rotation":                             {content: true, change: func(c *Content) { c.Auth.Previous = nil }},
		"another issuer":                                    {content: true, change: func(c *Content) { c.Auth.Issuer = "them" }},
		"another audience":                                  {content: true, change: func(c *Content) { c.Auth.Audience = "few" }},
		"another value of a variable":                       {content: true, change: func(c *Content) { c.Env[0].Value = "0" }},
		"a variable less":                                   {content: true, change: func(c *Content) { c.Env = c.Env[:1] }},
		"another CPU request":                               {content: true, change: func(c *Content) { c.Requests = amounts("60m", "64Mi") }},
		"another memory limit":                              {content: true, change: func(c *Content) { c.Limits = amounts("", "512Mi") }},
		"a CPU limit":                                       {content: true, change: func(c *Content) { c.Limits = amounts("1", "256Mi") }},
		"another release of the same replaces no pod":       {change: func(c *Content) { c.Release, c.Version = "scores-8", "1.4.1" }},
		"other pull secrets":                                {content: true, change: func(c *Content) { c.ImagePullSecrets = nil }},
		"pods whose number follows the load are not others": {change: following25},
		"another class of priority":                         {content: true, change: func(c *Content) { c.Placement.PriorityClass = "urgent" }},
		"other nodes replace pods, and migrate nothing":     {content: true, change: func(c *Content) { c.Placement.NodeSelector = map[string]v1alpha1.LabelValue{"disk": "ssd"} }},
		"more replicas replace no pod":                      {change: func(c *Content) { c.Scale = fixed(9) }},
		"variables in another order":                        {change: func(c *Content) { c.Env[0], c.Env[1] = c.Env[1], c.Env[0] }},
		"variables from Secrets in another order":           {change: func(c *Content) { c.Env[2], c.Env[3] = c.Env[3], c.Env[2] }},
		"another Secret of a variable":                      {content: true, change: func(c *Content) { c.Env[2].SecretRef = secret("new", "all") }},
		"the same quantity, written in another way":         {change: func(c *Content) { c.Requests = amounts("0.05", "65536Ki") }},
		"another wait for the lock of migrations":           {change: func(c *Content) { c.Database.Migrations.AdvisoryLockWait = seconds(1) }},
		"another patience of migration statements":          {change: func(c *Content) { c.Database.Migrations.StatementLockTimeout = seconds(1) }},
		"other retries of migrations":                       {change: func(c *Content) { c.Database.Migrations.Retries = new(int32(0)) }},
	} {
		t.Run(name, func(t *testing.T) {
			got := childrenOf(t, full(tc.change))
			if changed := got.Content != base.Content; changed != tc.content {
				t.Errorf("another content: %t, want %t", changed, tc.content)
			}
			if changed := got.MigrationHash != base.MigrationHash; changed != tc.migrations {
				t.Errorf("another migration: %t, want %t", changed, tc.migrations)
			}
		})
	}
}

func TestRenderingTwiceIsEqual(t *testing.T) {
	first, second := childrenOf(t, full()), childrenOf(t, full())
	if first.Content != second.Content || first.MigrationHash != second.MigrationHash {
		t.Error("the hashes differ")
	}
	again := everything(t, second)
	for i, m := range everything(t, first) {
		if diff := cmp.Diff(m.Object().Object, again[i].Object().Object); diff != "" {
			t.Errorf("%s (-first +second):\n%s", m.Kind(), diff)
		}
	}
}

func TestContentIsWrittenOnThePods(t *testing.T) {
	children := childrenOf(t, full())
	deployment := find[appsv1.Deployment](t, children, "Deployment")
	if fleet := FleetOf(deployment, nil); fleet.Content != children.Content || fleet.Migration != children.MigrationHash || fleet.Release != "scores-7" {
		t.Errorf("the Deployment does not carry content %s and migration %s", children.Content, children.MigrationHash)
	}
	without := childrenOf(t, full(func(c *Content) { c.Database = nil }))
	if without.Migration != nil || without.MigrationHash != "" {
		t.Error("a service without a database migrates")
	}
	if got, ok := find[appsv1.Deployment](t, without, "Deployment").Annotations[annotationMigrated]; ok {
		t.Errorf("a service without a database is marked as migrated: %s", got)
	}
}

func TestPodsAreAllowedUnderRestrictedPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for name, content := range map[string]Content{"full": full(), "smallest": defaults()} {
		template := find[appsv1.Deployment](t, childrenOf(t, content), "Deployment").Spec.Template
		for _, result := range evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s: %s", name, result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
	}
}

func TestNamesFitIntoALabel(t *testing.T) {
	p := place()
	p.Owner.Microservice.Name = strings.Repeat("a", 40)
	children, err := ChildrenOf(p, full())
	if err != nil {
		t.Fatal(err)
	}
	canary, err := children.Canary(1, 20)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range append(everything(t, children), canary...) {
		if problems := validation.IsDNS1035Label(m.Name()); len(problems) > 0 {
			t.Errorf("%s %s: %v", m.Kind(), m.Name(), problems)
		}
		if m.Namespace() != p.Namespace {
			t.Errorf("%s is made in namespace %q, want %q", m.Kind(), m.Namespace(), p.Namespace)
		}
		if owner, ok := ownership.Of(m.Object()); !ok || owner != p.Owner {
			t.Errorf("%s belongs to %+v, want %+v", m.Kind(), owner, p.Owner)
		}
	}
}

func TestConfigMapIsImmutableAndNamedAfterItsContent(t *testing.T) {
	before := find[corev1.ConfigMap](t, childrenOf(t, full()), "ConfigMap")
	if before.Immutable == nil || !*before.Immutable {
		t.Error("the ConfigMap can be changed under running pods")
	}
	children := childrenOf(t, full(func(c *Content) { c.Env[0].Value = "0" }))
	after := find[corev1.ConfigMap](t, children, "ConfigMap")
	if before.Name == after.Name {
		t.Error("another content would have to be written over the one before")
	}
	template := find[appsv1.Deployment](t, children, "Deployment").Spec.Template.Spec
	if got := template.Containers[0].EnvFrom[0].ConfigMapRef.Name; got != after.Name || children.ConfigMap.Name() != after.Name {
		t.Errorf("the pods read %s, the children name %s, the ConfigMap is %s", got, children.ConfigMap.Name(), after.Name)
	}
}

func TestEnvironmentVariables(t *testing.T) {
	content := full(func(c *Content) {
		c.Env = append(c.Env, v1alpha1.EnvironmentVariable{Name: contract.EnvRelease, Value: "mine"})
	})
	want := map[string]string{
		"A": "1", "B": "2", "KEYS_FILE": contract.SecretFile("KEYS_FILE"), "SALT_FILE": contract.SecretFile("SALT_FILE"), "ENVIRONMENT": "staging", "RELEASE": "1.4.0-" + childrenOf(t, content).Content, "GOMEMLIMIT": "241591905",
		"DATABASE_URL_FILE": contract.DatabaseURLFile, "JWT_SECRET_FILE": contract.AuthSecretFile,
		"JWT_PREVIOUS_SECRET_FILE": contract.AuthPreviousFile, "JWT_ISSUER": "us", "JWT_AUDIENCE": "all",
		"SETTINGS_DIR": contract.SettingsDir, "SETTINGS_GENERATION_FILE": contract.SettingsGenerationFile,
	}
	data := find[corev1.ConfigMap](t, childrenOf(t, content), "ConfigMap").Data
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	crd, err := os.ReadFile("../../config/crd/bases/platform.mirubato.com_microservices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name := range data {
		own := slices.ContainsFunc(content.Env, func(v v1alpha1.EnvironmentVariable) bool { return v.Name == name && name != contract.EnvRelease })
		if !own && !strings.Contains(string(crd), "'"+name+"'") {
			t.Errorf("%s is set by the operator, but the API lets users set it as well", name)
		}
	}
}

func TestSecretsAreMountedAsFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Content)
		want   map[string]string // path to Secret/key
	}{
		"database and both signing secrets": {
			change: func(*Content) {},
			want:   map[string]string{contract.DatabaseURLFile: "db/url", contract.AuthSecretFile: "auth/now", contract.AuthPreviousFile: "auth/before"},
		},
		"Secrets of the service's own variables": {
			change: func(c *Content) { c.Auth, c.Database, c.Env = nil, nil, full().Env },
			want:   map[string]string{contract.SecretFile("KEYS_FILE"): "keys/all", contract.SecretFile("SALT_FILE"): "keys/salt"},
		},
		"a previous secret alone": {
			change: func(c *Content) { c.Auth.Secret, c.Database = nil, nil },
			want:   map[string]string{contract.AuthPreviousFile: "auth/before"},
		},
		"auth without secrets": {
			change: func(c *Content) { c.Auth, c.Database = &Auth{Issuer: "us"}, nil },
			want:   map[string]string{},
		},
		"neither auth nor database": {
			change: func(c *Content) { c.Auth, c.Database = nil, nil },
			want:   map[string]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			content := full(func(c *Content) { c.Env = nil }, tc.change)
			pod := find[appsv1.Deployment](t, childrenOf(t, content), "Deployment").Spec.Template.Spec
			volumes := map[string]corev1.Volume{}
			for _, volume := range pod.Volumes {
				volumes[volume.Name] = volume
			}
			got := map[string]string{}
			for _, mount := range pod.Containers[0].VolumeMounts {
				if !mount.ReadOnly {
					t.Errorf("%s can be written to", mount.MountPath)
				}
				if volumes[mount.Name].Projected == nil {
					continue // the settings
				}
				for _, source := range volumes[mount.Name].Projected.Sources {
					for _, item := range source.Secret.Items {
						got[mount.MountPath+"/"+item.Path] = source.Secret.Name + "/" + item.Key
					}
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if len(pod.Volumes) != len(pod.Containers[0].VolumeMounts) {
				t.Errorf("%d volumes for %d mounts", len(pod.Volumes), len(pod.Containers[0].VolumeMounts))
			}
		})
	}
}

func TestServiceAndBudgetSelectTheServicePodsOnly(t *testing.T) {
	children := childrenOf(t, full())
	pods := labels.Set(find[appsv1.Deployment](t, children, "Deployment").Spec.Template.Labels)
	migration := labels.Set(place().Owner.Labels(ownership.ComponentMigration))
	budget, err := metav1.LabelSelectorAsSelector(find[policyv1.PodDisruptionBudget](t, children, "PodDisruptionBudget").Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	for name, selector := range map[string]labels.Selector{
		"Service":             labels.SelectorFromSet(find[corev1.Service](t, children, "Service").Spec.Selector),
		"PodDisruptionBudget": budget,
	} {
		if !selector.Matches(pods) || selector.Matches(migration) {
			t.Errorf("%s: selects the pods: %t, the migration's: %t; want true, false", name, selector.Matches(pods), selector.Matches(migration))
		}
	}
}

func TestCanaryRunsTheSameBesideTheStable(t *testing.T) {
	children := childrenOf(t, full())
	stable := find[appsv1.Deployment](t, children, "Deployment")
	manifests, err := children.Canary(3, 20)
	if err != nil {
		t.Fatal(err)
	}
	canary, service := &appsv1.Deployment{}, &corev1.Service{}
	for i, into := range []any{service, canary} {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(manifests[i].Object().Object, into, true); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(stable.Spec.Template.Spec.Containers, canary.Spec.Template.Spec.Containers); diff != "" {
		t.Errorf("containers (-stable +canary):\n%s", diff)
	}
	fleet := FleetOf(canary, nil)
	if fleet.Content != children.Content || fleet.Replicas != 3 || fleet.Weight != 20 {
		t.Errorf("the canary is read as %+v", fleet)
	}
	pods, serving := labels.Set(canary.Spec.Template.Labels), labels.SelectorFromSet(place().Owner.ServingSelector())
	if serving.Matches(pods) || !serving.Matches(labels.Set(stable.Spec.Template.Labels)) {
		t.Error("stable pods are born in service, those of a canary are not")
	}
	for name, selector := range map[string]map[string]string{
		"the stable Deployment":   stable.Spec.Selector.MatchLabels,
		"the Service at weight 0": place().Owner.Selector(ownership.ComponentAPI),
	} {
		if labels.SelectorFromSet(selector).Matches(pods) {
			t.Errorf("%s selects the canary's pods", name)
		}
	}
	if !labels.SelectorFromSet(service.Spec.Selector).Matches(pods) {
		t.Error("the canary's Service does not select its pods")
	}
}

func TestNoRequestIsDroppedDuringARollout(t *testing.T) {
	deployment := find[appsv1.Deployment](t, childrenOf(t, full()), "Deployment")
	rolling, pod := deployment.Spec.Strategy.RollingUpdate, deployment.Spec.Template.Spec
	if rolling.MaxUnavailable.IntValue() != 0 || rolling.MaxSurge.String() == "0" {
		t.Errorf("maxUnavailable = %s, maxSurge = %s: a pod is taken away before its replacement is ready", rolling.MaxUnavailable, rolling.MaxSurge)
	}
	service := pod.Containers[0]
	pause := service.Lifecycle.PreStop.Sleep.Seconds
	if pause <= 0 || *pod.TerminationGracePeriodSeconds <= pause {
		t.Errorf("pods stop %d s after they are told to, and are killed after %d s", pause, *pod.TerminationGracePeriodSeconds)
	}
	for path, probe := range map[string]*corev1.Probe{
		contract.LivezPath: service.LivenessProbe, contract.ReadyzPath: service.ReadinessProbe,
	} {
		if probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != portOperations {
			t.Errorf("the probe of %s asks %s on port %s", path, probe.HTTPGet.Path, probe.HTTPGet.Port.String())
		}
	}
}

func TestSecretUses(t *testing.T) {
	use := func(name, key, field string) SecretUse { return SecretUse{Secret: *secret(name, key), Field: field} }
	for name, tc := range map[string]struct {
		content Content
		want    []SecretUse
	}{
		"nothing refers to nothing": {content: defaults()},
		"every reference, in the order of the spec": {content: full(), want: []SecretUse{
			use("db", "url", "database.secretRef"), use("db-owner", "url", "database.migrationSecretRef"),
			use("auth", "now", "auth.secretRef"), use("auth", "before", "auth.previousSecretRef"),
			use("keys", "all", "workload.env[KEYS_FILE].secretRef"), use("keys", "salt", "workload.env[SALT_FILE].secretRef"),
		}},
		"one Secret for service and migrations is one use": {
			content: full(func(c *Content) { c.Auth, c.Database, c.Env = nil, defaultDatabase(), nil }),
			want:    []SecretUse{use("db", "url", "database.secretRef")},
		},
		"auth without secrets": {content: full(func(c *Content) { c.Auth, c.Database, c.Env = &Auth{}, nil, nil })},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, SecretUses(tc.content)); diff != "" {
				t.Errorf("uses (-want +got):\n%s", diff)
			}
		})
	}
}
