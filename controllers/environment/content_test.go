package environment

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/backup"
	"github.com/mirubato/mirubato/controllers/migration"
)

const image = "example.com/scores:1.4.0"

func quantity(text string) *resource.Quantity { return new(resource.MustParse(text)) }

func amounts(cpu, memory string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, text := range map[corev1.ResourceName]string{corev1.ResourceCPU: cpu, corev1.ResourceMemory: memory} {
		if text != "" {
			out[name] = resource.MustParse(text)
		}
	}
	return out
}

func secret(name, key string) *v1alpha1.SecretKeyReference {
	return &v1alpha1.SecretKeyReference{Name: name, Key: key}
}

func seconds(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Second}
}

// defaults is what a Microservice runs that names an image and nothing else.
func defaults() Content {
	return Content{
		Release:  "scores-7",
		Version:  "1.4.0",
		Image:    image,
		Scale:    Scale{Min: 2, Max: 2},
		Requests: amounts("50m", "64Mi"),
		Limits:   amounts("", "256Mi"),
	}
}

func defaultDatabase() *Database {
	return &Database{
		Secret:          v1alpha1.SecretKeyReference{Name: "db", Key: "url"},
		MigrationSecret: v1alpha1.SecretKeyReference{Name: "db", Key: "url"},
		Migrations: v1alpha1.MigrationSpec{
			AdvisoryLockWait: seconds(30), StatementLockTimeout: seconds(2), Retries: new(int32(10)),
			ContractAfter: seconds(24 * 60 * 60),
		},
		Rehearsal: v1alpha1.RehearseNone,
	}
}

