package plugin

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/v1alpha1"
)

func waitCommand(s *session) *cobra.Command {
	var environment string
	var timeout time.Duration
	var noPerson bool
	cmd := &cobra.Command{
		Use:   "wait NAME",
		Short: "Wait until the release that the spec asks for is verified; for pipelines",
		Long: `Waits until the release that the spec asks for now is verified in an environment, or in all. A change that was applied just
before is waited for, however far the operator is. Each step is told on standard error.

Exit codes: 0 verified; 3 the release was rejected; 4 not in time; 5, with --no-person, a person has to act first.`,
		GroupID: groupWatch,
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s.connect()
			if err != nil {
				return err
			}
			ms, err := c.microservice(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if environment != "" && !has(ms, environment) {
				return noEnvironment(ms, environment)
			}
			return s.wait(cmd.Context(), c, args[0], environment, timeout, noPerson)
		},
	}
	cmd.Flags().StringVarP(&environment, "environment", "e", "", "the environment that must have verified the release; all if it is left out")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Hour, "how long to wait")
	cmd.Flags().BoolVar(&noPerson, "no-person", false, "end with 5 as soon as a person has to act, as for an approval")
	return cmd
}

func (s *session) wait(ctx context.Context, c *cluster, name, environment string, timeout time.Duration, noPerson bool) error {
	told, last := "", ""
	var end error
	done, err := c.await(ctx, name, timeout, func(ms *v1alpha1.Microservice) bool {
		if last = progress(ms, environment); last != told {
			told = last
			_, _ = fmt.Fprintf(s.streams.Err, "%s %s\n", s.now().UTC().Format(time.TimeOnly), last) // a hint; the exit code is the answer
		}
		var over bool
		over, end = verdict(ms, environment, noPerson)
		return over
	})
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Canceled
	case !done:
		return coded{ExitTimeout, fmt.Errorf("not verified within %s: %s", timeout, last)}
	}
	return end
}

// progress is one line about where it is.
func progress(ms *v1alpha1.Microservice, environment string) string {
	if !isSeen(ms) {
		return "the operator has not seen the latest change yet"
	}
	for _, e := range ms.Status.Environments {
		if e.Name == environment && e.WaitingFor != nil {
			return fmt.Sprintf("%s: %s waits for %s: %s", ms.Status.Summary, e.Name, e.WaitingFor.Type, e.WaitingFor.Message)
		}
	}
	return ms.Status.Summary
}

// isSeen reports whether the status speaks of the spec as it is.
func isSeen(ms *v1alpha1.Microservice) bool {
	return ms.Status.ObservedGeneration == ms.Generation && ms.Status.Release != "" && len(ms.Status.Environments) > 0
}

// verdict says whether there is nothing left to wait for, and how it ended.
func verdict(ms *v1alpha1.Microservice, environment string, noPerson bool) (over bool, err error) {
	if !ms.DeletionTimestamp.IsZero() {
		return true, fmt.Errorf("microservice %s is being removed", ms.Name)
	}
	if !isSeen(ms) {
		return false, nil
	}
	verified := true
	for _, e := range ms.Status.Environments {
		if environment != "" && e.Name != environment {
			continue
		}
		isVerified := e.Step == v1alpha1.StepVerified && e.Target == ms.Status.Release
		if isVerified {
			continue
		}
		verified = false
		switch {
		case e.Step == v1alpha1.StepRejected || e.Step == v1alpha1.StepRollBack:
			return true, coded{ExitRejected, fmt.Errorf("%s was rejected: %s", ms.Status.Release, message(e))}
		case noPerson && needsPerson(ms, e):
			return true, coded{ExitPerson, fmt.Errorf("%s waits for a person: %s", e.Name, message(e))}
		}
	}
	return verified, nil
}

func message(e v1alpha1.EnvironmentStatus) string {
	if e.WaitingFor == nil {
		return "in " + e.Name
	}
	return e.WaitingFor.Message
}

// personal are the things that only a person brings about.
var personal = map[v1alpha1.WaitType]bool{
	v1alpha1.WaitApproval: true, v1alpha1.WaitHold: true, v1alpha1.WaitPause: true, v1alpha1.WaitRejected: true,
	v1alpha1.WaitConsent: true, v1alpha1.WaitNamespace: true, v1alpha1.WaitNameConflict: true, v1alpha1.WaitSecret: true,
	v1alpha1.WaitVolume: true, v1alpha1.WaitSettings: true,
}

func needsPerson(ms *v1alpha1.Microservice, e v1alpha1.EnvironmentStatus) bool {
	return ms.Spec.Paused || e.WaitingFor != nil && personal[e.WaitingFor.Type]
}
