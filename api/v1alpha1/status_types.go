package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MicroserviceStatus is what the operator observed and what it waits for.
type MicroserviceStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of; -1 until the operator has seen the object.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// summary says in one line where the release is in each environment.
	// +optional
	Summary string `json:"summary,omitempty"`
	// release that the spec asks for.
	// +optional
	Release string `json:"release,omitempty"`
	// handled are the tokens of the last verbs that were carried out, by verb: a verb is carried out once.
	// +optional
	Handled map[string]string `json:"handled,omitempty"`
	// conditions: Ready, and the pair Reconciling and Stalled that kstatus defines.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// clusters, other than the operator's own, that hold objects of the Microservice or may do so.
	// +optional
	// +listType=map
	// +listMapKey=secret
	// +listMapKey=key
	Clusters []ClusterStatus `json:"clusters,omitempty"`
	// environments, in the order of spec.
	// +optional
	// +listType=map
	// +listMapKey=name
	Environments []EnvironmentStatus `json:"environments,omitempty"`
}

// ClusterStatus is a cluster by its kubeconfig.
type ClusterStatus struct {
	// secret that holds it.
	// +required
	Secret string `json:"secret"`
	// key within the Secret.
	// +required
	Key string `json:"key"`
}

// Step is how far an environment has come with the release.
// +kubebuilder:validation:Enum=Admit;Check;BackUp;Rehearse;Expand;Canary;Promote;Soak;Verified;RollBack;Rejected;Superseded
type Step string

// The steps of a release in one environment, in order.
const (
	// StepAdmit: nothing has been changed yet; something must be true before it may be.
	StepAdmit Step = "Admit"
	// StepCheck: migrations, database and what passed before are held against each other.
	StepCheck Step = "Check"
	// StepBackUp: the database is dumped, and the dump restored and compared.
	StepBackUp Step = "BackUp"
	// StepRehearse: migrations run on a copy of the database.
	StepRehearse Step = "Rehearse"
	// StepExpand: migrations run; the pods are still those of the release before.
	StepExpand Step = "Expand"
	// StepCanary: pods of the release run beside those before it and get a share of the requests.
	StepCanary Step = "Canary"
	// StepPromote: pods of the release replace those before it.
	StepPromote Step = "Promote"
	// StepSoak: all pods are of the release and ready; it must stay so for a while.
	StepSoak Step = "Soak"
	// StepVerified: the next environment may start.
	StepVerified Step = "Verified"
	// StepRollBack: the release has failed; the environment goes back to the one that it verified last.
	StepRollBack Step = "RollBack"
	// StepRejected: the release has failed, here or elsewhere, and is not tried here; the environment runs another.
	StepRejected Step = "Rejected"
	// StepSuperseded: another release became the target before this one was verified.
	StepSuperseded Step = "Superseded"
)

// Effect is what a release changes in an environment.
// +kubebuilder:validation:Enum=Live;Restart;Migrate
type Effect string

// The effects, each with those before it.
const (
	// EffectLive: settings, which running pods take.
	EffectLive Effect = "Live"
	// EffectRestart: what pods are made from, so that they are replaced.
	EffectRestart Effect = "Restart"
	// EffectMigrate: the schema of the database, or where it is.
	EffectMigrate Effect = "Migrate"
)

// EnvironmentStatus is how far one environment has come.
type EnvironmentStatus struct {
	// name of the environment.
	// +required
	Name string `json:"name"`
	// namespace of the environment.
	// +required
	Namespace string `json:"namespace"`
	// target is the release that the environment is to run: the one that the spec asks for, unless it is held at another.
	// +optional
	Target string `json:"target,omitempty"`
	// step of the target.
	// +required
	Step Step `json:"step"`
	// weight of the target's pods, in percent, while they run beside others.
	// +optional
	Weight int32 `json:"weight,omitempty"`
	// effect that the target has on what runs: Live, Restart or Migrate; absent if there is none to come.
	// +optional
	Effect Effect `json:"effect,omitempty"`
	// release that all pods of the environment run; empty until the first one is complete.
	// +optional
	Release string `json:"release,omitempty"`
	// version that these pods send in the header X-Release.
	// +optional
	Version string `json:"version,omitempty"`
	// image of that release.
	// +optional
	Image string `json:"image,omitempty"`
	// verified is the release that the environment verified last: what it goes back to.
	// +optional
	Verified string `json:"verified,omitempty"`
	// held keeps the environment at a release until somebody resumes it.
	// +optional
	Held *Hold `json:"held,omitempty"`
	// planHash is what an Approval must name.
	// +optional
	PlanHash string `json:"planHash,omitempty"`
	// schemaVersion of the database after the last migration run.
	// +optional
	SchemaVersion *int64 `json:"schemaVersion,omitempty"`
	// schemaFloor is the highest contract migration applied: a release whose files end below it cannot run here any more.
	// +optional
	SchemaFloor *int64 `json:"schemaFloor,omitempty"`
	// replicas wanted.
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
	// readyReplicas are ready, of any release.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas,omitempty"`
	// settings say which pods have taken theirs; absent if there are none.
	// +optional
	Settings *SettingsStatus `json:"settings,omitempty"`
	// waitingFor says why the environment does not move; absent when it is verified.
	// +optional
	WaitingFor *WaitingFor `json:"waitingFor,omitempty"`
}

