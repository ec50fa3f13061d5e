package v1alpha1_test

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

// object is the smallest Microservice, with fields set as a user would write them. A path is separated by dots; a value of
// nil removes the field.
func object(t testing.TB, fields map[string]any) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "Microservice",
		"metadata":   map[string]any{"name": "scores", "namespace": "default"},
		"spec": map[string]any{
			"image":        "registry.example.com/scores:1.4.0",
			"environments": []any{map[string]any{"name": "staging", "namespace": "scores-staging"}},
		},
	}}
	for path, value := range fields {
		parts := strings.Split(path, ".")
		if value == nil {
			unstructured.RemoveNestedField(u.Object, parts...)
			continue
		}
		if err := unstructured.SetNestedField(u.Object, value, parts...); err != nil {
			t.Fatal(err)
		}
	}
	return u
}

func environments(values ...any) []any { return values }

func environment(name, namespace string, overrides ...map[string]any) map[string]any {
	out := map[string]any{"name": name, "namespace": namespace}
	for _, o := range overrides {
		out["overrides"] = o
	}
	return out
}

// elsewhere is an environment in another cluster.
func elsewhere(name, namespace string, kubeconfig map[string]any) map[string]any {
	out := environment(name, namespace)
	out["cluster"] = map[string]any{"kubeconfigSecretRef": kubeconfig}
	if kubeconfig == nil {
		out["cluster"] = map[string]any{}
	}
	return out
}

func secret(name string) map[string]any { return map[string]any{"name": name} }

// secretVariable refers to a Secret, and may have a value as well.
func secretVariable(reference map[string]any, value any) []any {
	out := map[string]any{"name": "KEYSET_FILE", "secretRef": reference}
	if value != nil {
		out["value"] = value
	}
	return []any{out}
}

func variable(name string) []any { return []any{map[string]any{"name": name, "value": "x"}} }

