package environment

import (
	"cmp"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	policyv1ac "k8s.io/client-go/applyconfigurations/policy/v1"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/manifest"
	"github.com/mirubato/mirubato/controllers/migration"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/controllers/restricted"
	"github.com/mirubato/mirubato/controllers/traffic"
)

// Timing of a pod's life, in seconds unless it says otherwise.
const (
	// stopDelay keeps a pod serving after it was told to stop, until every node and proxy has heard that it is leaving.
	stopDelay = 5
	// terminationGrace is stopDelay and what the service may take to finish its requests.
	terminationGrace = 35
	// startupPeriod and startupFailures allow a service two minutes to start.
	startupPeriod, startupFailures = 1, 120
	readinessPeriod, readyFailures = 2, 2
	livenessPeriod, liveFailures   = 10, 3
	probeTimeout                   = 2
	// progressDeadline is how long pods may take to become ready before the environment counts as stalled.
	progressDeadline = 300
)

// ServicePort is the port of the Service in front of the pods.
const ServicePort = 80

const (
	portAPI        = "api"
	portOperations = "operations"
	// containerService is the name of the container that runs the user's image.
	containerService = "service"
)

// Children are the objects that an environment holds when it runs one release, besides Jobs.
type Children struct {
	// ServiceAccount comes first: the migration's pods run under it as well.
	ServiceAccount manifest.Manifest
	// ConfigMap holds the environment variables of its pods.
	ConfigMap manifest.Manifest
	// NetworkPolicy limits whom its pods talk to: one, or none.
	NetworkPolicy []manifest.Manifest
	// Stable is the Deployment that all requests go to, with its PodDisruptionBudget.
	Stable []manifest.Manifest
	// Content is a hash of everything that the pods run with.
	Content string
	// Settings is a hash of the live settings, Generation their number.
	Settings   string
	Generation int64
	// Version is what the pods send in X-Release.
	Version string
	// Migration is nil for a service without a database. MigrationHash is its Hash.
	Migration     *migration.Run
	MigrationHash string

	place   Place
	content Content
}

// Place is where an environment's objects are made.
type Place struct {
	Owner        ownership.Owner
	Namespace    string
	MigrateImage string
	// OperatorNamespace is where the operator's pods are, empty if it runs in none.
	OperatorNamespace string
}

// Name is that of the Microservice: one environment lives in a namespace.
func (p Place) Name() string { return p.Owner.Microservice.Name }

// CanaryName is the name of the Deployment and the Service of the pods that run beside the others.
func (p Place) CanaryName() string { return traffic.CanaryName(p.Name()) }

func (p Place) labels() map[string]string { return p.Owner.Labels(ownership.ComponentAPI) }

// ChildrenOf renders content into the objects of one environment. It fails only on content that has no JSON form.
func ChildrenOf(place Place, content Content) (Children, error) {
	out := Children{place: place, content: content, Generation: content.Generation}
	var err error
	if out.ServiceAccount, err = manifest.New(serviceAccount(place)); err != nil {
		return Children{}, err
	}
	if run := migrationRun(place, content); run != nil {
		out.Migration = run
		if out.MigrationHash, err = run.Hash(); err != nil {
			return Children{}, err
		}
	}
	variables := variablesOf(place, content)
	// The name of the release is no part of it: pods that would run with the same need not be replaced.
	made := []any{variables, podSpec(place, content, "", ownership.ComponentAPI)}
	if content.NetworkPolicy != nil {
		made = append(made, content.NetworkPolicy)
	}
	if out.Content, err = manifest.Hash(made); err != nil {
		return Children{}, err
	}
	if out.Settings, err = manifest.Hash(content.Settings); err != nil {
		return Children{}, err
	}
	out.Version = content.Version + "-" + out.Content
	variables[contract.EnvRelease] = out.Version
	if out.ConfigMap, err = manifest.New(configMap(place, out.configMapName(), variables)); err != nil {
		return Children{}, err
	}
	if content.NetworkPolicy != nil {
		policy, err := manifest.New(networkPolicy(place, out.configMapName(), out.Content, content.NetworkPolicy))
		if err != nil {
			return Children{}, err
		}
		out.NetworkPolicy = []manifest.Manifest{policy}
	}
	for _, configuration := range []any{disruptionBudget(place), out.stable()} {
		child, err := manifest.New(configuration)
		if err != nil {
			return Children{}, err
		}
		out.Stable = append(out.Stable, child)
	}
	return out, nil
}

// Canary is the Deployment that runs beside the stable one, with its Service, and with the pods that a weight takes. They get
// requests only once they are put in service.
func (c Children) Canary(replicas, weight int32) ([]manifest.Manifest, error) {
	deployment := c.deployment(c.place.CanaryName(), ownership.ComponentCanary)
	deployment.Spec.WithReplicas(replicas)
	deployment.WithAnnotations(map[string]string{annotationWeight: strconv.Itoa(int(weight))})
	var out []manifest.Manifest
	for _, configuration := range []any{
		service(c.place, c.place.CanaryName(), c.place.Owner.Selector(ownership.ComponentCanary), ownership.ComponentCanary),
		deployment,
	} {
		child, err := manifest.New(configuration)
		if err != nil {
			return nil, err
		}
		out = append(out, child)
	}
	return out, nil
}