func TestContentOfBackups(t *testing.T) {
	base := v1alpha1.MicroserviceSpec{Database: &v1alpha1.DatabaseSpec{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "db"},
		Backup:    &v1alpha1.BackupSpec{ClaimName: new("backups")},
	}}
	only := func(rehearsal v1alpha1.Rehearsal) *v1alpha1.EnvironmentOverrides {
		return &v1alpha1.EnvironmentOverrides{Database: &v1alpha1.DatabaseSpec{Rehearsal: &rehearsal}}
	}
	want := func(rehearsal v1alpha1.Rehearsal, made *migration.Backup) func(*Content) {
		return func(c *Content) {
			c.Database = defaultDatabase()
			c.Database.Backup, c.Database.Rehearsal = made, rehearsal
		}
	}
	kept := &migration.Backup{Claim: "backups", Retain: 5}
	with := func(spec v1alpha1.BackupSpec) *v1alpha1.EnvironmentOverrides {
		return &v1alpha1.EnvironmentOverrides{Database: &v1alpha1.DatabaseSpec{Backup: &spec}}
	}
	bucket := v1alpha1.MicroserviceSpec{Database: &v1alpha1.DatabaseSpec{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "db"},
		Backup:    &v1alpha1.BackupSpec{S3: &v1alpha1.S3Spec{Bucket: new("backups"), Region: new("eu-central-1"), SecretRef: &v1alpha1.SecretKeyReference{Name: "keys"}}},
	}}
	inBucket := func(url, name, key string) *migration.Backup {
		return &migration.Backup{Bucket: url, Credentials: secret(name, key), Retain: 5}
	}
	cluster := v1alpha1.MicroserviceSpec{Database: &v1alpha1.DatabaseSpec{
		SecretRef: &v1alpha1.SecretKeyReference{Name: "db"},
		Backup:    &v1alpha1.BackupSpec{CloudNativePG: &v1alpha1.CloudNativePGSpec{Cluster: "pg", Method: new("volumeSnapshot")}},
	}}
	asked := func(source backup.Source) *migration.Backup { return &migration.Backup{Asked: &source, Retain: 5} }
	none := v1alpha1.MicroserviceSpec{Database: &v1alpha1.DatabaseSpec{SecretRef: &v1alpha1.SecretKeyReference{Name: "db"}}}
	runContentCases(t, map[string]contentCase{
		"a backup is rehearsed on":               {spec: base, want: want(v1alpha1.RehearseData, kept)},
		"unless the schema is enough":            {spec: base, over: only(v1alpha1.RehearseSchema), want: want(v1alpha1.RehearseSchema, kept)},
		"or nothing is tried":                    {spec: base, over: only(v1alpha1.RehearseNone), want: want(v1alpha1.RehearseNone, kept)},
		"without a backup there are no data":     {spec: none, over: only(v1alpha1.RehearseData), want: want(v1alpha1.RehearseNone, nil)},
		"but a schema there is":                  {spec: none, over: only(v1alpha1.RehearseSchema), want: want(v1alpha1.RehearseSchema, nil)},
		"an environment may go without a backup": {spec: base, over: &v1alpha1.EnvironmentOverrides{Database: &v1alpha1.DatabaseSpec{Backup: &v1alpha1.BackupSpec{ClaimName: new("")}}}, want: want(v1alpha1.RehearseNone, nil)},
		"a bucket":                               {spec: bucket, want: want(v1alpha1.RehearseData, inBucket("s3://backups?region=eu-central-1", "keys", "credentials"))},
		"a bucket in place of a claim":           {spec: base, over: with(v1alpha1.BackupSpec{S3: &v1alpha1.S3Spec{Bucket: new("mine")}}), want: want(v1alpha1.RehearseData, &migration.Backup{Bucket: "s3://mine?region=us-east-1", Retain: 5})},
		"a claim in place of a bucket":           {spec: bucket, over: with(v1alpha1.BackupSpec{ClaimName: new("backups")}), want: want(v1alpha1.RehearseData, kept)},
		"nothing in place of a bucket":           {spec: bucket, over: with(v1alpha1.BackupSpec{ClaimName: new("")}), want: want(v1alpha1.RehearseNone, nil)},
		"another bucket at the same place": {
			spec: bucket, over: with(v1alpha1.BackupSpec{S3: &v1alpha1.S3Spec{Bucket: new("prod"), SecretRef: secret("own", "k")}}),
			want: want(v1alpha1.RehearseData, inBucket("s3://prod?region=eu-central-1", "own", "k")),
		},
		"CloudNativePG in place of a bucket has no data to rehearse on": {
			spec: bucket, over: with(v1alpha1.BackupSpec{CloudNativePG: &v1alpha1.CloudNativePGSpec{Cluster: "pg"}}),
			want: want(v1alpha1.RehearseSchema, asked(backup.Source{Method: v1alpha1.BackupCloudNativePG, Of: "pg"})),
		},
		"another Cluster by the same method": {
			spec: cluster, over: with(v1alpha1.BackupSpec{CloudNativePG: &v1alpha1.CloudNativePGSpec{Cluster: "prod"}}),
			want: want(v1alpha1.RehearseSchema, asked(backup.Source{Method: v1alpha1.BackupCloudNativePG, Of: "prod", Way: "volumeSnapshot"})),
		},
		"a snapshot, and nothing rehearsed": {
			spec: cluster, over: &v1alpha1.EnvironmentOverrides{Database: &v1alpha1.DatabaseSpec{
				Backup:    &v1alpha1.BackupSpec{VolumeSnapshot: &v1alpha1.VolumeSnapshotSpec{ClaimName: "data", ClassName: new("fast")}},
				Rehearsal: new(v1alpha1.RehearseNone),
			}},
			want: want(v1alpha1.RehearseNone, asked(backup.Source{Method: v1alpha1.BackupVolumeSnapshot, Of: "data", Class: "fast"})),
		},
		"a bucket in place of CloudNativePG has data": {
			spec: cluster, over: with(v1alpha1.BackupSpec{S3: &v1alpha1.S3Spec{Bucket: new("mine")}}),
			want: want(v1alpha1.RehearseData, &migration.Backup{Bucket: "s3://mine?region=us-east-1", Retain: 5}),
		},
		"nothing in place of CloudNativePG": {spec: cluster, over: with(v1alpha1.BackupSpec{ClaimName: new("")}), want: want(v1alpha1.RehearseNone, nil)},
		"only how many are kept": {
			spec: bucket, over: with(v1alpha1.BackupSpec{Retain: new(int32(9))}),
			want: want(v1alpha1.RehearseData, &migration.Backup{Bucket: "s3://backups?region=eu-central-1", Credentials: secret("keys", "credentials"), Retain: 9}),
		},
		"and may have another claim and scratch": {spec: base, over: &v1alpha1.EnvironmentOverrides{Database: &v1alpha1.DatabaseSpec{Backup: &v1alpha1.BackupSpec{ClaimName: new("big"), Retain: new(int32(9)), Scratch: quantity("1Gi")}}}, want: want(v1alpha1.RehearseData, &migration.Backup{Claim: "big", Retain: 9, Scratch: quantity("1Gi")})},
	})
}

