package change

import (
	"slices"
	"strings"
)

// Cost is what a change does to an environment.
type Cost string

// The costs, from the least to the greatest.
const (
	// CostNone: nothing that runs is touched.
	CostNone Cost = "none"
	// CostRoute: requests are routed anew; no pod notices.
	CostRoute Cost = "route"
	// CostScale: pods are added or taken away, and none is replaced.
	CostScale Cost = "scale"
	// CostLive: running pods take it within a second or two, without a restart.
	CostLive Cost = "live"
	// CostRestart: the pods are replaced.
	CostRestart Cost = "restart"
	// CostMigrate: the migrations run, and then the pods are replaced.
	CostMigrate Cost = "migrate"
	// CostMove: the environment is made anew elsewhere, or for the first time.
	CostMove Cost = "create"
	// CostRemove: what was made for the environment is removed.
	CostRemove Cost = "remove"
)

// order of the costs, from the least to the greatest.
var order = []Cost{CostNone, CostRoute, CostScale, CostLive, CostRestart, CostMigrate, CostMove, CostRemove}

// costs are told by the longest prefix of a field's path, below spec or below an environment's overrides.
var costs = map[string]Cost{
	"image":                CostMigrate,
	"workload":             CostRestart,
	"workload.replicas":    CostScale,
	"workload.autoscaling": CostScale,
	"auth":                 CostRestart,
	"settings":             CostLive,
	"database":             CostMigrate,
	"storage":              CostRestart,
	"networkPolicy":        CostRestart,
	"traffic":              CostRoute,
	"paused":               CostNone,
}

// CostOf returns what a change of a field of a release, or of a Microservice outside of environments, costs.
func CostOf(path string) Cost {
	for prefix := path; prefix != ""; {
		if cost, ok := costs[prefix]; ok {
			return cost
		}
		cut := strings.LastIndexAny(prefix, ".[")
		if cut < 0 {
			break
		}
		prefix = prefix[:cut]
	}
	return CostNone
}

// Greatest returns the greatest of two costs.
func Greatest(a, b Cost) Cost {
	if slices.Index(order, a) > slices.Index(order, b) {
		return a
	}
	return b
}