// AnnotationRouted says, on the Service, that an HTTPRoute leads to it.
const AnnotationRouted = "platform.mirubato.com/routed"

// Service is the one in front of the pods that the selector selects.
func Service(place Place, selector map[string]string, routed bool) (manifest.Manifest, error) {
	out := service(place, place.Name(), selector, ownership.ComponentAPI)
	if routed {
		out.WithAnnotations(map[string]string{AnnotationRouted: "true"})
	}
	return manifest.New(out)
}

func (c Children) configMapName() string { return c.place.Name() + "-" + c.Content }

func migrationRun(place Place, content Content) *migration.Run {
	if content.Database == nil {
		return nil
	}
	return &migration.Run{
		Owner:            place.Owner,
		Namespace:        place.Namespace,
		ServiceAccount:   place.Name(),
		Release:          content.Release,
		Image:            content.Image,
		MigrateImage:     place.MigrateImage,
		ImagePullSecrets: content.ImagePullSecrets,
		Secret:           content.Database.MigrationSecret,
		Options:          content.Database.Migrations,
		Backup:           content.Database.Backup.For(place.Owner),
		Rehearsal:        content.Database.Rehearsal,
		Placement:        content.Placement,
	}
}

func serviceAccount(place Place) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(place.Name(), place.Namespace).
		WithLabels(place.labels()).
		WithAutomountServiceAccountToken(false)
}

// variablesOf returns the environment variables but for the name of the release.
func variablesOf(place Place, content Content) map[string]string {
	data := map[string]string{}
	for _, variable := range content.Env {
		if variable.ConfigMapRef != nil {
			continue // the kubelet fills it in
		}
		data[variable.Name] = variable.Value
		if variable.SecretRef != nil {
			data[variable.Name] = contract.SecretFile(variable.Name)
		}
	}
	// After the user's, so that what the contract gives a meaning to means it.
	data[contract.EnvEnvironment] = place.Owner.Environment
	data[contract.EnvSettingsDir] = contract.SettingsDir
	data[contract.EnvSettingsGenerationFile] = contract.SettingsGenerationFile
	data["GOMEMLIMIT"] = strconv.FormatInt(memoryTarget(content), 10)
	if content.Database != nil {
		data[contract.EnvDatabaseURLFile] = contract.DatabaseURLFile
	}
	if auth := content.Auth; auth != nil {
		data[contract.EnvJWTIssuer] = auth.Issuer
		data[contract.EnvJWTAudience] = auth.Audience
		if auth.Secret != nil {
			data[contract.EnvJWTSecretFile] = contract.AuthSecretFile
		}
		if auth.Previous != nil {
			data[contract.EnvJWTPreviousSecretFile] = contract.AuthPreviousFile
		}
	}
	content.Storage.setVariables(data)
	return data
}

// configMap is immutable and named after the content, so that a pod of an older release that is restarted during a rollout
// reads what it ran with before.
func configMap(place Place, name string, variables map[string]string) *corev1ac.ConfigMapApplyConfiguration {
	return corev1ac.ConfigMap(name, place.Namespace).
		WithLabels(place.labels()).
		WithImmutable(true).
		WithData(variables)
}

// memoryTarget leaves a tenth of the limit to what the Go runtime does not count.
func memoryTarget(content Content) int64 {
	limit := content.Limits[corev1.ResourceMemory]
	return limit.Value() / 10 * 9
}

func service(place Place, name string, selector map[string]string, component ownership.Component) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service(name, place.Namespace).
		WithLabels(place.Owner.Labels(component)).
		WithSpec(corev1ac.ServiceSpec().
			WithSelector(selector).
			WithPorts(corev1ac.ServicePort().
				WithName(portAPI).
				WithAppProtocol("http").
				WithProtocol(corev1.ProtocolTCP).
				WithPort(ServicePort).
				WithTargetPort(intstr.FromString(portAPI))))
}

func disruptionBudget(place Place) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(place.Name(), place.Namespace).
		WithLabels(place.labels()).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			// A pod that is not ready serves nobody: keeping it would only block the drain of its node.
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(place.Owner.Selector(ownership.ComponentAPI))))
}

