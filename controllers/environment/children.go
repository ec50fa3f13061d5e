package environment

import (
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

// Children are the objects that an environment shall hold, besides the Jobs of its migrations.
type Children struct {
	// ServiceAccount comes first: the migration's pods run under it as well.
	ServiceAccount manifest.Manifest
	// Workload are the others, in the order in which they are written.
	Workload []manifest.Manifest
	// ConfigMap is the name of the one among them that holds the environment variables.
	ConfigMap string
	// Content is a hash of everything that the pods run with.
	Content string
	// Migration is nil for a service without a database. MigrationHash is its Hash.
	Migration     *migration.Run
	MigrationHash string
}

// Place is where an environment's objects are made.
type Place struct {
	Owner        ownership.Owner
	Namespace    string
	MigrateImage string
}

// name is that of the Microservice: one environment lives in a namespace.
func (p Place) name() string { return p.Owner.Microservice.Name }

func (p Place) labels() map[string]string { return p.Owner.Labels(ownership.ComponentAPI) }

// ChildrenOf renders content into the objects of one environment. It fails only on content that has no JSON form.
func ChildrenOf(place Place, content Content) (Children, error) {
	var out Children
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
	configMap, err := configMap(place, content)
	if err != nil {
		return Children{}, err
	}
	out.ConfigMap = *configMap.Name
	template := podTemplate(place, content, out.ConfigMap)
	if out.Content, err = manifest.Hash(template); err != nil {
		return Children{}, err
	}
	template.WithLabels(map[string]string{v1alpha1.LabelContent: out.Content})
	for _, configuration := range []any{
		configMap,
		service(place),
		disruptionBudget(place),
		deployment(place, content, template, out.MigrationHash),
	} {
		child, err := manifest.New(configuration)
		if err != nil {
			return Children{}, err
		}
		out.Workload = append(out.Workload, child)
	}
	return out, nil
}

func migrationRun(place Place, content Content) *migration.Run {
	if content.Database == nil {
		return nil
	}
	return &migration.Run{
		Owner:            place.Owner,
		Namespace:        place.Namespace,
		ServiceAccount:   place.name(),
		Release:          content.Release,
		Image:            content.Image,
		MigrateImage:     place.MigrateImage,
		ImagePullSecrets: content.ImagePullSecrets,
		Secret:           content.Database.MigrationSecret,
		Options:          content.Database.Migrations,
	}
}

func serviceAccount(place Place) *corev1ac.ServiceAccountApplyConfiguration {
	return corev1ac.ServiceAccount(place.name(), place.Namespace).
		WithLabels(place.labels()).
		WithAutomountServiceAccountToken(false)
}

// configMap holds the environment variables. It is immutable and named after its content, so that a pod of an older
// release that is restarted during a rollout reads what it ran with before.
func configMap(place Place, content Content) (*corev1ac.ConfigMapApplyConfiguration, error) {
	data := map[string]string{}
	for _, variable := range content.Env {
		data[variable.Name] = variable.Value
	}
	// After the user's, so that what the contract gives a meaning to means it.
	data[contract.EnvEnvironment] = place.Owner.Environment
	data[contract.EnvRelease] = content.Release
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
	hash, err := manifest.Hash(data)
	if err != nil {
		return nil, err
	}
	return corev1ac.ConfigMap(place.name()+"-"+hash, place.Namespace).
		WithLabels(place.labels()).
		WithAnnotations(map[string]string{v1alpha1.AnnotationRelease: content.Release}).
		WithImmutable(true).
		WithData(data), nil
}

// memoryTarget leaves a tenth of the limit to what the Go runtime does not count.
func memoryTarget(content Content) int64 {
	limit := content.Limits[corev1.ResourceMemory]
	return limit.Value() / 10 * 9
}

func service(place Place) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service(place.name(), place.Namespace).
		WithLabels(place.labels()).
		WithSpec(corev1ac.ServiceSpec().
			WithSelector(place.Owner.Selector(ownership.ComponentAPI)).
			WithPorts(corev1ac.ServicePort().
				WithName(portAPI).
				WithAppProtocol("http").
				WithProtocol(corev1.ProtocolTCP).
				WithPort(ServicePort).
				WithTargetPort(intstr.FromString(portAPI))))
}

