package traffic_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/traffic"
)

func TestIngress(t *testing.T) {
	rule := func(host string) networkingv1.IngressRule {
		prefix := networkingv1.PathTypePrefix
		return networkingv1.IngressRule{Host: host, IngressRuleValue: networkingv1.IngressRuleValue{HTTP: &networkingv1.HTTPIngressRuleValue{
			Paths: []networkingv1.HTTPIngressPath{{
				Path: "/", PathType: &prefix,
				Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
					Name: "scores", Port: networkingv1.ServiceBackendPort{Number: 80},
				}},
			}},
		}}}
	}
	for name, tc := range map[string]struct {
		spec  v1alpha1.IngressSpec
		hosts []string
		want  networkingv1.IngressSpec
	}{
		"a host":    {hosts: []string{"a.example.com"}, want: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{rule("a.example.com")}}},
		"two hosts": {hosts: []string{"a", "b"}, want: networkingv1.IngressSpec{Rules: []networkingv1.IngressRule{rule("a"), rule("b")}}},
		"everything": {
			spec:  v1alpha1.IngressSpec{ClassName: new("nginx"), TLSSecretName: new("cert"), Annotations: map[string]string{"example.com/a": "b"}},
			hosts: []string{"a"},
			want: networkingv1.IngressSpec{
				IngressClassName: new("nginx"), TLS: []networkingv1.IngressTLS{{Hosts: []string{"a"}, SecretName: "cert"}},
				Rules: []networkingv1.IngressRule{rule("a")},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			owner := ownership.Owner{Microservice: types.NamespacedName{Namespace: "mirubato", Name: "scores"}, Environment: "staging"}
			m, err := traffic.Ingress{Owner: owner, Namespace: "scores-staging", Spec: tc.spec, Hosts: tc.hosts, Port: 80}.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			got := &networkingv1.Ingress{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(m.Object().Object, got, true); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Spec); diff != "" {
				t.Errorf("Ingress (-want +got):\n%s", diff)
			}
			if of, ours := ownership.Of(got); !ours || of != owner || got.Namespace != "scores-staging" || got.Name != "scores" {
				t.Errorf("it is %s/%s of %v", got.Namespace, got.Name, of)
			}
			for key, value := range tc.spec.Annotations {
				if got.Annotations[key] != value {
					t.Errorf("annotation %s is %q, want %q", key, got.Annotations[key], value)
				}
			}
		})
	}
}
