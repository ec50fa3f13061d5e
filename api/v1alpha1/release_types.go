package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mirubato/mirubato/api/settings"
)

// Release is one content of a Microservice on its way through the environments: what runs, never changed, and what has
// happened to it. The operator writes it; it lies beside its Microservice and is removed with it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=rel
// +kubebuilder:printcolumn:name="Microservice",type=string,JSONPath=`.spec.microservice`
// +kubebuilder:printcolumn:name="Number",type=integer,JSONPath=`.spec.number`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Rejected",type=string,JSONPath=`.status.rejection.environment`
// +kubebuilder:printcolumn:name="Author",type=string,JSONPath=`.spec.author`,priority=1
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.image`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Release struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the content. It cannot be changed.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a release is never changed; change the Microservice, and a new one is cut"
	Spec ReleaseSpec `json:"spec"`
	// status is what has happened to the release.
	// +optional
	Status ReleaseStatus `json:"status,omitempty"`
}

// ReleaseList is a list of Releases.
//
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}

// ReleaseSpec is a content, and where it came from.
type ReleaseSpec struct {
	// microservice is the name of the Microservice, in the same namespace.
	// +required
	Microservice string `json:"microservice"`
	// number counts the releases of the Microservice, from 1.
	// +required
	// +kubebuilder:validation:Minimum=1
	Number int64 `json:"number"`
	// contentHash tells one content from another. A Microservice that returns to an earlier content returns to its release.
	// +required
	ContentHash string `json:"contentHash"`
	// version is the tag of the image, or the first digits of its digest.
	// +required
	Version string `json:"version"`
	// author is who last changed the Microservice before the release was cut, if the cluster recorded it.
	// +optional
	Author string `json:"author,omitempty"`
	// reference is the image as the Microservice named it.
	// +required
	Reference string `json:"reference"`
	// image that runs: with the digest that the tag stood for when the release was cut.
	// +required
	Image string `json:"image"`
	// workload of the Microservice, without the number of pods: that is not part of a release.
	// +optional
	Workload WorkloadSpec `json:"workload,omitempty"`
	// auth of the Microservice.
	// +optional
	Auth *AuthSpec `json:"auth,omitempty"`
	// database of the Microservice.
	// +optional
	Database *DatabaseSpec `json:"database,omitempty"`
	// storage of the Microservice.
	// +optional
	Storage *StorageSpec `json:"storage,omitempty"`
	// networkPolicy of the Microservice.
	// +optional
	NetworkPolicy *NetworkPolicySpec `json:"networkPolicy,omitempty"`
	// settings of the Microservice. The number of the release is their generation.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	Settings *settings.Settings `json:"settings,omitempty"`
	// overrides of the environments that have any.
	// +optional
	// +listType=map
	// +listMapKey=environment
	// +kubebuilder:validation:MaxItems=10
	Overrides []ReleaseOverrides `json:"overrides,omitempty"`
}

// ReleaseOverrides are what differs in one environment.
type ReleaseOverrides struct {
	// environment that the overrides are for.
	// +required
	// +kubebuilder:validation:MaxLength=40
	Environment string `json:"environment"`

	EnvironmentOverrides `json:",inline"`
}

// ReleaseStatus is what has happened to a release.
type ReleaseStatus struct {
	// active says whether it is the release that the Microservice asks for.
	// +optional
	Active bool `json:"active,omitempty"` //nolint:kubeapilinter // a fact, of which there is no third kind
	// summary says in one line how far the release has come.
	// +optional
	Summary string `json:"summary,omitempty"`
	// rejection is set once the release has failed anywhere. It is then tried nowhere until somebody retries it.
	// +optional
	Rejection *Rejection `json:"rejection,omitempty"`
	// environments that the release has come to.
	// +optional
	// +listType=map
	// +listMapKey=name
	Environments []ReleaseEnvironmentStatus `json:"environments,omitempty"`
}

// Rejection is where and why a release failed.
type Rejection struct {
	// environment in which it failed.
	// +required
	Environment string `json:"environment"`
	// step at which it failed.
	// +required
	Step Step `json:"step"`
	// reason, in one word.
	// +required
	Reason FailureReason `json:"reason"`
	// message says what was wrong.
	// +required
	Message string `json:"message"`
	// time of the failure.
	// +required
	Time metav1.Time `json:"time"`
}

// FailureReason says in one word why a release failed.
// +kubebuilder:validation:Enum=PodsNotReady;SmokeTestFailed;AnalysisFailed;Timeout;Aborted;MigrationFailed;SchemaDrifted
type FailureReason string

// Why a release fails.
const (
	// FailurePodsNotReady: its pods do not become ready.
	FailurePodsNotReady FailureReason = "PodsNotReady"
	// FailureSmokeTest: a smoke test did not succeed.
	FailureSmokeTest FailureReason = "SmokeTestFailed"
	// FailureAnalysis: it did worse than the release before.
	FailureAnalysis FailureReason = "AnalysisFailed"
	// FailureTimeout: a step did not end within stepTimeout.
	FailureTimeout FailureReason = "Timeout"
	// FailureAborted: somebody ended it.
	FailureAborted FailureReason = "Aborted"
	// FailureMigration: its migrations were refused by the check or by the database.
	FailureMigration FailureReason = "MigrationFailed"
	// FailureDrift: somebody has changed the schema while its migrations were prepared.
	FailureDrift FailureReason = "SchemaDrifted"
)

// ReleaseEnvironmentStatus is the evidence of a release in one environment.
type ReleaseEnvironmentStatus struct {
	// name of the environment.
	// +required
	Name string `json:"name"`
	// step that the release is at.
	// +required
	Step Step `json:"step"`
	// stepIndex is the number of the canary step, counted from 0.
	// +optional
	StepIndex int32 `json:"stepIndex,omitempty"`
	// weight of the new pods, in percent, that the step asks for.
	// +optional
	Weight int32 `json:"weight,omitempty"`
	// since is when the present step, or the present weight, began. Behind a gateway a weight begins when every Gateway has taken
	// it; since is absent until then.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// pendingSince is since when the step has waited for its pods or for a verdict: stepTimeout counts from then. Absent while it
	// waits for anything else.
	// +optional
	PendingSince *metav1.Time `json:"pendingSince,omitempty"`
	// resumedAt is when somebody let the present canary step go on that pauses.
	// +optional
	ResumedAt *metav1.Time `json:"resumedAt,omitempty"`
	// steps that the release has come to here, in order, each with its time; the last 20.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Steps []StepTime `json:"steps,omitempty"`
	// admittedAt is when the gates had all opened.
	// +optional
	AdmittedAt *metav1.Time `json:"admittedAt,omitempty"`
	// promotedAt is when all pods were of the release and ready.
	// +optional
	PromotedAt *metav1.Time `json:"promotedAt,omitempty"`
	// verifiedAt is when the release had soaked.
	// +optional
	VerifiedAt *metav1.Time `json:"verifiedAt,omitempty"`
	// rolledBackAt is when the environment was back at the release before.
	// +optional
	RolledBackAt *metav1.Time `json:"rolledBackAt,omitempty"`
	// soaked is how long the release has run here, all pods ready, before soakingSince. Only such time counts.
	// +optional
	Soaked *metav1.Duration `json:"soaked,omitempty"`
	// soakingSince is since when the pods have been ready without interruption, while it soaks.
	// +optional
	SoakingSince *metav1.Time `json:"soakingSince,omitempty"`
	// planHash is what an Approval must name: it changes with anything that would be done here.
	// +optional
	PlanHash string `json:"planHash,omitempty"`
	// approvedBy are the people who approved.
	// +optional
	// +listType=set
	ApprovedBy []string `json:"approvedBy,omitempty"`
	// smokeTests are the last results, by target and name.
	// +optional
	// +listType=atomic
	SmokeTests []SmokeResult `json:"smokeTests,omitempty"`
	// analysis are the last readings, at most 20.
	// +optional
	// +listType=atomic
	Analysis []AnalysisSample `json:"analysis,omitempty"`
	// database is what was done to the database, and what was found out before.
	// +optional
	Database *DatabaseEvidence `json:"database,omitempty"`
	// schemaVersion after the migrations.
	// +optional
	SchemaVersion *int64 `json:"schemaVersion,omitempty"`
}

// StepTime is when a step began. It ended when the next one did.
type StepTime struct {
	// step that began.
	// +required
	Step Step `json:"step"`
	// time when it began, in whole seconds.
	// +required
	Time metav1.Time `json:"time"`
}

// SmokeTarget is what a smoke test asks.
// +kubebuilder:validation:Enum=Stable;Canary;Environment
type SmokeTarget string

// The targets.
const (
	// SmokeStable are the pods of the release before, after the schema was changed under them.
	SmokeStable SmokeTarget = "Stable"
	// SmokeCanary are the new pods, before they get any request.
	SmokeCanary SmokeTarget = "Canary"
	// SmokeEnvironment are all pods, after the promotion.
	SmokeEnvironment SmokeTarget = "Environment"
)

// SmokeResult is how a smoke test ended.
type SmokeResult struct {
	// target that was asked.
	// +required
	Target SmokeTarget `json:"target"`
	// name of the test.
	// +required
	Name string `json:"name"`
	// passed says whether it succeeded.
	// +required
	Passed bool `json:"passed"` //nolint:kubeapilinter // a fact, of which there is no third kind
	// attempts that were made.
	// +required
	Attempts int32 `json:"attempts"`
	// message says what was wrong with the last attempt.
	// +optional
	Message string `json:"message,omitempty"`
	// time of the last attempt.
	// +required
	Time metav1.Time `json:"time"`
}

// Verdict is what a comparison of two releases comes to.
// +kubebuilder:validation:Enum=Pass;Fail;NotEnoughData;SourceDown
type Verdict string

// The verdicts.
const (
	VerdictPass          Verdict = "Pass"
	VerdictFail          Verdict = "Fail"
	VerdictNotEnoughData Verdict = "NotEnoughData"
	VerdictSourceDown    Verdict = "SourceDown"
)

// AnalysisSample is one reading, over the time since the step began.
type AnalysisSample struct {
	// time of the reading.
	// +required
	Time metav1.Time `json:"time"`
	// weight of the new pods.
	// +optional
	Weight int32 `json:"weight,omitempty"`
	// verdict on the new pods.
	// +required
	Verdict Verdict `json:"verdict"`
	// message gives the figures that led to it.
	// +optional
	Message string `json:"message,omitempty"`
	// canaryRequests that the new pods have answered.
	// +optional
	CanaryRequests int64 `json:"canaryRequests,omitempty"`
	// stableRequests that the others have answered.
	// +optional
	StableRequests int64 `json:"stableRequests,omitempty"`
	// canaryErrors are how many of canaryRequests were answered with a status of 500 or more.
	// +optional
	CanaryErrors int64 `json:"canaryErrors,omitempty"`
	// stableErrors are how many of stableRequests were answered with a status of 500 or more.
	// +optional
	StableErrors int64 `json:"stableErrors,omitempty"`
}
