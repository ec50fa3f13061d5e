package main

import (
	"crypto/x509"
	"os"
	"os/exec"
	"testing"
)

// TestPublicAuthoritiesAreTrusted runs as in the image, where there is no file of certificates.
func TestPublicAuthoritiesAreTrusted(t *testing.T) {
	const inImage = "TEST_IN_IMAGE"
	if os.Getenv(inImage) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), inImage+"=1", "SSL_CERT_FILE="+t.TempDir()+"/none", "SSL_CERT_DIR="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	if pool.Equal(x509.NewCertPool()) {
		t.Error("nobody is trusted: https to a registry would fail")
	}
}
