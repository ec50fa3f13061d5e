package state

// Process names one process so that another one which got the same number later is not taken for it. Zero is none.
type Process struct {
	PID int `json:"pid"`
	// Started is when it started, in clock ticks since the machine did.
	Started uint64 `json:"started"`
}
