package v1alpha1

// WorkloadSpec is how the pods of a service run.
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="set either replicas or autoscaling: with autoscaling the number of pods follows the load"
type WorkloadSpec struct {
	// replicas is the number of pods. Default: 2. Changing it adds or removes pods without replacing the others.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=500
	Replicas *int32 `json:"replicas,omitempty"`

	// autoscaling lets the number of pods follow the load, in place of replicas. It needs the metrics APIs of what it follows.
	// Changing it replaces no pod.
	// +optional
	Autoscaling *AutoscalingSpec `json:"autoscaling,omitempty"`

	// resources of each pod. Default: requests of 50m CPU and 64Mi memory, a limit of 256Mi memory. The service is told
	// nine tenths of its memory limit as GOMEMLIMIT.
	// +optional
	Resources *ResourceSpec `json:"resources,omitempty"`

	// env are environment variables of the service. Names that the service contract gives a meaning to cannot be set here.
	// Changing it replaces the pods.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Env []EnvironmentVariable `json:"env,omitempty"`

	// imagePullSecrets are the names of Secrets, in each environment's namespace, with which the image is pulled.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(n, n.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$'))",message="imagePullSecrets must be names of Secrets"
	ImagePullSecrets []string `json:"imagePullSecrets,omitempty"`

	// priorityClassName of the pods, which says whose pods make room first. The class must exist. Changing it replaces the pods.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="priorityClassName must be the name of a PriorityClass"
	PriorityClassName *string `json:"priorityClassName,omitempty"`

	// nodeSelector are labels that a node must have to run the service, its migrations and its tests. Changing it replaces the
	// pods.
	// +optional
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue() && !format.labelValue().validate(self[k]).hasValue())",message="nodeSelector must be made of labels, such as example.com/disk: ssd"
	NodeSelector map[string]LabelValue `json:"nodeSelector,omitempty"`

	// tolerations let the service, its migrations and its tests run on nodes that have these taints. Changing them replaces the
	// pods.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Tolerations []Toleration `json:"tolerations,omitempty"`
}

// LabelValue is the value of a label.
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// AutoscalingSpec bounds the number of pods and says what it follows.
// +kubebuilder:validation:XValidation:rule="!has(self.min) || self.min <= self.max",message="min must not be greater than max"
type AutoscalingSpec struct {
	// min is the smallest number of pods. Default: 2, or max if that is less.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=500
	Min *int32 `json:"min,omitempty"`
	// max is the largest number of pods. The database must have connections for as many.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=500
	Max int32 `json:"max"`
	// targetCPU is the share of their CPU request, in percent, that the pods are to use on average. Default: 80.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	TargetCPU *int32 `json:"targetCPU,omitempty"`
	// targetRequests is how many requests a second a pod is to answer on average: the metric http_requests_per_second of the pods
	// in the custom metrics API. Of CPU and requests, whichever takes more pods counts. Default: not followed.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	TargetRequests *int32 `json:"targetRequests,omitempty"`
}

// Toleration is a taint that pods put up with.
type Toleration struct {
	// key of the taint.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="key must be the key of a taint, such as dedicated or example.com/dedicated"
	Key string `json:"key"`
	// value of the taint. Default: any.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.labelValue().validate(self).hasValue()",message="value must be made of letters, digits, '-', '_' and '.'"
	Value *string `json:"value,omitempty"`
	// effect of the taint. Default: any.
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect *string `json:"effect,omitempty"`
}

// ResourceSpec is what a pod asks for and what it may use.
type ResourceSpec struct {
	// requests are reserved for the pod. One that is above its limit is lowered to it.
	// +optional
	Requests *ResourceAmounts `json:"requests,omitempty"`
	// limits are what the pod may not exceed: CPU is throttled, memory ends the container.
	// +optional
	Limits *ResourceAmounts `json:"limits,omitempty"`
}

// EnvironmentVariable is a variable whose value anybody may read, or the path of a file that holds a secret.
// +kubebuilder:validation:XValidation:rule="!has(self.secretRef) || has(self.secretRef.key) && !has(self.value)",message="a variable has either a value or a secretRef with name and key"
// +kubebuilder:validation:XValidation:rule="!has(self.configMapRef) || !has(self.value) && !has(self.secretRef)",message="a variable has either a value, a secretRef or a configMapRef"
type EnvironmentVariable struct {
	// name of the variable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",message="the name of a variable must be made of letters, digits and '_', not starting with a digit"
	// +kubebuilder:validation:XValidation:rule="!(self in ['ENVIRONMENT', 'RELEASE', 'DATABASE_URL', 'DATABASE_URL_FILE', 'JWT_SECRET', 'JWT_SECRET_FILE', 'JWT_PREVIOUS_SECRET', 'JWT_PREVIOUS_SECRET_FILE', 'JWT_ISSUER', 'JWT_AUDIENCE', 'GOMEMLIMIT', 'SETTINGS_DIR', 'SETTINGS_GENERATION_FILE', 'STORAGE', 'AWS_SHARED_CREDENTIALS_FILE'])",message="this variable is set by the operator: use spec.auth, spec.database, spec.storage, spec.settings or spec.workload.resources instead"
	Name string `json:"name"`
	// value of the variable.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value,omitempty"`
	// secretRef makes the variable the path of a file that holds one key of a Secret in each environment's namespace. What
	// changes in the Secret reaches the file within two minutes, without a restart.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`
	// configMapRef takes the value from a ConfigMap in each environment's namespace, when a pod starts.
	// +optional
	ConfigMapRef *ConfigMapKeyReference `json:"configMapRef,omitempty"`
}

// ConfigMapKeyReference names one key of a ConfigMap in an environment's namespace.
type ConfigMapKeyReference struct {
	// name of the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// key within the ConfigMap.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}