func (c Children) deployment(name string, component ownership.Component) *appsv1ac.DeploymentApplyConfiguration {
	annotations := map[string]string{v1alpha1.AnnotationRelease: c.content.Release, annotationSettings: c.Settings}
	if c.MigrationHash != "" {
		annotations[annotationMigrated] = c.MigrationHash
	}
	labels := c.place.Owner.Labels(component)
	labels[v1alpha1.LabelContent] = c.Content
	if component == ownership.ComponentAPI {
		labels[v1alpha1.LabelServing] = ownership.Serving
	}
	return appsv1ac.Deployment(name, c.place.Namespace).
		WithLabels(c.place.Owner.Labels(component)).
		WithAnnotations(annotations).
		WithSpec(appsv1ac.DeploymentSpec().
			WithRevisionHistoryLimit(2).
			WithProgressDeadlineSeconds(progressDeadline).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(c.place.Owner.Selector(component))).
			WithStrategy(appsv1ac.DeploymentStrategy().
				WithType(appsv1.RollingUpdateDeploymentStrategyType).
				// Nothing is taken away before its replacement is ready.
				WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
					WithMaxUnavailable(intstr.FromInt32(0)).
					WithMaxSurge(intstr.FromString("25%")))).
			WithTemplate(corev1ac.PodTemplateSpec().
				WithLabels(labels).
				WithSpec(podSpec(c.place, c.content, c.configMapName(), component))))
}

func podSpec(place Place, content Content, configMap string, component ownership.Component) *corev1ac.PodSpecApplyConfiguration {
	pod := restricted.PodSpec().
		WithServiceAccountName(place.Name()).
		WithTerminationGracePeriodSeconds(terminationGrace).
		WithTopologySpreadConstraints(
			spread(place, component, corev1.LabelTopologyZone),
			spread(place, component, corev1.LabelHostname))
	content.Placement.Apply(pod)
	for _, name := range content.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(name))
	}
	container := serviceContainer(content, configMap).WithEnv(fromConfigMaps(content)...)
	addSettings(pod, container, place)
	for _, mount := range secretMounts(content) {
		pod.WithVolumes(restricted.SecretVolume(mount.name, mount.files...))
		container.WithVolumeMounts(corev1ac.VolumeMount().WithName(mount.name).WithMountPath(mount.dir).WithReadOnly(true))
	}
	content.Storage.mount(pod, container)
	return pod.WithContainers(container)
}

func spread(place Place, component ownership.Component, topology string) *corev1ac.TopologySpreadConstraintApplyConfiguration {
	return corev1ac.TopologySpreadConstraint().
		WithMaxSkew(1).
		WithTopologyKey(topology).
		WithWhenUnsatisfiable(corev1.ScheduleAnyway).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(place.Owner.Selector(component))).
		// Old and new pods are spread by themselves; counted together, the new ones would gather where the old are not.
		WithMatchLabelKeys(appsv1.DefaultDeploymentUniqueLabelKey)
}

func serviceContainer(content Content, configMap string) *corev1ac.ContainerApplyConfiguration {
	return restricted.Container(containerService, content.Image).
		WithEnvFrom(corev1ac.EnvFromSource().WithConfigMapRef(corev1ac.ConfigMapEnvSource().WithName(configMap))).
		WithPorts(
			corev1ac.ContainerPort().WithName(portAPI).WithProtocol(corev1.ProtocolTCP).WithContainerPort(contract.APIPort),
			corev1ac.ContainerPort().WithName(portOperations).WithProtocol(corev1.ProtocolTCP).WithContainerPort(contract.OperationsPort)).
		WithResources(corev1ac.ResourceRequirements().WithRequests(content.Requests).WithLimits(content.Limits)).
		WithTerminationMessagePolicy(corev1.TerminationMessageFallbackToLogsOnError).
		WithStartupProbe(probe(contract.LivezPath, startupPeriod, startupFailures)).
		WithLivenessProbe(probe(contract.LivezPath, livenessPeriod, liveFailures)).
		WithReadinessProbe(probe(contract.ReadyzPath, readinessPeriod, readyFailures)).
		WithLifecycle(corev1ac.Lifecycle().WithPreStop(corev1ac.LifecycleHandler().
			WithSleep(corev1ac.SleepAction().WithSeconds(stopDelay))))
}

// fromConfigMaps are the variables that the kubelet takes from the user's ConfigMaps. Another order is no reason to replace pods.
func fromConfigMaps(content Content) []*corev1ac.EnvVarApplyConfiguration {
	var out []*corev1ac.EnvVarApplyConfiguration
	for _, variable := range content.Env {
		if ref := variable.ConfigMapRef; ref != nil {
			out = append(out, corev1ac.EnvVar().WithName(variable.Name).WithValueFrom(corev1ac.EnvVarSource().
				WithConfigMapKeyRef(corev1ac.ConfigMapKeySelector().WithName(ref.Name).WithKey(ref.Key))))
		}
	}
	slices.SortFunc(out, func(a, b *corev1ac.EnvVarApplyConfiguration) int { return cmp.Compare(*a.Name, *b.Name) })
	return out
}

func probe(path string, period, failures int32) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(portOperations))).
		WithPeriodSeconds(period).
		WithTimeoutSeconds(probeTimeout).
		WithFailureThreshold(failures)
}
