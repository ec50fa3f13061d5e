package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// writeSchema puts the spec of the CRD into the schema of the chart's own values, which is written by hand.
func writeSchema(config, chart string) error {
	var own map[string]any
	if err := read(filepath.Join(chart, "values.own.schema.json"), &own); err != nil {
		return err
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties map[string]map[string]any `json:"properties"`
					} `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := read(filepath.Join(config, "crd", "bases", "platform.mirubato.com_microservices.yaml"), &crd); err != nil {
		return err
	}
	if len(crd.Spec.Versions) != 1 {
		return fmt.Errorf("the CRD has %d versions: say which one the chart is written in", len(crd.Spec.Versions))
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	properties, ok := own["properties"].(map[string]any)
	if !ok || spec == nil {
		return errors.New("the schema of the values, or that of the CRD, has no properties")
	}
	translate(spec)
	// Without any value the chart is still one that can be linted; what is required is told by its template, with the fix.
	delete(spec, "required")
	properties["spec"] = spec
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(own); err != nil {
		return err
	}
	return put(filepath.Join(chart, "values.schema.json"), out.Bytes())
}

func read(name string, into any) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// translate makes a JSON schema of the schema of a CRD, in place. Unknown fields, which an API server prunes or refuses as the client
// wishes, are refused. Rules in CEL have no counterpart: the API server checks those.
func translate(schema map[string]any) {
	if schema["x-kubernetes-int-or-string"] == true {
		delete(schema, "anyOf")
		schema["type"] = []string{"integer", "string"}
	}
	for key := range schema {
		if strings.HasPrefix(key, "x-kubernetes-") {
			delete(schema, key)
		}
	}
	if fields, ok := schema["properties"].(map[string]any); ok {
		schema["additionalProperties"] = false
		for _, field := range fields {
			translateAny(field)
		}
	}
	translateAny(schema["items"])
	translateAny(schema["additionalProperties"])
}

func translateAny(schema any) {
	if schema, ok := schema.(map[string]any); ok {
		translate(schema)
	}
}
