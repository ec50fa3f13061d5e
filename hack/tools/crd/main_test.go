package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const generated = `kind: CustomResourceDefinition
schema:
  description: |-
    A thing
    of two lines.
  properties:
    apiVersion:
      description: |-
        APIVersion is the version of
        the schema. Servers convert it.
      type: string
    conditions:
      description: conditions of it. There are three.
      items:
        description: One of them.
        properties:
          reason:
            description: |-
              reason is a word.
              It is not empty.
            type: string
    workload:
      description: workload is how pods run.
      properties:
        replicas:
          description: replicas of it.
          format: int32
          maximum: 500
          minimum: 1
          type: integer
      type: object
    secretRef:
      description: secretRef names a Secret.
      properties:
        name:
          description: name of the Secret.
          type: string
      type: object
    previousSecretRef:
      description: previousSecretRef names the one before.
      properties:
        name:
          description: name of the Secret.
          type: string
      type: object
    overrides:
      description: overrides differ.
      properties:
        workload:
          description: workload differs.
          properties:
            description:
              description: a field of this name stays.
              type: string
            replicas:
              description: replicas of it.
              minimum: 1
              type: integer
          type: object
          x-kubernetes-validations:
          - message: not both
            rule: '!has(self.a) || !has(self.b)'
      type: object
`

const shipped = `kind: CustomResourceDefinition
schema:
  description: |-
    A thing
    of two lines.
  properties:
    apiVersion: {description: APIVersion is the version of the schema., type: string}
    conditions: {description: conditions of it. There are three., items: {properties: {reason: {description: reason is a word., type: string}}}}
    workload: {description: workload is how pods run., properties: {replicas: {description: replicas of it., maximum: 500, minimum: 1, type: integer}}, type: object}
    secretRef: {description: secretRef names a Secret., properties: {name: {description: name of the Secret., type: string}}, type: object}
    previousSecretRef: {description: previousSecretRef names the one before., properties: {name: {type: string}}, type: object}
    overrides: {description: overrides differ., properties: {workload: {description: workload differs., properties: {description: {type: string}, replicas: {minimum: 1, type: integer}}, type: object, x-kubernetes-validations: [{message: not both, rule: '!has(self.a) || !has(self.b)'}]}}, type: object}
`

func TestCompact(t *testing.T) {
	got, err := compact([]byte(generated))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(shipped, string(got)); diff != "" {
		t.Errorf("compact (-want +got):\n%s", diff)
	}
	again, err := compact(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(again)); diff != "" {
		t.Errorf("compact of what it wrote (-once +twice):\n%s", diff)
	}
}

// Without overrides, without what Kubernetes documents and without what is there twice, nothing but the form may change.
func TestCompactKeepsTheObject(t *testing.T) {
	text := strings.NewReplacer("overrides", "others", "apiVersion", "version", "conditions", "terms", "        description: One of them.\n", "", "          format: int32\n", "",
		"the one before.\n      properties:\n        name", "the one before.\n      properties:\n        title").Replace(generated)
	got, err := compact([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var before, after any
	if err := yaml.Unmarshal([]byte(text), &before); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(got, &after); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the object (-before +after):\n%s", diff)
	}
}
