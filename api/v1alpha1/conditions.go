package v1alpha1

// Types of conditions. Reconciling and Stalled follow kstatus: True is the exception.
const (
	// ConditionReady is True when every environment has verified the release that the spec asks for. It is False while
	// one has not, Unknown until the operator has looked.
	ConditionReady = "Ready"
	// ConditionReconciling is True while the operator is working towards Ready or waits for something that may still come.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when nothing will move until a person acts.
	ConditionStalled = "Stalled"
	// ConditionClusterReachable is False while a cluster cannot be reached that holds an environment. It is there only while
	// there is a cluster other than the operator's own.
	ConditionClusterReachable = "ClusterReachable"
)

// Reasons of conditions. A Ready or Stalled condition that waits for something has the WaitType as its reason.
const (
	// ReasonVerified: every environment has verified the release.
	ReasonVerified = "Verified"
	// ReasonProgressing: the operator is at work.
	ReasonProgressing = "Progressing"
	// ReasonNameTooLong: the namespace and the name together are too long for a label.
	ReasonNameTooLong = "NameTooLong"
	// ReasonDeleting: the object is being deleted and its children are being removed.
	ReasonDeleting = "Deleting"
	// ReasonConnected: every cluster can be reached.
	ReasonConnected = "Connected"
	// ReasonAway: a cluster cannot be reached.
	ReasonAway = "Away"
)

// Verbs are annotations that a person sets on a Microservice. Each is carried out once for each value: end the value in a token
// that was not used before, such as the time.
const (
	// VerbAbort ends the rollout in an environment and rejects the release: ENVIRONMENT/TOKEN.
	VerbAbort = "platform.mirubato.com/abort"
	// VerbRetry takes back the rejection of the release that the spec asks for, or has its contract migrations prepared anew that have
	// failed their rehearsal: TOKEN.
	VerbRetry = "platform.mirubato.com/retry"
	// VerbHold keeps an environment at the release that it has verified last, or at the one that is named:
	// ENVIRONMENT/TOKEN or ENVIRONMENT/RELEASE/TOKEN.
	VerbHold = "platform.mirubato.com/hold"
	// VerbResume lets an environment go on that is held, or whose canary step waits for it: ENVIRONMENT/TOKEN.
	VerbResume = "platform.mirubato.com/resume"
	// VerbForget gives up what is left in a cluster that does not come back: SECRET/TOKEN, with the Secret of its kubeconfig.
	VerbForget = "platform.mirubato.com/forget-cluster"
)

// Labels and annotations that the operator sets on what it makes, or reads from what others made.
const (
	// LabelMicroservice names the Microservice that an object belongs to.
	LabelMicroservice = "platform.mirubato.com/microservice"
	// LabelMicroserviceNamespace names the namespace of that Microservice.
	LabelMicroserviceNamespace = "platform.mirubato.com/microservice-namespace"
	// LabelEnvironment names the environment that an object belongs to.
	LabelEnvironment = "platform.mirubato.com/environment"
	// LabelContent tells pods of one content from those of another: it is a hash of everything that they run with.
	LabelContent = "platform.mirubato.com/content"
	// LabelMigration is a hash of what a migration Job runs.
	LabelMigration = "platform.mirubato.com/migration"
	// LabelStage is what a migration Job does: check, backup, rehearse, expand, backfill, rehearse-contract, contract.
	LabelStage = "platform.mirubato.com/stage"
	// AnnotationApplied is a hash of what the operator last wrote, so that a field that it no longer sets is noticed.
	AnnotationApplied = "platform.mirubato.com/applied"
	// LabelServing is on the pods that the Service sends requests to.
	LabelServing = "platform.mirubato.com/serving"
	// LabelSmokeTest is a hash of what a Job of a smoke test runs.
	LabelSmokeTest = "platform.mirubato.com/smoke-test"
	// AnnotationAuthor, on a Microservice, is who last changed its spec. An admission policy of the operator sets it.
	AnnotationAuthor = "platform.mirubato.com/author"
	// AnnotationSettingsReminder, on a pod, counts how often the kubelet was reminded of a generation of the settings. That it
	// changes is what reminds it; it means nothing to the pod.
	AnnotationSettingsReminder = "platform.mirubato.com/settings-reminder"
	// AnnotationRelease names the release that an object was made for.
	AnnotationRelease = "platform.mirubato.com/release"
	// ConsentPrefix and the Microservice's namespace and name, joined by a dot, are the label with which a namespace
	// consents to be an environment; its value is ConsentValue.
	ConsentPrefix = "consent.platform.mirubato.com/"
	// ConsentValue is the value of a label of consent.
	ConsentValue = "true"
	// Finalizer keeps a Microservice until what lies in other namespaces is removed.
	Finalizer = "platform.mirubato.com/children"
)
