package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Strategy is how the pods of a new release take over from those of the last.
// +kubebuilder:validation:Enum=Rolling;Canary;BlueGreen
type Strategy string

// The strategies.
const (
	// StrategyRolling replaces the pods a few at a time.
	StrategyRolling Strategy = "Rolling"
	// StrategyCanary runs a few pods of the new release beside the others and gives them a growing share of the requests.
	StrategyCanary Strategy = "Canary"
	// StrategyBlueGreen runs as many pods of the new release as of the last one and moves all requests at once.
	StrategyBlueGreen Strategy = "BlueGreen"
)

// RolloutSpec is how a release passes one environment. It is no part of a release: changing it applies to the rollout that is
// under way, from its next step on.
//
// +kubebuilder:validation:XValidation:rule="!has(self.steps) || !has(self.strategy) || self.strategy == 'Canary'",message="rollout.steps are those of the strategy Canary; remove them, or set rollout.strategy to Canary"
// +kubebuilder:validation:XValidation:rule="!has(self.strategy) || self.strategy != 'Canary' || has(self.steps)",message="rollout.strategy Canary needs rollout.steps, such as [{weight: 20, hold: 1m}, {weight: 50, hold: 1m}]"
// +kubebuilder:validation:XValidation:rule="!has(self.analysis) || has(self.steps) || has(self.strategy) && self.strategy == 'BlueGreen'",message="rollout.analysis compares pods of two releases: it needs rollout.steps, or rollout.strategy BlueGreen"
type RolloutSpec struct {
	// strategy by which pods of a new release take over. Default: Canary with steps, Rolling without. The first release in an
	// environment has nothing to take over from: its pods are simply started.
	// +optional
	Strategy Strategy `json:"strategy,omitempty"`
	// steps of a canary, with rising weights. After the last one the release is promoted.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:XValidation:rule="self.map(s, s.weight).isSorted() && self.all(s, self.exists_one(t, t.weight == s.weight))",message="rollout.steps must rise: each weight must be higher than the one before"
	Steps []RolloutStep `json:"steps,omitempty"`
	// smokeTests are made of the pods: of those that still run the last release once the schema was changed, of the new ones
	// before they get any request, and of the whole environment before it counts as verified. One that fails ends the rollout.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	SmokeTests []SmokeTest `json:"smokeTests,omitempty"`
	// analysis compares the new pods with the others at every step. Without it a step ends when its hold is over and the new
	// pods are ready.
	// +optional
	Analysis *AnalysisSpec `json:"analysis,omitempty"`
	// soak is how long a release must run, all pods ready, before it counts as verified and the next environment may start.
	// Default: none. From 1s to 336h.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('336h')",message="rollout.soak must be between 1s and 336h"
	Soak *metav1.Duration `json:"soak,omitempty"`
	// stepTimeout is how long a step may wait for its pods or for an analysis without a verdict before the rollout fails, from
	// 10s to 24h. Default: 10m. Holds, soak, windows and approvals do not count.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="rollout.stepTimeout must be between 10s and 24h"
	StepTimeout *metav1.Duration `json:"stepTimeout,omitempty"`
	// approvals is how many people must approve a release, each with an Approval in the environment's namespace, before
	// anything of it is done here. Default: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=5
	Approvals int32 `json:"approvals,omitempty"`
	// windows in which a rollout may start. Default: always. One that has started goes on when its window closes.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Windows []Window `json:"windows,omitempty"`
	// freezes in which no rollout may start, whatever the windows say. Rollbacks are never held up.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Freezes []Window `json:"freezes,omitempty"`
}

// RolloutStep is a share of the requests and how long it is kept.
type RolloutStep struct {
	// weight is the share of the requests that go to the new pods, in percent. Without a gateway it is reached by the number of
	// pods, rounded up: with 2 pods of the last release, 20 means one of three.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Weight int32 `json:"weight"`
	// hold is how long the share is kept at least, from 0s to 168h. Default: 0s, which with an analysis lasts until its verdict.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('168h')",message="hold must be between 0s and 168h"
	Hold *metav1.Duration `json:"hold,omitempty"`
	// pause keeps the share until somebody resumes it: kubectl annotate microservice NAME
	// platform.mirubato.com/resume=ENVIRONMENT/TOKEN. Default: false.
	// +optional
	Pause bool `json:"pause,omitempty"` //nolint:kubeapilinter // there is no third way to wait for a person
}