type contentCase struct {
	spec v1alpha1.MicroserviceSpec
	over *v1alpha1.EnvironmentOverrides
	want func(*Content)
}

// releaseOf is the release of a spec with overrides for staging, and with others that do not matter there.
func releaseOf(spec *v1alpha1.MicroserviceSpec, over *v1alpha1.EnvironmentOverrides) *v1alpha1.Release {
	out := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: "scores-7"},
		Spec: v1alpha1.ReleaseSpec{
			Version: "1.4.0", Image: spec.Image, Workload: spec.Workload, Auth: spec.Auth, Database: spec.Database, Storage: spec.Storage, NetworkPolicy: spec.NetworkPolicy, Settings: spec.Settings,
			Overrides: []v1alpha1.ReleaseOverrides{{
				Environment: "production",
				EnvironmentOverrides: v1alpha1.EnvironmentOverrides{
					Workload: &v1alpha1.WorkloadSpec{ImagePullSecrets: []string{"theirs"}},
				},
			}},
		},
	}
	if over != nil {
		out.Spec.Overrides = append(out.Spec.Overrides, v1alpha1.ReleaseOverrides{Environment: "staging", EnvironmentOverrides: *over})
	}
	return out
}

func runContentCases(t *testing.T, cases map[string]contentCase) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.spec.Image = image
			before := tc.spec.DeepCopy()
			want := defaults()
			tc.want(&want)
			got := ContentOf(releaseOf(&tc.spec, tc.over), "staging", ScaleOf(&tc.spec, &v1alpha1.EnvironmentSpec{Overrides: tc.over}))
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, &tc.spec); diff != "" {
				t.Errorf("the spec was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestContentOfWorkload(t *testing.T) {
	env := func(pairs ...string) []v1alpha1.EnvironmentVariable {
		var out []v1alpha1.EnvironmentVariable
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, v1alpha1.EnvironmentVariable{Name: pairs[i], Value: pairs[i+1]})
		}
		return out
	}
	base := v1alpha1.MicroserviceSpec{Workload: v1alpha1.WorkloadSpec{
		Replicas:         new(int32(3)),
		Env:              env("A", "1", "B", "2"),
		ImagePullSecrets: []string{"pull"},
		Resources: &v1alpha1.ResourceSpec{
			Requests: &v1alpha1.ResourceAmounts{CPU: quantity("100m"), Memory: quantity("128Mi")},
			Limits:   &v1alpha1.ResourceAmounts{CPU: quantity("1"), Memory: quantity("512Mi")},
		},
	}}
	asWritten := func(c *Content) {
		c.Scale, c.Env, c.ImagePullSecrets = fixed(3), env("A", "1", "B", "2"), []string{"pull"}
		c.Requests, c.Limits = amounts("100m", "128Mi"), amounts("1", "512Mi")
	}
	workload := func(w v1alpha1.WorkloadSpec) *v1alpha1.EnvironmentOverrides {
		return &v1alpha1.EnvironmentOverrides{Workload: &w}
	}
	runContentCases(t, map[string]contentCase{
		"an image alone runs with the defaults": {want: func(*Content) {}},
		"every field is taken as it is written": {spec: base, want: asWritten},
		"empty overrides override nothing":      {spec: base, over: &v1alpha1.EnvironmentOverrides{}, want: asWritten},
		"an empty workload overrides nothing":   {spec: base, over: workload(v1alpha1.WorkloadSpec{}), want: asWritten},
		"overridden replicas leave the rest": {
			spec: base, over: workload(v1alpha1.WorkloadSpec{Replicas: new(int32(7))}),
			want: func(c *Content) { asWritten(c); c.Scale = fixed(7) },
		},
		"overridden variables are taken whole": {
			spec: base, over: workload(v1alpha1.WorkloadSpec{Env: env("C", "3")}),
			want: func(c *Content) { asWritten(c); c.Env = env("C", "3") },
		},
		"overridden pull secrets are taken whole": {
			spec: base, over: workload(v1alpha1.WorkloadSpec{ImagePullSecrets: []string{"other"}}),
			want: func(c *Content) { asWritten(c); c.ImagePullSecrets = []string{"other"} },
		},
		"pull secrets are a set, so their order is not the user's": {
			spec: v1alpha1.MicroserviceSpec{Workload: v1alpha1.WorkloadSpec{ImagePullSecrets: []string{"b", "a"}}},
			want: func(c *Content) { c.ImagePullSecrets = []string{"a", "b"} },
		},
		"an overridden memory limit leaves the CPU limit and the requests": {
			spec: base, over: workload(v1alpha1.WorkloadSpec{Resources: &v1alpha1.ResourceSpec{Limits: &v1alpha1.ResourceAmounts{Memory: quantity("1Gi")}}}),
			want: func(c *Content) { asWritten(c); c.Limits = amounts("1", "1Gi") },
		},
		"an overridden CPU request leaves the memory request and the limits": {
			spec: base, over: workload(v1alpha1.WorkloadSpec{Resources: &v1alpha1.ResourceSpec{Requests: &v1alpha1.ResourceAmounts{CPU: quantity("200m")}}}),
			want: func(c *Content) { asWritten(c); c.Requests = amounts("200m", "128Mi") },
		},
		"resources that only the environment names": {
			over: workload(v1alpha1.WorkloadSpec{Resources: &v1alpha1.ResourceSpec{Requests: &v1alpha1.ResourceAmounts{CPU: quantity("1")}}}),
			want: func(c *Content) { c.Requests = amounts("1", "64Mi") },
		},
	})
}

