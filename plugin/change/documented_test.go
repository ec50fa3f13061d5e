package change_test

import (
	"os"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/mirubato/mirubato/plugin/change"
)

// statements are the words in which the documentation of a field tells what changing it costs. The first that is found counts.
var statements = []struct {
	words string
	cost  change.Cost
}{
	{"Changing it runs the migrations", change.CostMigrate},
	{"take effect in running pods", change.CostLive},
	{"replaces no pod", change.CostScale},
	{"adds or removes pods without replacing", change.CostScale},
	{"restarts nothing", change.CostRoute},
	{"replaces the pods", change.CostRestart},
}

func stated(description string) (change.Cost, bool) {
	text := strings.Join(strings.Fields(description), " ")
	for _, statement := range statements {
		if strings.Contains(text, statement.words) {
			return statement.cost, true
		}
	}
	return "", false
}

// groups are the fields of the spec below which every field must tell its cost: in its own
// documentation, or in that of a field above it.
var groups = []string{"image", "workload", "auth", "database", "storage", "networkPolicy", "settings", "traffic"}

// What kubectl explain says of a field is what the plan says of a change of it.
func TestEveryFieldTellsWhatChangingItCosts(t *testing.T) {
	text, err := os.ReadFile("../../config/crd/bases/platform.mirubato.com_microservices.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		t.Fatal(err)
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	overrides := spec.Properties["environments"].Items.Schema.Properties["overrides"]
	leaves := 0
	expect := func(path string, cost change.Cost) {
		t.Helper()
		leaves++
		if want := change.CostOf(path); cost != want {
			t.Errorf("%s is documented as %q, and planned as %q", path, cost, want)
		}
	}
	for _, group := range groups {
		schema, there := spec.Properties[group]
		if !there {
			t.Errorf("there is no field %s", group)
		}
		walk(group, schema, "", expect)
	}
	for group, schema := range overrides.Properties { // whose fields are documented in the spec
		cost, _ := stated(schema.Description)
		expect(group, cost)
	}
	const least = 100
	if leaves < least {
		t.Errorf("only %d fields were looked at", leaves)
	}
}

// walk visits the leaves below a schema with the cost that is stated nearest to each.
func walk(path string, schema apiextensionsv1.JSONSchemaProps, above change.Cost, visit func(string, change.Cost)) {
	cost, told := stated(schema.Description)
	if !told {
		cost = above
	}
	inner := schema
	if schema.Items != nil && schema.Items.Schema != nil {
		inner = *schema.Items.Schema
	}
	if len(inner.Properties) == 0 {
		visit(path, cost)
		return
	}
	for name, field := range inner.Properties {
		walk(path+"."+name, field, cost, visit)
	}
}