// SmokeTest is a request, or a Job, that must succeed.
//
// +kubebuilder:validation:XValidation:rule="has(self.http) != has(self.job)",message="a smoke test is either http or job; set one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.http) || !has(self.timeout) || duration(self.timeout) <= duration('10s')",message="timeout of a smoke test by http must be at most 10s; use job for longer ones"
type SmokeTest struct {
	// name of the test.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",message="the name of a smoke test must be made of a-z, 0-9 and '-', starting with a letter"
	Name string `json:"name"`
	// http is a request to the pods.
	// +optional
	HTTP *HTTPTest `json:"http,omitempty"`
	// job is a container of yours that must exit with 0. It is told where to send requests by TARGET_URL, and what it tests by
	// RELEASE and ENVIRONMENT.
	// +optional
	Job *JobTest `json:"job,omitempty"`
	// timeout of one attempt, all pods together, from 100ms to 10s for http, to 1h for job. Default: 5s for http, 5m for job.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('1h')",message="timeout must be between 100ms and 1h"
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// attempts is how often the test is made before it counts as failed. Default: 3.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	Attempts *int32 `json:"attempts,omitempty"`
}

// HTTPTest is a request to every pod and what the answer must be. Its X-Release must be that of the pods under test. Redirects
// are not followed.
//
// +kubebuilder:validation:XValidation:rule="!has(self.value) || has(self.jsonPath)",message="value is what jsonPath must lead to; set jsonPath"
// +kubebuilder:validation:XValidation:rule="!has(self.jsonPath) || !has(self.method) || self.method != 'HEAD'",message="an answer to HEAD has no body in which jsonPath could be looked up; use GET"
type HTTPTest struct {
	// method of the request. Default: GET.
	// +optional
	// +kubebuilder:validation:Enum=GET;HEAD;POST;PUT;PATCH;DELETE
	Method string `json:"method,omitempty"`
	// path and query of the request.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="path must start with '/'"
	Path string `json:"path"`
	// body of the request, sent as application/json unless headersFrom names another Content-Type.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Body string `json:"body,omitempty"`
	// headersFrom names a Secret in the environment's namespace. Each of its keys is sent as a header.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	HeadersFrom string `json:"headersFrom,omitempty"`
	// status that the answer must have. Default: any of 200 to 299.
	// +optional
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=599
	Status *int32 `json:"status,omitempty"`
	// jsonPath is looked up in the body of the answer, which must be JSON, in the syntax of kubectl, such as {.data.status}.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	JSONPath string `json:"jsonPath,omitempty"`
	// value that jsonPath must lead to. Empty: anything.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value,omitempty"`
}

// JobTest is a container that is run once.
type JobTest struct {
	// image of the container. Default: the image of the release.
	// +optional
	// +kubebuilder:validation:MaxLength=500
	Image string `json:"image,omitempty"`
	// command of the container. Default: the image's entrypoint.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	Command []string `json:"command,omitempty"`
	// args of the command.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=1024
	Args []string `json:"args,omitempty"`
}

// AnalysisSpec is how the new pods are compared with the others, over the same time.
type AnalysisSpec struct {
	// interval between two readings, from 1s to 10m. Default: 10s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="analysis.interval must be between 1s and 10m"
	Interval *metav1.Duration `json:"interval,omitempty"`
	// minSamples is how many requests the new pods must have answered before they may pass. Default: 50.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MinSamples *int32 `json:"minSamples,omitempty"`
	// errorRatio judges the share of answers with a status of 500 and above.
	// +optional
	ErrorRatio *RatioRule `json:"errorRatio,omitempty"`
	// refusalRatio judges the share of answers with a status of 429, of which too strict limits make more. An analysis without
	// any rule judges errorRatio and refusalRatio.
	// +optional
	RefusalRatio *RatioRule `json:"refusalRatio,omitempty"`
	// cacheHitRatio judges how often the new pods' caches hold what they are asked for.
	// +optional
	CacheHitRatio *CacheHitRule `json:"cacheHitRatio,omitempty"`
	// latency judges how long answers take.
	// +optional
	Latency *LatencyRule `json:"latency,omitempty"`
	// metrics judge anything else that the pods or Prometheus can tell.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Metrics []MetricRule `json:"metrics,omitempty"`
	// prometheusURL is where queries of metrics are sent. Without it all figures come from the pods' own /metrics.
	// +optional
	// +kubebuilder:validation:MaxLength=500
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/?#@]+(/[^?#]*)?$')",message="analysis.prometheusURL must be http://HOST or https://HOST, without user, query and fragment"
	PrometheusURL string `json:"prometheusURL,omitempty"`
	// notEnoughData says what follows when a step ends its hold without enough requests. Wait: the step goes on, until
	// stepTimeout. Pass: it counts as passed. Fail: it counts as failed. Default: Wait.
	// +optional
	NotEnoughData AnalysisPolicy `json:"notEnoughData,omitempty"`
	// sourceDown says what follows when the figures cannot be read. Default: Wait. It never moves requests to the new pods.
	// +optional
	SourceDown SourceDownPolicy `json:"sourceDown,omitempty"`
	// syntheticTraffic is sent to the new and the old pods in equal parts while there are too few requests. It is marked by the
	// header X-Synthetic.
	// +optional
	SyntheticTraffic *SyntheticTraffic `json:"syntheticTraffic,omitempty"`
}