func disruptionBudget(place Place) *policyv1ac.PodDisruptionBudgetApplyConfiguration {
	return policyv1ac.PodDisruptionBudget(place.name(), place.Namespace).
		WithLabels(place.labels()).
		WithSpec(policyv1ac.PodDisruptionBudgetSpec().
			WithMaxUnavailable(intstr.FromInt32(1)).
			// A pod that is not ready serves nobody: keeping it would only block the drain of its node.
			WithUnhealthyPodEvictionPolicy(policyv1.AlwaysAllow).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(place.Owner.Selector(ownership.ComponentAPI))))
}

func deployment(place Place, content Content, template *corev1ac.PodTemplateSpecApplyConfiguration, migrationHash string) *appsv1ac.DeploymentApplyConfiguration {
	annotations := map[string]string{v1alpha1.AnnotationRelease: content.Release}
	if migrationHash != "" {
		annotations[annotationMigrated] = migrationHash
	}
	return appsv1ac.Deployment(place.name(), place.Namespace).
		WithLabels(place.labels()).
		WithAnnotations(annotations).
		WithSpec(appsv1ac.DeploymentSpec().
			WithReplicas(content.Replicas).
			WithRevisionHistoryLimit(2).
			WithProgressDeadlineSeconds(progressDeadline).
			WithSelector(metav1ac.LabelSelector().WithMatchLabels(place.Owner.Selector(ownership.ComponentAPI))).
			WithStrategy(appsv1ac.DeploymentStrategy().
				WithType(appsv1.RollingUpdateDeploymentStrategyType).
				// Nothing is taken away before its replacement is ready.
				WithRollingUpdate(appsv1ac.RollingUpdateDeployment().
					WithMaxUnavailable(intstr.FromInt32(0)).
					WithMaxSurge(intstr.FromString("25%")))).
			WithTemplate(template))
}

func podTemplate(place Place, content Content, configMap string) *corev1ac.PodTemplateSpecApplyConfiguration {
	pod := restricted.PodSpec().
		WithServiceAccountName(place.name()).
		WithTerminationGracePeriodSeconds(terminationGrace).
		WithTopologySpreadConstraints(
			spread(place, corev1.LabelTopologyZone),
			spread(place, corev1.LabelHostname))
	for _, name := range content.ImagePullSecrets {
		pod.WithImagePullSecrets(corev1ac.LocalObjectReference().WithName(name))
	}
	container := serviceContainer(content, configMap)
	for _, mount := range secretMounts(content) {
		pod.WithVolumes(restricted.SecretVolume(mount.name, mount.files...))
		container.WithVolumeMounts(corev1ac.VolumeMount().WithName(mount.name).WithMountPath(mount.dir).WithReadOnly(true))
	}
	return corev1ac.PodTemplateSpec().
		WithLabels(place.labels()).
		WithSpec(pod.WithContainers(container))
}

func spread(place Place, topology string) *corev1ac.TopologySpreadConstraintApplyConfiguration {
	return corev1ac.TopologySpreadConstraint().
		WithMaxSkew(1).
		WithTopologyKey(topology).
		WithWhenUnsatisfiable(corev1.ScheduleAnyway).
		WithLabelSelector(metav1ac.LabelSelector().WithMatchLabels(place.Owner.Selector(ownership.ComponentAPI))).
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

func probe(path string, period, failures int32) *corev1ac.ProbeApplyConfiguration {
	return corev1ac.Probe().
		WithHTTPGet(corev1ac.HTTPGetAction().WithPath(path).WithPort(intstr.FromString(portOperations))).
		WithPeriodSeconds(period).
		WithTimeoutSeconds(probeTimeout).
		WithFailureThreshold(failures)
}

// secretMount is a directory of Secrets in the service's container.
type secretMount struct {
	name, dir string
	files     []restricted.SecretFile
}

func secretMounts(content Content) []secretMount {
	var out []secretMount
	if database := content.Database; database != nil {
		out = append(out, secretMount{name: "database", dir: contract.DatabaseDir, files: []restricted.SecretFile{
			{Secret: database.Secret, Path: contract.DatabaseURLFile},
		}})
	}
	if auth := content.Auth; auth != nil {
		mount := secretMount{name: "auth", dir: contract.AuthDir}
		if auth.Secret != nil {
			mount.files = append(mount.files, restricted.SecretFile{Secret: *auth.Secret, Path: contract.AuthSecretFile})
		}
		if auth.Previous != nil {
			mount.files = append(mount.files, restricted.SecretFile{Secret: *auth.Previous, Path: contract.AuthPreviousFile})
		}
		if len(mount.files) > 0 {
			out = append(out, mount)
		}
	}
	return out
}
