package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/analysis"
	"github.com/mirubato/mirubato/controllers/clusters"
	"github.com/mirubato/mirubato/controllers/gate"
	"github.com/mirubato/mirubato/controllers/microservice"
	"github.com/mirubato/mirubato/controllers/podclient"
	"github.com/mirubato/mirubato/controllers/settings"
	"github.com/mirubato/mirubato/controllers/smoke"
	"github.com/mirubato/mirubato/controllers/telemetry"
	"github.com/mirubato/mirubato/controllers/watchdog"
	"github.com/mirubato/mirubato/plugin/dashboard/incluster"
)

// leaderElectionID names the Lease, in the operator's own namespace.
const leaderElectionID = "mirubato-operator"

// settingsKeyName names the Secret with the key that settings are signed by, in the same namespace.
const settingsKeyName = "mirubato-operator-settings-key"

// run builds the operator in the order of its dependencies and serves until ctx ends.
func run(ctx context.Context, restConfig *rest.Config, config Config) error {
	var logger logr.Logger
	{
		level, err := config.level()
		if err != nil {
			return err
		}
		logger = logr.FromSlogHandler(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: level}))
		ctrl.SetLogger(logger)
		klog.SetLogger(logger) // what client-go has to say, in the same form
	}
	tracer, err := telemetry.NewTracer(config.Traces, os.Getenv("OTEL_EXPORTER_OTLP_HEADERS"), version)
	if err != nil {
		return err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { logger.Info("a trace was not sent", "err", err.Error()) }))
	defer stopTracer(context.WithoutCancel(ctx), tracer, logger)
	measured := telemetry.New(telemetry.Options{Version: version, MaxRollouts: config.MaxRollouts, Tracer: tracer})
	var mgr ctrl.Manager
	{
		// The API server's own fairness decides; a limit here would only hide a queue.
		restConfig.QPS = -1
		restConfig.Wrap(measured.Transport)
		var err error
		if mgr, err = ctrl.NewManager(restConfig, managerOptions(config, logger)); err != nil {
			return fmt.Errorf("building the manager: %w", err)
		}
		if err := microservice.RegisterIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
			return err
		}
	}
	var watch *watchdog.Watchdog
	{
		remote, err := otherClusters(mgr, measured)
		if err != nil {
			return err
		}
		signer, err := openSigner(ctx, mgr)
		if err != nil {
			return err
		}
		reconciler := newReconciler(mgr, config, remote, signer, measured)
		measured.Watch(mgr.GetCache(), mgr.Elected())
		metrics.Registry.MustRegister(reconciler.Analysis, measured)
		watch = watchdog.New(measured.Reconciler(reconciler), watchdog.QueueDepth(metrics.Registry, microservice.ControllerName), config.Patience, time.Now)
		if err := reconciler.SetupWithManager(mgr, watch, controller.Options{MaxConcurrentReconciles: config.Concurrency}); err != nil {
			return fmt.Errorf("building the controller: %w", err)
		}
	}
	if err := mgr.AddHealthzCheck("queue", watch.Check); err != nil {
		return fmt.Errorf("adding the liveness check: %w", err)
	}
	if err := mgr.AddReadyzCheck("process", healthz.Ping); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	if err := addDashboard(mgr, config, logger); err != nil {
		return err
	}
	logger.Info("starting", "version", version, "migrateImage", config.MigrateImage, "namespaces", config.Namespaces)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the controllers: %w", err)
	}
	return nil
}

// addDashboard serves one in every replica, if it is asked for.
func addDashboard(mgr ctrl.Manager, config Config, logger logr.Logger) error {
	if config.DashboardAddress == "" {
		return nil
	}
	server, err := incluster.New(incluster.Options{
		Address: config.DashboardAddress, Certificates: config.DashboardCertificates, Cache: mgr.GetCache(), Reviews: mgr.GetClient(), Log: logger,
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("adding the dashboard: %w", err)
	}
	return nil
}

// lastSpans is how long the operator waits at its end for the collector.
const lastSpans = 5 * time.Second

func stopTracer(ctx context.Context, tracer *telemetry.Tracer, logger logr.Logger) {
	ctx, cancel := context.WithTimeout(ctx, lastSpans)
	defer cancel()
	if err := tracer.Stop(ctx); err != nil {
		logger.Info("a trace was not sent", "err", err.Error())
	}
}

func newReconciler(mgr ctrl.Manager, config Config, remote *clusters.Clusters, signer *settings.Signer, measured *telemetry.Recorder) *microservice.Reconciler {
	pods := podclient.NewThrough(remote.Dial)
	return &microservice.Reconciler{
		Client:            mgr.GetClient(),
		Live:              mgr.GetAPIReader(),
		OwnedBy:           microservice.OwnedByIndex,
		Events:            mgr.GetEventRecorder("mirubato-operator"),
		MigrateImage:      config.MigrateImage,
		Namespaces:        config.Namespaces,
		OperatorNamespace: podNamespace(),
		Smoke: &smoke.Executor{
			Client: pods, Endpoints: podclient.Direct{}, Reader: mgr.GetAPIReader(), Writer: mgr.GetClient(), Now: time.Now,
		},
		Analysis:  analysis.NewRecorder(pods),
		Settings:  settings.NewReader(pods, signer),
		Budget:    gate.NewBudget(config.MaxRollouts),
		Claims:    gate.NewClaimants(),
		Clusters:  remote,
		Telemetry: measured,
		Now:       time.Now,
	}
}

// openSigner returns nil outside of a cluster: there is no namespace of its own for the key, so settings go by files alone.
func openSigner(ctx context.Context, mgr ctrl.Manager) (*settings.Signer, error) {
	namespace := podNamespace()
	if namespace == "" {
		return nil, nil //nolint:nilnil // a nil signer signs nothing
	}
	return settings.OpenSigner(ctx, mgr.GetAPIReader(), mgr.GetClient(), client.ObjectKey{Namespace: namespace, Name: settingsKeyName})
}

// otherClusters are connected to as long as the manager works.
func otherClusters(mgr ctrl.Manager, measured *telemetry.Recorder) (*clusters.Clusters, error) {
	options := microservice.ClusterOptions(mgr.GetAPIReader(), mgr.GetScheme())
	options.Wrap = measured.Transport
	out := clusters.New(options)
	if err := mgr.Add(out); err != nil {
		return nil, fmt.Errorf("adding the clusters: %w", err)
	}
	return out, nil
}

func managerOptions(config Config, logger logr.Logger) ctrl.Options {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return ctrl.Options{
		Scheme:                        scheme,
		Logger:                        logger,
		Metrics:                       metricsserver.Options{BindAddress: config.MetricsAddress},
		HealthProbeBindAddress:        config.ProbeAddress,
		LivenessEndpointName:          "/livez",
		LeaderElection:                config.LeaderElection,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionReleaseOnCancel: true, // the process ends when the manager does, so the successor need not wait
		Cache:                         microservice.CacheOptions(config.Namespaces),
	}
}