// validate lets the API server judge an object without keeping it.
func validate(t testing.TB, fields map[string]any) error {
	t.Helper()
	return server.Create(t.Context(), object(t, fields), client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

func TestAccepted(t *testing.T) {
	digest := strings.Repeat("0123456789abcdef", 4)
	for name, fields := range map[string]map[string]any{
		"the smallest":                     {},
		"a name of 40 characters":          {"metadata.name": strings.Repeat("a", 40)},
		"an image with a digest":           {"spec.image": "scores@sha256:" + digest},
		"an image with tag and digest":     {"spec.image": "registry.example.com/a/b_c/scores:1.4.0@sha256:" + digest},
		"a registry with a port":           {"spec.image": "localhost:5000/mirubato/scores:v1_2.3-rc"},
		"a database":                       {"spec.database.secretRef": secret("db.owner-1")},
		"a key":                            {"spec.database.secretRef": map[string]any{"name": "db", "key": "DATABASE_URL.v1"}},
		"auth without a secret":            {"spec.auth.issuer": "us"},
		"the shortest and longest waits":   {"spec.database": map[string]any{"secretRef": secret("db"), "migrations": map[string]any{"advisoryLockWait": "1h", "statementLockTimeout": "50ms"}}},
		"a backup and what it is used for": {"spec.database": map[string]any{"secretRef": secret("db"), "rehearsal": "Schema", "backup": map[string]any{"claimName": "scores-backups", "retain": int64(1), "scratch": "10Gi"}}},
		"a backup in a bucket":             {"spec.database": map[string]any{"secretRef": secret("db"), "backup": map[string]any{"s3": map[string]any{"bucket": "backups", "endpoint": "http://minio:9000", "prefix": "a/", "secretRef": secret("keys")}}}},
		"a backup by CloudNativePG":        {"spec.database": map[string]any{"secretRef": secret("db"), "rehearsal": "Schema", "backup": map[string]any{"cloudNativePG": map[string]any{"cluster": "pg", "method": "barman-cloud.cloudnative-pg.io"}}}},
		"a backup by its own method":       {"spec.database": map[string]any{"secretRef": secret("db"), "backup": map[string]any{"retain": int64(2), "cloudNativePG": map[string]any{"cluster": "pg", "method": "volumeSnapshot"}}}},
		"a snapshot of the volume":         {"spec.database": map[string]any{"secretRef": secret("db"), "rehearsal": "None", "backup": map[string]any{"volumeSnapshot": map[string]any{"claimName": "data-pg-0", "className": "fast"}}}},
		"data of what has a dump elsewhere": {
			"spec.database":     map[string]any{"secretRef": secret("db"), "rehearsal": "Data", "backup": map[string]any{"claimName": "a"}},
			"spec.environments": environments(environment("a", "a", map[string]any{"database": map[string]any{"backup": map[string]any{"volumeSnapshot": map[string]any{"claimName": "data"}}}})),
		},
		"no backup":                      {"spec.database": map[string]any{"secretRef": secret("db"), "rehearsal": "None", "backup": map[string]any{"claimName": ""}}},
		"no retries":                     {"spec.database": map[string]any{"secretRef": secret("db"), "migrations": map[string]any{"retries": int64(0)}}},
		"a command":                      {"spec.database": map[string]any{"secretRef": secret("db"), "migrations": map[string]any{"exportCommand": []any{"cp", "-r", "/sql/.", "$(MIGRATIONS_DIR)"}}}},
		"amounts as text and as numbers": {"spec.workload.resources": map[string]any{"requests": map[string]any{"cpu": int64(1), "memory": "64Mi"}, "limits": map[string]any{"cpu": "1500m", "memory": int64(134217728)}}},
		"a limit without a request":      {"spec.workload.resources.limits.memory": "1.5Gi"},
		"a variable":                     {"spec.workload.env": variable("LOG_LEVEL")},
		"a variable from a Secret":       {"spec.workload.env": secretVariable(map[string]any{"name": "keys", "key": "keyset.json"}, nil)},
		"a variable without a value":     {"spec.workload.env": []any{map[string]any{"name": "_X1"}}},
		"pull secrets":                   {"spec.workload.imagePullSecrets": []any{"a", "b.c"}},
		"a variable from a ConfigMap":    {"spec.workload.env": []any{map[string]any{"name": "A", "configMapRef": map[string]any{"name": "maps", "key": "a"}}}},
		"pods that follow the load, on nodes of their own": {"spec.workload": map[string]any{
			"autoscaling":       map[string]any{"min": int64(3), "max": int64(3), "targetCPU": int64(50)},
			"priorityClassName": "urgent",
			"nodeSelector":      map[string]any{"example.com/disk": "ssd", "empty": ""},
			"tolerations":       []any{map[string]any{"key": "example.com/dedicated", "value": "scores", "effect": "NoSchedule"}},
		}},
		"overrides of what the spec has": {
			"spec.auth.issuer": "us", "spec.database.secretRef": secret("db"),
			"spec.environments": environments(environment("a", "a", map[string]any{
				"auth": map[string]any{"issuer": "them"}, "database": map[string]any{"migrationSecretRef": secret("owner")},
				"workload": map[string]any{"replicas": int64(500)},
			})),
		},
		"files on a volume, and in a bucket in one environment": {
			"spec.storage.fileSystem.claimName": "files",
			"spec.environments": environments(environment("a", "a", map[string]any{"storage": map[string]any{"s3": map[string]any{
				"bucket": "files.prod", "region": "eu-central-1", "endpoint": "https://minio.example.com:9000", "prefix": "scores/v1/", "secretRef": secret("bucket"),
			}}})),
		},
		"another prefix of the same bucket": {
			"spec.storage.s3.bucket": "files",
			"spec.environments":      environments(environment("a", "a", map[string]any{"storage": map[string]any{"s3": map[string]any{"prefix": "a/"}}})),
		},
		"a policy for the network": {"spec.networkPolicy": map[string]any{
			"from": []any{map[string]any{"namespace": "ingress-nginx"}}, "metricsFrom": []any{map[string]any{"cidr": "fd00::/8"}},
			"to": []any{map[string]any{"cidr": "10.0.0.0/8", "ports": []any{int64(5432)}}},
		}},
		"an Ingress": {
			"spec.traffic.ingress": map[string]any{"className": "nginx", "tlsSecretName": "cert", "annotations": map[string]any{"cert-manager.io/cluster-issuer": "acme"}},
			"spec.environments":    environments(map[string]any{"name": "a", "namespace": "a", "hosts": []any{"*.example.com", "a"}}, environment("b", "b")),
		},
		"namespaces of one name in two clusters": {"spec.environments": environments(
			environment("a", "n"), elsewhere("b", "n", secret("west")), elsewhere("c", "n", secret("east")))},
		"ten environments": {"spec.environments": environments(
			environment("e-0", "n-0"), environment("e-1", "n-1"), environment("e-2", "n-2"), environment("e-3", "n-3"), environment("e-4", "n-4"),
			environment("e-5", "n-5"), environment("e-6", "n-6"), environment("e-7", "n-7"), environment("e-8", "n-8"), environment("e-9", "9"),
		)},
	} {
		t.Run(name, func(t *testing.T) {
			if err := validate(t, fields); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// Each refusal must name the field and say what would be accepted, or a user has to guess.
func TestRefused(t *testing.T) {
	const (
		tagged    = "must end in a tag or a digest"
		reference = "must be the name of an image"
		cpu       = "must be an amount of CPU of at least 1m"
		memory    = "must be an amount of memory of at least 4Mi"
		reserved  = "this variable is set by the operator: use spec.auth, spec.database, spec.storage, spec.settings or spec.workload.resources instead"
	)
	migrations := func(field string, value any) map[string]any {
		return map[string]any{"spec.database": map[string]any{"secretRef": secret("db"), "migrations": map[string]any{field: value}}}
	}
	peers := func(list ...any) map[string]any {
		return map[string]any{"spec.networkPolicy": map[string]any{"from": append([]any{}, list...)}}
	}
	hosts := func(list ...any) map[string]any {
		return map[string]any{"spec.environments": environments(map[string]any{"name": "a", "namespace": "a", "hosts": append([]any{}, list...)})}
	}
	annotated := func(key string) map[string]any {
		return map[string]any{"spec.traffic.ingress.annotations": map[string]any{key: "x"}}
	}
	storage := func(storage map[string]any) map[string]any { return map[string]any{"spec.storage": storage} }
	for name, tc := range map[string]struct {
		fields     map[string]any
		field, fix string
	}{
		"a name that is too long":         {map[string]any{"metadata.name": strings.Repeat("a", 41)}, "metadata.name", "at most 40 characters"},
		"a name that starts with a digit": {map[string]any{"metadata.name": "4scores"}, "metadata.name", "starting with a letter"},
		"a name with a dot":               {map[string]any{"metadata.name": "sc.ores"}, "metadata.name", "a-z, 0-9 and '-'"},
		"no spec":                         {map[string]any{"spec": nil}, "spec", "Required value"},
		"no image":                        {map[string]any{"spec.image": nil}, "spec.image", "Required value"},
		"an empty image":                  {map[string]any{"spec.image": ""}, "spec.image", "at least 1 chars"},
		"an image without a tag":          {map[string]any{"spec.image": "registry.example.com/scores"}, "spec.image", tagged},
		"a port that looks like a tag":    {map[string]any{"spec.image": "localhost:5000/scores"}, "spec.image", tagged},
		"a digest that is too short":      {map[string]any{"spec.image": "scores@sha256:abc"}, "spec.image", reference},
		"an image with a capital path":    {map[string]any{"spec.image": "example.com/Scores:1"}, "spec.image", reference},
		"an image with a space":           {map[string]any{"spec.image": "example.com/sco res:1"}, "spec.image", reference},
		"an empty tag":                    {map[string]any{"spec.image": "scores:"}, "spec.image", reference},
		"no environments":                 {map[string]any{"spec.environments": nil}, "spec.environments", "Required value"},
		"an empty list of environments":   {map[string]any{"spec.environments": environments()}, "spec.environments", "Required value"},
		"an environment twice":            {map[string]any{"spec.environments": environments(environment("a", "a"), environment("a", "b"))}, "spec.environments[1]", "Duplicate value"},
		"a namespace twice":               {map[string]any{"spec.environments": environments(environment("a", "n"), environment("b", "n"))}, "spec.environments", "must be different in every environment"},
		"a cluster without a kubeconfig":  {map[string]any{"spec.environments": environments(elsewhere("a", "n", nil))}, "spec.environments[0].cluster.kubeconfigSecretRef", "Required value"},
		"a bad name of an environment":    {map[string]any{"spec.environments": environments(environment("Prod", "n"))}, "spec.environments[0].name", "a-z, 0-9 and '-', starting with a letter"},
		"a bad name of a namespace":       {map[string]any{"spec.environments": environments(environment("prod", "n_1"))}, "spec.environments[0].namespace", "must be the name of a namespace"},
		"no replicas":                     {map[string]any{"spec.workload.replicas": int64(0)}, "spec.workload.replicas", "greater than or equal to 1"},
		"too many replicas":               {map[string]any{"spec.workload.replicas": int64(501)}, "spec.workload.replicas", "less than or equal to 500"},
		"a number of pods and a range": {
			map[string]any{"spec.workload": map[string]any{"replicas": int64(2), "autoscaling": map[string]any{"max": int64(3)}}}, "spec.workload", "either replicas or autoscaling",
		},
		"autoscaling without an end":              {map[string]any{"spec.workload.autoscaling": map[string]any{"min": int64(2)}}, "spec.workload.autoscaling.max", "Required value"},
		"an end before the beginning":             {map[string]any{"spec.workload.autoscaling": map[string]any{"min": int64(4), "max": int64(3)}}, "spec.workload.autoscaling", "min must not be greater than max"},
		"a target of no CPU":                      {map[string]any{"spec.workload.autoscaling": map[string]any{"max": int64(3), "targetCPU": int64(0)}}, "spec.workload.autoscaling.targetCPU", "greater than or equal to 1"},
		"a priority class that is no name":        {map[string]any{"spec.workload.priorityClassName": "Very High"}, "spec.workload.priorityClassName", "must be the name of a PriorityClass"},
		"a bad label of a node":                   {map[string]any{"spec.workload.nodeSelector": map[string]any{"a b": "c"}}, "spec.workload.nodeSelector", "must be made of labels"},
		"a bad value of a node's label":           {map[string]any{"spec.workload.nodeSelector": map[string]any{"disk": "s s d"}}, "spec.workload.nodeSelector", "must be made of labels"},
		"a toleration of nothing":                 {map[string]any{"spec.workload.tolerations": []any{map[string]any{"value": "x"}}}, "spec.workload.tolerations[0].key", "Required value"},
		"a toleration of no taint":                {map[string]any{"spec.workload.tolerations": []any{map[string]any{"key": "a b"}}}, "spec.workload.tolerations[0].key", "must be the key of a taint"},
		"a taint with a bad value":                {map[string]any{"spec.workload.tolerations": []any{map[string]any{"key": "a", "value": "-"}}}, "spec.workload.tolerations[0].value", "must be made of letters"},
		"an effect that no taint has":             {map[string]any{"spec.workload.tolerations": []any{map[string]any{"key": "a", "effect": "Never"}}}, "spec.workload.tolerations[0].effect", "supported values"},
		"an unknown field":                        {map[string]any{"spec.workload.replica": int64(2)}, "spec.workload.replica", "unknown field"},
		"a variable with a bad name":              {map[string]any{"spec.workload.env": variable("1-A")}, "spec.workload.env[0].name", "letters, digits and '_', not starting with a digit"},
		"a variable that the operator sets":       {map[string]any{"spec.workload.env": variable("DATABASE_URL")}, "spec.workload.env[0].name", reserved},
		"a memory target of the user's":           {map[string]any{"spec.workload.env": variable("GOMEMLIMIT")}, "spec.workload.env[0].name", reserved},
		"a reserved variable in an environment":   {map[string]any{"spec.environments": environments(environment("a", "a", map[string]any{"workload": map[string]any{"env": variable("RELEASE")}}))}, "spec.environments[0].overrides.workload.env[0].name", reserved},
		"a variable with a value and a Secret":    {map[string]any{"spec.workload.env": secretVariable(map[string]any{"name": "keys", "key": "k"}, "x")}, "spec.workload.env[0]", "either a value or a secretRef with name and key"},
		"a variable from a ConfigMap and a value": {map[string]any{"spec.workload.env": []any{map[string]any{"name": "A", "value": "x", "configMapRef": map[string]any{"name": "maps", "key": "a"}}}}, "spec.workload.env[0]", "either a value, a secretRef or a configMapRef"},
		"a variable from no key of a ConfigMap":   {map[string]any{"spec.workload.env": []any{map[string]any{"name": "A", "configMapRef": map[string]any{"name": "maps"}}}}, "spec.workload.env[0].configMapRef.key", "Required"},
		"a variable from no key of a Secret":      {map[string]any{"spec.workload.env": secretVariable(map[string]any{"name": "keys"}, nil)}, "spec.workload.env[0]", "either a value or a secretRef with name and key"},
		"a variable twice":                        {map[string]any{"spec.workload.env": append(variable("A"), variable("A")...)}, "spec.workload.env[1]", "Duplicate value"},
		"a bad pull secret":                       {map[string]any{"spec.workload.imagePullSecrets": []any{"Bad Name"}}, "spec.workload.imagePullSecrets", "must be names of Secrets"},
		"thousandths of a byte":                   {map[string]any{"spec.workload.resources.limits.memory": "256m"}, "spec.workload.resources.limits.memory", memory},
		"a negative amount of memory":             {map[string]any{"spec.workload.resources.requests.memory": "-1Gi"}, "spec.workload.resources.requests.memory", memory},
		"no memory":                               {map[string]any{"spec.workload.resources.limits.memory": int64(0)}, "spec.workload.resources.limits.memory", memory},
		"an amount with a fractional exponent":    {map[string]any{"spec.workload.resources.limits.memory": "1e1.5"}, "spec.workload.resources.limits.memory", memory},
		"an amount that is none":                  {map[string]any{"spec.workload.resources.limits.memory": "much"}, "spec.workload.resources.limits.memory", "should match"},
		"no CPU":                                  {map[string]any{"spec.workload.resources.limits.cpu": "0"}, "spec.workload.resources.limits.cpu", cpu},
		"a database without a Secret":             {map[string]any{"spec.database.migrationSecretRef": secret("db")}, "spec.database", "spec.database.secretRef is required"},
		"a bad name of a Secret":                  {map[string]any{"spec.database.secretRef": secret("../db")}, "spec.database.secretRef.name", "should match '^[a-z0-9]("},
		"backups in two places":                   {map[string]any{"spec.database.backup": map[string]any{"claimName": "a", "s3": map[string]any{"bucket": "backups"}}}, "spec.database.backup", "set one of claimName, s3, cloudNativePG, volumeSnapshot"},
		"backups made in two ways":                {map[string]any{"spec.database.backup": map[string]any{"cloudNativePG": map[string]any{"cluster": "pg"}, "volumeSnapshot": map[string]any{"claimName": "data"}}}, "spec.database.backup", "set one of claimName, s3, cloudNativePG, volumeSnapshot"},
		"backups made in two ways somewhere":      {map[string]any{"spec.database.secretRef": secret("db"), "spec.environments": environments(environment("a", "a", map[string]any{"database": map[string]any{"backup": map[string]any{"claimName": "a", "cloudNativePG": map[string]any{"cluster": "pg"}}}}))}, "spec.environments[0].overrides.database.backup", "set one of claimName, s3, cloudNativePG, volumeSnapshot"},
		"a backup of no Cluster":                  {map[string]any{"spec.database.backup": map[string]any{"cloudNativePG": map[string]any{"method": "volumeSnapshot"}}}, "spec.database.backup.cloudNativePG.cluster", "Required"},
		"a backup by a method that is none":       {map[string]any{"spec.database.backup": map[string]any{"cloudNativePG": map[string]any{"cluster": "pg", "method": "tar"}}}, "spec.database.backup.cloudNativePG.method", "should match"},
		"a snapshot of no claim":                  {map[string]any{"spec.database.backup": map[string]any{"volumeSnapshot": map[string]any{"className": "fast"}}}, "spec.database.backup.volumeSnapshot.claimName", "Required"},
		"a snapshot of two claims":                {map[string]any{"spec.database.backup": map[string]any{"volumeSnapshot": map[string]any{"claimName": "data,wal"}}}, "spec.database.backup.volumeSnapshot.claimName", "should match"},
		"a rehearsal on data that nobody has":     {map[string]any{"spec.database": map[string]any{"secretRef": secret("db"), "rehearsal": "Data", "backup": map[string]any{"cloudNativePG": map[string]any{"cluster": "pg"}}}}, "spec.database", "rehearsal Data takes the dump of backup.claimName or s3; choose Schema or None"},
		"the same with a snapshot somewhere":      {map[string]any{"spec.database.secretRef": secret("db"), "spec.environments": environments(environment("a", "a", map[string]any{"database": map[string]any{"rehearsal": "Data", "backup": map[string]any{"volumeSnapshot": map[string]any{"claimName": "data"}}}}))}, "spec.environments[0].overrides.database", "choose Schema or None"},
		"backups in no bucket":                    {map[string]any{"spec.database.backup": map[string]any{"s3": map[string]any{"prefix": "a/"}}}, "spec.database.backup", "backup.s3.bucket is required"},
		"a bad key":                               {map[string]any{"spec.auth.secretRef": map[string]any{"name": "a", "key": "a/b"}}, "spec.auth.secretRef.key", "should match '^[-._a-zA-Z0-9]+$'"},
		"a Secret without a name":                 {map[string]any{"spec.auth.secretRef": map[string]any{"key": "k"}}, "spec.auth.secretRef.name", "Required value"},
		"an override of no database":              {map[string]any{"spec.environments": environments(environment("a", "a", map[string]any{"database": map[string]any{"secretRef": secret("db")}}))}, "spec", "set spec.database first"},
		"an override of no auth":                  {map[string]any{"spec.environments": environments(environment("a", "a", map[string]any{"auth": map[string]any{"issuer": "us"}}))}, "spec", "set spec.auth first"},
		"two storages":                            {storage(map[string]any{"fileSystem": map[string]any{"claimName": "a"}, "s3": map[string]any{"bucket": "files"}}), "spec.storage", "either fileSystem or s3"},
		"a storage that is none":                  {storage(map[string]any{}), "spec.storage", "either fileSystem or s3"},
		"a bucket without a name":                 {storage(map[string]any{"s3": map[string]any{"region": "eu-central-1"}}), "spec.storage", "spec.storage.s3.bucket is required"},
		"a bucket that is no name":                {storage(map[string]any{"s3": map[string]any{"bucket": "My_Files"}}), "spec.storage.s3.bucket", "should match"},
		"a claim that is no name":                 {storage(map[string]any{"fileSystem": map[string]any{"claimName": "My Files"}}), "spec.storage.fileSystem.claimName", "must be the name of a PersistentVolumeClaim"},
		"an endpoint with a password":             {storage(map[string]any{"s3": map[string]any{"bucket": "files", "endpoint": "https://a:b@c"}}), "spec.storage.s3.endpoint", "must be http(s)://HOST"},
		"a prefix without an end":                 {storage(map[string]any{"s3": map[string]any{"bucket": "files", "prefix": "a"}}), "spec.storage.s3.prefix", "should match"},
		"an override of no storage":               {map[string]any{"spec.environments": environments(environment("a", "a", map[string]any{"storage": map[string]any{"s3": map[string]any{"bucket": "files"}}}))}, "spec", "set spec.storage first"},
		"an override without a bucket": {map[string]any{
			"spec.storage.fileSystem.claimName": "a", "spec.environments": environments(environment("a", "a", map[string]any{"storage": map[string]any{"s3": map[string]any{"prefix": "a/"}}})),
		}, "spec", "overrides storage.s3 without a bucket"},
		"a peer that is nobody":                 {peers(map[string]any{}), "spec.networkPolicy.from[0]", "either a namespace or a cidr"},
		"a peer that is two":                    {peers(map[string]any{"namespace": "a", "cidr": "10.0.0.0/8"}), "spec.networkPolicy.from[0]", "either a namespace or a cidr"},
		"a range that is none":                  {peers(map[string]any{"cidr": "10.0.0.1"}), "spec.networkPolicy.from[0].cidr", "cidr"},
		"peers that are none":                   {peers(), "spec.networkPolicy.from", "at least 1 items"},
		"a gateway and an Ingress":              {map[string]any{"spec.traffic": map[string]any{"gateway": map[string]any{"parentRefs": []any{map[string]any{"name": "a"}}}, "ingress": map[string]any{}}}, "spec.traffic", "either gateway or ingress"},
		"an Ingress that leads nowhere":         {map[string]any{"spec.traffic.ingress": map[string]any{}}, "spec", "needs environments with hosts"},
		"hosts that nothing leads to":           {hosts("a.example.com"), "spec", "spec.traffic is not set"},
		"a host with a port":                    {hosts("a.example.com:80"), "spec.environments[0].hosts", "must be names such as"},
		"no hosts":                              {hosts(), "spec.environments[0].hosts", "at least 1 items"},
		"an annotation of the operator's":       {annotated("platform.mirubato.com/applied"), "spec.traffic.ingress.annotations", "not the operator's"},
		"an annotation without a name":          {annotated("a b"), "spec.traffic.ingress.annotations", "must be annotations"},
		"a wait for the lock that is too short": {migrations("advisoryLockWait", "999ms"), "spec.database.migrations.advisoryLockWait", "must be between 1s and 1h"},
		"a wait for the lock that is too long":  {migrations("advisoryLockWait", "61m"), "spec.database.migrations.advisoryLockWait", "must be between 1s and 1h"},
		"a wait that is no duration":            {migrations("advisoryLockWait", "soon"), "spec.database.migrations.advisoryLockWait", "must be between 1s and 1h"},
		"a wait in days":                        {migrations("advisoryLockWait", "1d"), "spec.database.migrations.advisoryLockWait", "must be between 1s and 1h"},
		"a statement that waits too long":       {migrations("statementLockTimeout", "2m"), "spec.database.migrations.statementLockTimeout", "must be between 50ms and 1m"},
		"a statement that does not wait":        {migrations("statementLockTimeout", "0s"), "spec.database.migrations.statementLockTimeout", "must be between 50ms and 1m"},
		"too many retries":                      {migrations("retries", int64(101)), "spec.database.migrations.retries", "less than or equal to 100"},
		"an empty command":                      {migrations("exportCommand", []any{}), "spec.database.migrations.exportCommand", "at least 1 items"},
	} {
		t.Run(name, func(t *testing.T) {
			err := validate(t, tc.fields)
			if err == nil {
				t.Fatal("accepted")
			}
			if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
				t.Fatalf("not judged: %v", err)
			}
			for _, cause := range causes(err) {
				// A rule of the whole object has no field of its own and names one in its message.
				named := strings.HasPrefix(cause, tc.field+": ") || strings.HasPrefix(cause, "<nil>: Invalid value: "+tc.field+" ")
				if named && strings.Contains(cause, tc.fix) {
					return
				}
			}
			t.Errorf("no refusal of %s says %q:\n%s", tc.field, tc.fix, strings.Join(causes(err), "\n"))
		})
	}
}

// causes are the refusals in an error of the API server, each as "field: message".
func causes(err error) []string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return nil
	}
	if details := status.Status().Details; details != nil && len(details.Causes) > 0 {
		var out []string
		for _, cause := range details.Causes {
			out = append(out, cause.Field+": "+cause.Message)
		}
		return out
	}
	// Strict decoding answers with one sentence: strict decoding error: unknown field "spec.x".
	var out []string
	for _, part := range strings.Split(status.Status().Message, ", ") {
		if _, field, ok := strings.Cut(part, `unknown field "`); ok {
			out = append(out, strings.TrimSuffix(field, `"`)+": unknown field")
		}
	}
	return append(out, status.Status().Message)
}