// SettingsStatus is how far settings have reached the pods of an environment.
type SettingsStatus struct {
	// generation of the settings of the stable pods: the number of their release.
	// +required
	Generation int64 `json:"generation"`
	// acknowledged are the pods that run with the generation meant for them.
	// +required
	Acknowledged int32 `json:"acknowledged"`
	// pods of the environment, those of a canary included.
	// +required
	Pods int32 `json:"pods"`
	// rejected are pods that refused theirs, the first 20 by name.
	// +optional
	// +listType=map
	// +listMapKey=pod
	Rejected []SettingsRejection `json:"rejected,omitempty"`
}

// SettingsRejection is why a pod does not take its settings.
type SettingsRejection struct {
	// pod by name.
	// +required
	Pod string `json:"pod"`
	// reason that the pod gives.
	// +required
	Reason string `json:"reason"`
}

// Hold keeps an environment at a release.
type Hold struct {
	// release that the environment is held at.
	// +required
	Release string `json:"release"`
	// since when it is held.
	// +required
	Since metav1.Time `json:"since"`
}

// WaitType says what kind of thing is waited for.
// +kubebuilder:validation:Enum=PreviousEnvironment;Namespace;Consent;NameConflict;Secret;Database;Backup;Migration;Image;Pods;Window;Budget;Approval;Hold;Pause;Step;SmokeTest;Analysis;Soak;Rejected;Registry;Gateway;Connections;Schema;Contract;Volume;Settings;Cluster
type WaitType string

// What an environment can wait for.
const (
	// WaitPreviousEnvironment: the environment before has not verified this release.
	WaitPreviousEnvironment WaitType = "PreviousEnvironment"
	// WaitNamespace: the namespace does not exist or is being deleted.
	WaitNamespace WaitType = "Namespace"
	// WaitConsent: the namespace does not carry the label by which it consents.
	WaitConsent WaitType = "Consent"
	// WaitNameConflict: an object that the operator would make exists and belongs to somebody else.
	WaitNameConflict WaitType = "NameConflict"
	// WaitSecret: a Secret, or a key of it, is missing.
	WaitSecret WaitType = "Secret"
	// WaitDatabase: the database cannot be reached, refuses the credentials, or is locked by others.
	WaitDatabase WaitType = "Database"
	// WaitBackup: a backup is made, or cannot be made.
	WaitBackup WaitType = "Backup"
	// WaitSchema: the schema does not fit the release, or the release not what the environment before has passed.
	WaitSchema WaitType = "Schema"
	// WaitContract: the release is verified, and what only earlier ones needed is removed, or will be.
	WaitContract WaitType = "Contract"
	// WaitMigration: migrations run, or have failed.
	WaitMigration WaitType = "Migration"
	// WaitImage: an image cannot be pulled, or does not start.
	WaitImage WaitType = "Image"
	// WaitPods: pods are starting.
	WaitPods WaitType = "Pods"
	// WaitWindow: no window is open, or a freeze is.
	WaitWindow WaitType = "Window"
	// WaitBudget: as many rollouts as the operator may carry out at once are under way.
	WaitBudget WaitType = "Budget"
	// WaitApproval: people have to approve.
	WaitApproval WaitType = "Approval"
	// WaitHold: somebody holds the environment at a release.
	WaitHold WaitType = "Hold"
	// WaitPause: the Microservice is paused, or the canary step is one that waits for a person.
	WaitPause WaitType = "Pause"
	// WaitStep: the hold of a canary step is not over.
	WaitStep WaitType = "Step"
	// WaitSmokeTest: a smoke test is under way.
	WaitSmokeTest WaitType = "SmokeTest"
	// WaitAnalysis: there is no verdict yet on the new pods.
	WaitAnalysis WaitType = "Analysis"
	// WaitSoak: the release must run for a while.
	WaitSoak WaitType = "Soak"
	// WaitRejected: the release has failed; it takes another one, or a retry.
	WaitRejected WaitType = "Rejected"
	// WaitRegistry: the registry does not say which digest the image's tag stands for.
	WaitRegistry WaitType = "Registry"
	// WaitGateway: the HTTPRoute cannot be made, or belongs to somebody else.
	WaitGateway WaitType = "Gateway"
	// WaitConnections: the database has too few connections for the pods that a rollout adds.
	WaitConnections WaitType = "Connections"
	// WaitVolume: the claim of the storage is missing, or cannot be shared.
	WaitVolume WaitType = "Volume"
	// WaitSettings: the generations of settings that pods use are larger together than a ConfigMap may be.
	WaitSettings WaitType = "Settings"
	// WaitCluster: the environment's cluster cannot be reached.
	WaitCluster WaitType = "Cluster"
)

// WaitingFor says what has to happen next, since when, until when, and who can make it happen.
type WaitingFor struct {
	// type of what is waited for.
	// +required
	Type WaitType `json:"type"`
	// message names the thing.
	// +required
	Message string `json:"message"`
	// since when it has been waited for.
	// +required
	Since metav1.Time `json:"since"`
	// deadline is when the operator acts again by itself, if time is what it waits for.
	// +optional
	Deadline *metav1.Time `json:"deadline,omitempty"`
	// unblock says what a person can do; empty when nothing is needed.
	// +optional
	Unblock string `json:"unblock,omitempty"`
}
