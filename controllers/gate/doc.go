// Package gate says whether a release may enter an environment: whether a window is open and no freeze is, whether enough
// people have approved, and whether the operator has a place free for one more rollout.
//
// It owns the three questions and the words in which a closed gate is reported. It reads nothing, writes nothing and asks no
// clock. Gates are asked before anything of a release is done in an environment; they know nothing of rollbacks, which no gate
// holds up.
package gate