func TestLimitsAreNeverBelowRequests(t *testing.T) {
	for name, tc := range map[string]struct {
		requests, limits         *v1alpha1.ResourceAmounts
		wantRequests, wantLimits corev1.ResourceList
	}{
		"a default memory limit rises to a larger request": {
			requests:     &v1alpha1.ResourceAmounts{Memory: quantity("1Gi")},
			wantRequests: amounts("50m", "1Gi"), wantLimits: amounts("", "1Gi"),
		},
		"a default request sinks to a smaller memory limit": {
			limits:       &v1alpha1.ResourceAmounts{Memory: quantity("32Mi")},
			wantRequests: amounts("50m", "32Mi"), wantLimits: amounts("", "32Mi"),
		},
		"a default request sinks to a smaller CPU limit": {
			limits:       &v1alpha1.ResourceAmounts{CPU: quantity("10m")},
			wantRequests: amounts("10m", "64Mi"), wantLimits: amounts("10m", "256Mi"),
		},
		"a request above its limit sinks to the limit": {
			requests:     &v1alpha1.ResourceAmounts{CPU: quantity("2"), Memory: quantity("2Gi")},
			limits:       &v1alpha1.ResourceAmounts{CPU: quantity("1"), Memory: quantity("1Gi")},
			wantRequests: amounts("1", "1Gi"), wantLimits: amounts("1", "1Gi"),
		},
		"a request equal to its limit stays": {
			requests:     &v1alpha1.ResourceAmounts{CPU: quantity("1"), Memory: quantity("1Gi")},
			limits:       &v1alpha1.ResourceAmounts{CPU: quantity("1000m"), Memory: quantity("1024Mi")},
			wantRequests: amounts("1", "1Gi"), wantLimits: amounts("1", "1Gi"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			requests, limits := resources(&v1alpha1.ResourceSpec{Requests: tc.requests, Limits: tc.limits})
			if diff := cmp.Diff(tc.wantRequests, requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantLimits, limits); diff != "" {
				t.Errorf("limits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestContentOfAuth(t *testing.T) {
	base := v1alpha1.MicroserviceSpec{Auth: &v1alpha1.AuthSpec{
		SecretRef: secret("now", "k"), PreviousSecretRef: secret("before", ""), Issuer: new("us"), Audience: new("all"),
	}}
	asWritten := Auth{Secret: secret("now", "k"), Previous: secret("before", "secret"), Issuer: "us", Audience: "all"}
	auth := func(a v1alpha1.AuthSpec) *v1alpha1.EnvironmentOverrides {
		return &v1alpha1.EnvironmentOverrides{Auth: &a}
	}
	want := func(change func(*Auth)) func(*Content) {
		return func(c *Content) {
			a := asWritten
			change(&a)
			c.Auth = &a
		}
	}
	runContentCases(t, map[string]contentCase{
		"an empty auth has neither secret nor names": {
			spec: v1alpha1.MicroserviceSpec{Auth: &v1alpha1.AuthSpec{}}, want: func(c *Content) { c.Auth = &Auth{} },
		},
		"every field is taken as it is written":    {spec: base, want: want(func(*Auth) {})},
		"an empty override overrides nothing":      {spec: base, over: auth(v1alpha1.AuthSpec{}), want: want(func(*Auth) {})},
		"an override alone brings no auth":         {over: auth(v1alpha1.AuthSpec{Issuer: new("us")}), want: func(*Content) {}},
		"an overridden issuer leaves the rest":     {spec: base, over: auth(v1alpha1.AuthSpec{Issuer: new("them")}), want: want(func(a *Auth) { a.Issuer = "them" })},
		"an issuer can be overridden with any":     {spec: base, over: auth(v1alpha1.AuthSpec{Issuer: new("")}), want: want(func(a *Auth) { a.Issuer = "" })},
		"an overridden audience leaves the rest":   {spec: base, over: auth(v1alpha1.AuthSpec{Audience: new("few")}), want: want(func(a *Auth) { a.Audience = "few" })},
		"an overridden secret does not keep a key": {spec: base, over: auth(v1alpha1.AuthSpec{SecretRef: secret("other", "")}), want: want(func(a *Auth) { a.Secret = secret("other", "secret") })},
		"an overridden previous secret":            {spec: base, over: auth(v1alpha1.AuthSpec{PreviousSecretRef: secret("older", "k")}), want: want(func(a *Auth) { a.Previous = secret("older", "k") })},
	})
}

func TestContentOfDatabase(t *testing.T) {
	base := v1alpha1.MicroserviceSpec{Database: &v1alpha1.DatabaseSpec{
		SecretRef: secret("db", "app"), MigrationSecretRef: secret("db", "owner"),
		Migrations: &v1alpha1.MigrationSpec{
			ExportCommand: []string{"export"}, AdvisoryLockWait: seconds(60), StatementLockTimeout: seconds(5), Retries: new(int32(1)),
			ContractAfter: seconds(0),
		},
	}}
	want := func(change func(*Database)) func(*Content) {
		return func(c *Content) {
			c.Database = &Database{
				Secret: *secret("db", "app"), MigrationSecret: *secret("db", "owner"), Migrations: *base.Database.Migrations.DeepCopy(),
				Rehearsal: v1alpha1.RehearseNone,
			}
			change(c.Database)
		}
	}
	over := func(d v1alpha1.DatabaseSpec) *v1alpha1.EnvironmentOverrides {
		return &v1alpha1.EnvironmentOverrides{Database: &d}
	}
	migrations := func(m v1alpha1.MigrationSpec) *v1alpha1.EnvironmentOverrides {
		return over(v1alpha1.DatabaseSpec{Migrations: &m})
	}
	small := v1alpha1.MicroserviceSpec{Database: &v1alpha1.DatabaseSpec{SecretRef: secret("db", "")}}
	runContentCases(t, map[string]contentCase{
		"one Secret serves the service and its migrations": {spec: small, want: func(c *Content) { c.Database = defaultDatabase() }},
		"every field is taken as it is written":            {spec: base, want: want(func(*Database) {})},
		"an empty override overrides nothing":              {spec: base, over: over(v1alpha1.DatabaseSpec{}), want: want(func(*Database) {})},
		"an override alone brings no database":             {over: over(v1alpha1.DatabaseSpec{SecretRef: secret("x", "")}), want: func(*Content) {}},
		"an overridden Secret does not keep a key": {
			spec: base, over: over(v1alpha1.DatabaseSpec{SecretRef: secret("other", "")}),
			want: want(func(d *Database) { d.Secret = *secret("other", "url") }),
		},
		"without a migration Secret the overridden one serves both": {
			spec: small, over: over(v1alpha1.DatabaseSpec{SecretRef: secret("other", "")}),
			want: func(c *Content) {
				c.Database = defaultDatabase()
				c.Database.Secret, c.Database.MigrationSecret = *secret("other", "url"), *secret("other", "url")
			},
		},
		"an overridden migration Secret leaves the other": {
			spec: base, over: over(v1alpha1.DatabaseSpec{MigrationSecretRef: secret("owner", "")}),
			want: want(func(d *Database) { d.MigrationSecret = *secret("owner", "url") }),
		},
		"an overridden command is taken whole":    {spec: base, over: migrations(v1alpha1.MigrationSpec{ExportCommand: []string{"cp", "a"}}), want: want(func(d *Database) { d.Migrations.ExportCommand = []string{"cp", "a"} })},
		"an overridden lock wait leaves the rest": {spec: base, over: migrations(v1alpha1.MigrationSpec{AdvisoryLockWait: seconds(1)}), want: want(func(d *Database) { d.Migrations.AdvisoryLockWait = seconds(1) })},
		"an overridden lock timeout":              {spec: base, over: migrations(v1alpha1.MigrationSpec{StatementLockTimeout: seconds(1)}), want: want(func(d *Database) { d.Migrations.StatementLockTimeout = seconds(1) })},
		"retries can be overridden with none":     {spec: base, over: migrations(v1alpha1.MigrationSpec{Retries: new(int32(0))}), want: want(func(d *Database) { d.Migrations.Retries = new(int32(0)) })},
		"options that only the environment names": {
			spec: small, over: migrations(v1alpha1.MigrationSpec{Retries: new(int32(0))}),
			want: func(c *Content) { c.Database = defaultDatabase(); c.Database.Migrations.Retries = new(int32(0)) },
		},
	})
}

func TestContentOfSettings(t *testing.T) {
	limits := func(scope settings.Scope, networks ...string) *settings.Settings {
		out := &settings.Settings{RateLimits: &settings.RateLimits{TrustedProxies: networks}}
		if scope != "" {
			out.RateLimits.Scope = &scope
		}
		return out
	}
	base := v1alpha1.MicroserviceSpec{Settings: limits(settings.ScopeFleet, "10.0.0.0/8", "192.168.0.0/16")}
	over := func(s *settings.Settings) *v1alpha1.EnvironmentOverrides {
		return &v1alpha1.EnvironmentOverrides{Settings: s}
	}
	want := func(s *settings.Settings) func(*Content) { return func(c *Content) { c.Settings = *s } }
	runContentCases(t, map[string]contentCase{
		"settings are the same everywhere":          {spec: base, want: want(base.Settings)},
		"an overridden field leaves the others":     {spec: base, over: over(limits(settings.ScopePod)), want: want(limits(settings.ScopePod, "10.0.0.0/8", "192.168.0.0/16"))},
		"an overridden list is taken whole":         {spec: base, over: over(limits("", "10.1.0.0/16")), want: want(limits(settings.ScopeFleet, "10.1.0.0/16"))},
		"settings that only the environment names":  {over: over(limits(settings.ScopePod)), want: want(limits(settings.ScopePod))},
		"an override of nothing changes nothing":    {spec: base, over: over(&settings.Settings{}), want: want(base.Settings)},
		"settings of a group that is not in common": {spec: base, over: over(&settings.Settings{Tokens: &settings.Tokens{}}), want: want(&settings.Settings{RateLimits: base.Settings.RateLimits, Tokens: &settings.Tokens{}})},
	})
}
