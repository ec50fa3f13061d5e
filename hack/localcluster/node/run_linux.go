package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"
)

// Run is the life of a node's first process. It must be called in new mount, PID and network namespaces by a process
// that knows nothing else. It waits until connected says that the link to the machine is laid: one byte, then the end;
// an end without a byte means that whoever starts the node gave up. Run returns when ctx ends or when the node cannot be
// set up; the process must then end, which takes all others along.
func Run(ctx context.Context, stateDir string, connected io.Reader) error {
	word, err := io.ReadAll(connected)
	if err != nil {
		return fmt.Errorf("waiting for the link to the machine: %w", err)
	}
	if len(word) == 0 {
		return errors.New("the node was given up before it was connected")
	}
	if err := mounts(stateDir); err != nil {
		return err
	}
	settings, err := readSettings()
	if err != nil {
		return err
	}
	if err := network(ctx, settings); err != nil {
		return err
	}

	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	supervisor := newSupervisor(inside("logs"), log)
	var later []component
	for _, c := range components(settings) {
		if c.afterAPI {
			later = append(later, c)
			continue
		}
		if err := supervisor.start(c); err != nil {
			return err
		}
	}
	go func() {
		awaitAPI(ctx, settings)
		for _, c := range later {
			if err := supervisor.start(c); err != nil {
				log.Error("starting", "component", c.name, "error", err)
				go supervisor.restart(c)
			}
		}
	}()
	go supervisor.supervise()
	<-ctx.Done()
	return nil
}

// awaitAPI returns when the API server is ready to serve, its built-in roles included.
func awaitAPI(ctx context.Context, settings Settings) {
	const interval = 100 * time.Millisecond
	roots := x509.NewCertPool()
	if ca, err := os.ReadFile(certificate("ca")); err == nil {
		roots.AppendCertsFromPEM(ca)
	}
	client := &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}},
	}
	for ; ; time.Sleep(interval) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, settings.URL()+"/readyz", nil)
		if err != nil {
			continue
		}
		response, err := client.Do(request)
		if err != nil {
			continue
		}
		_ = response.Body.Close() // only the status counts
		if response.StatusCode == http.StatusOK {
			return
		}
	}
}
