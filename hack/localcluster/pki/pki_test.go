package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func TestIssue(t *testing.T) {
	authority, err := NewAuthority("cluster", now)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := authority.Pair()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.Certificate) {
		t.Fatal("the authority's certificate is not PEM")
	}

	client := Request{CommonName: "system:node:a", Organizations: []string{"system:nodes"}}
	server := Request{CommonName: "kube-apiserver", DNSNames: []string{"kubernetes.default"}, IPs: []net.IP{net.IPv4(10, 96, 0, 1)}}
	for name, tc := range map[string]struct {
		request Request
		options x509.VerifyOptions
		refused bool
	}{
		"a client may be a client": {request: client, options: x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}},
		"a client may not serve":   {request: client, options: x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, refused: true},
		"a server has its name":    {request: server, options: x509.VerifyOptions{DNSName: "kubernetes.default"}},
		"a server has its address": {request: server, options: x509.VerifyOptions{DNSName: "10.96.0.1"}},
		"a server has no other":    {request: server, options: x509.VerifyOptions{DNSName: "example.com"}, refused: true},
		"valid on the last day":    {request: server, options: x509.VerifyOptions{CurrentTime: now.Add(Lifetime - time.Hour)}},
		"not valid afterwards":     {request: server, options: x509.VerifyOptions{CurrentTime: now.Add(Lifetime + time.Hour)}, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			pair, err := authority.Issue(tc.request)
			if err != nil {
				t.Fatal(err)
			}
			leaf := parse(t, pair)
			tc.options.Roots = roots
			if tc.options.CurrentTime.IsZero() {
				tc.options.CurrentTime = now
			}
			if _, err := leaf.Verify(tc.options); (err != nil) != tc.refused {
				t.Errorf("verifying: %v, want refused: %v", err, tc.refused)
			}
			got := Request{CommonName: leaf.Subject.CommonName, Organizations: leaf.Subject.Organization}
			want := Request{CommonName: tc.request.CommonName, Organizations: tc.request.Organizations}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("subject (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAuthoritiesDoNotTrustEachOther(t *testing.T) {
	ours, err := NewAuthority("cluster", now)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := NewAuthority("cluster", now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := theirs.Issue(Request{CommonName: "admin", Organizations: []string{"system:masters"}})
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ours.certificate)
	options := x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if _, err := parse(t, pair).Verify(options); err == nil {
		t.Error("a certificate of another cluster's authority was accepted")
	}
}

func TestSigningKey(t *testing.T) {
	private, public, err := SigningKey()
	if err != nil {
		t.Fatal(err)
	}
	if len(private) == 0 || len(public) == 0 {
		t.Errorf("got %d and %d bytes, want two PEM blocks", len(private), len(public))
	}
}

func parse(t testing.TB, pair Pair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		t.Fatalf("certificate and key do not belong together: %v", err)
	}
	return loaded.Leaf
}