// AnalysisPolicy is what follows from a comparison without a verdict.
// +kubebuilder:validation:Enum=Wait;Pass;Fail
type AnalysisPolicy string

// The policies.
const (
	AnalysisWait AnalysisPolicy = "Wait"
	AnalysisPass AnalysisPolicy = "Pass"
	AnalysisFail AnalysisPolicy = "Fail"
)

// SourceDownPolicy is what follows if the figures of a comparison cannot be read. Nothing passes on figures that nobody saw.
// +kubebuilder:validation:Enum=Wait;Fail
type SourceDownPolicy string

// The policies.
const (
	SourceDownWait SourceDownPolicy = "Wait"
	SourceDownFail SourceDownPolicy = "Fail"
)

// RatioRule bounds a share of the requests.
type RatioRule struct {
	// maxPercent is the highest share in percent that is accepted whatever the others have, such as "1" or "0.5".
	// +optional
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^(100|[0-9]{1,2}([.][0-9]{1,4})?)$')",message="maxPercent must be a number from 0 to 100, such as \"0.5\""
	MaxPercent string `json:"maxPercent,omitempty"`
}

// CacheHitRule bounds the share of lookups that a cache answers.
type CacheHitRule struct {
	// minPercent is the lowest share in percent that is accepted, such as "40". New pods begin with empty caches.
	// +required
	// +kubebuilder:validation:MaxLength=8
	// +kubebuilder:validation:XValidation:rule="self.matches('^(100|[0-9]{1,2}([.][0-9]{1,4})?)$')",message="minPercent must be a number from 0 to 100, such as \"40\""
	MinPercent string `json:"minPercent"`
}

// LatencyRule bounds a quantile of the time that answers take.
type LatencyRule struct {
	// quantile in percent, from 50 to 99. Default: 99.
	// +optional
	// +kubebuilder:validation:Minimum=50
	// +kubebuilder:validation:Maximum=99
	Quantile *int32 `json:"quantile,omitempty"`
	// max is the longest time that is accepted whatever the others take.
	// +optional
	Max *metav1.Duration `json:"max,omitempty"`
	// maxIncreasePercent is how much longer than the others' it may be. Default: 20.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	MaxIncreasePercent *int32 `json:"maxIncreasePercent,omitempty"`
}

// MetricRule bounds any other figure.
//
// +kubebuilder:validation:XValidation:rule="has(self.metric) != has(self.query)",message="a metric is either metric, a name in the pods' /metrics, or query, a Prometheus query; set one of them"
// +kubebuilder:validation:XValidation:rule="has(self.min) || has(self.max)",message="set min, max or both"
type MetricRule struct {
	// name of the rule.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
	// metric is the name of a gauge or a counter of the pods. A gauge is averaged over the new pods; of a counter, the rate a
	// second is taken, added up over the new pods.
	// +optional
	// +kubebuilder:validation:MaxLength=200
	Metric string `json:"metric,omitempty"`
	// query is sent to prometheusURL. $(namespace), $(release) and $(pods), a regular expression of the new pods' names, are
	// filled in. It must lead to one number.
	// +optional
	// +kubebuilder:validation:MaxLength=2000
	Query string `json:"query,omitempty"`
	// min is the lowest accepted number.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^-?[0-9]+([.][0-9]+)?$')",message="min must be a number, such as \"0.5\""
	Min string `json:"min,omitempty"`
	// max is the highest accepted number.
	// +optional
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="self.matches('^-?[0-9]+([.][0-9]+)?$')",message="max must be a number, such as \"0.5\""
	Max string `json:"max,omitempty"`
}

// SyntheticTraffic are requests that the operator sends.
type SyntheticTraffic struct {
	// path of a GET request.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="path must start with '/'"
	Path string `json:"path"`
	// requestsPerInterval is how many are sent to each side in each interval. Default: 10.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	RequestsPerInterval *int32 `json:"requestsPerInterval,omitempty"`
}

// Window is a time that comes again and again.
type Window struct {
	// schedule is when it opens: minute, hour, day of month, month and day of week, as in cron, such as "0 9 * * MON-THU".
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.split(' ').filter(f, f != '').size() == 5 && !self.contains('=')",message="schedule must have five fields: minute, hour, day of month, month, day of week; the zone belongs into timeZone"
	Schedule string `json:"schedule"`
	// duration is how long it stays open, from 1m to 168h.
	// +required
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('168h')",message="duration must be between 1m and 168h"
	Duration metav1.Duration `json:"duration"`
	// timeZone of the schedule, a name of the IANA database such as Europe/Berlin.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}$') && self != 'Local'",message="timeZone must be a name of the IANA database, such as Europe/Berlin or UTC"
	TimeZone string `json:"timeZone"`
}
