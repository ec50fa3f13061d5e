package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/steering"
)

// order is a verb that the operator carries out once.
type order struct {
	annotation string
	// verb is its key in status.handled.
	verb string
	// value without the token.
	value string
	// done says what has happened.
	done string
}

func abortCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "abort NAME ENVIRONMENT",
		Short:   "End the rollout in an environment and reject its release",
		GroupID: groupSteer,
		Args:    exactly("NAME", "ENVIRONMENT"),
		RunE:    func(cmd *cobra.Command, args []string) error { return s.abort(cmd.Context(), args[0], args[1]) },
	}
}

func (s *session) abort(ctx context.Context, name, environment string) error {
	return s.give(ctx, name, environment, order{
		v1alpha1.VerbAbort, "abort", environment + "/",
		"The rollout in " + environment + " is aborted, and its release rejected everywhere.",
	})
}

func retryCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "retry NAME",
		Short:   "Take back the rejection of the release that the spec asks for, or begin a removal anew that failed its rehearsal",
		GroupID: groupSteer,
		Args:    exactly("NAME"),
		RunE:    func(cmd *cobra.Command, args []string) error { return s.retry(cmd.Context(), args[0]) },
	}
}

func (s *session) retry(ctx context.Context, name string) error {
	return s.give(ctx, name, "", order{v1alpha1.VerbRetry, "retry", "", "The release is tried again."})
}

func holdCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:     "hold NAME ENVIRONMENT [RELEASE]",
		Short:   "Keep an environment at what it has verified last, or at a release",
		GroupID: groupSteer,
		Args:    between(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.hold(cmd.Context(), args[0], args[1], optional(args, 2))
		},
	}
}

// optional is an argument, or empty if it was left out.
func optional(args []string, n int) string {
	if n < len(args) {
		return args[n]
	}
	return ""
}

// hold keeps an environment at a release; empty for the one that it has verified last.
func (s *session) hold(ctx context.Context, name, environment, release string) error {
	value, at := environment+"/", "what it has verified last"
	if release != "" {
		value, at = value+release+"/", release
	}
	return s.give(ctx, name, environment, order{
		v1alpha1.VerbHold, "hold", value,
		fmt.Sprintf("%s is held at %s until: kubectl mirubato resume %s %s", environment, at, name, environment),
	})
}

func rollbackCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "rollback NAME ENVIRONMENT [RELEASE]",
		Short: "Put an environment back to an earlier release and hold it there",
		Long: `Put an environment back to a release and hold it there, so that it does not move on by itself. Without a release: to the
one that the environment had verified before the one that it runs. The schema of the database stays as it is. To put all
environments back, apply the earlier spec instead: its release is found again.`,
		GroupID: groupSteer,
		Args:    between(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.rollback(cmd.Context(), args[0], args[1], optional(args, 2))
		},
	}
}

// rollback puts an environment back to a release; empty for the one that it had verified before.
func (s *session) rollback(ctx context.Context, name, environment, to string) error {
	ms, releases, err := s.read(ctx, name)
	if err != nil {
		return err
	}
	if !has(ms, environment) {
		return noEnvironment(ms, environment)
	}
	if to != "" && steering.Find(releases, to) == nil {
		return noRelease(releases, to)
	}
	if earlier := steering.Earlier(releases, statusOf(ms, environment)); to == "" && len(earlier) > 0 {
		to = earlier[0]
	}
	if to == "" {
		return fmt.Errorf("%s has verified no release before the one that it runs; name one of kubectl mirubato history %s", environment, name)
	}
	return s.give(ctx, name, environment, order{
		v1alpha1.VerbHold, "hold", environment + "/" + to + "/",
		fmt.Sprintf("%s goes back to %s and is held there until: kubectl mirubato resume %s %s", environment, to, name, environment),
	})
}

// statusOf is what the operator has told of an environment, which may be nothing but its name.
func statusOf(ms *v1alpha1.Microservice, environment string) v1alpha1.EnvironmentStatus {
	for _, e := range ms.Status.Environments {
		if e.Name == environment {
			return e
		}
	}
	return v1alpha1.EnvironmentStatus{Name: environment}
}

func resumeCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "resume NAME [ENVIRONMENT]",
		Short: "End a pause: of the whole Microservice, of a canary step, or a hold",
		Long: `With an environment: end its hold, or let its canary step go on that waits for a person. Without one: end what
"kubectl mirubato pause" began.`,
		GroupID: groupSteer,
		Args:    between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.pause(cmd.Context(), args[0], false)
			}
			return s.resume(cmd.Context(), args[0], args[1])
		},
	}
}

func (s *session) resume(ctx context.Context, name, environment string) error {
	return s.give(ctx, name, environment, order{v1alpha1.VerbResume, "resume", environment + "/", environment + " goes on."})
}

func pauseCommand(s *session) *cobra.Command {
	return &cobra.Command{
		Use:   "pause NAME",
		Short: "Leave everything as it is, in every environment",
		Long: `Sets spec.paused: nothing is written to any environment, not even a rollback, until it is resumed. A tool that applies the
spec from elsewhere may take that back; set it there as well.`,
		GroupID: groupSteer,
		Args:    exactly("NAME"),
		RunE:    func(cmd *cobra.Command, args []string) error { return s.pause(cmd.Context(), args[0], true) },
	}
}

func (s *session) pause(ctx context.Context, name string, paused bool) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	ms, err := c.microservice(ctx, name)
	if err != nil {
		return err
	}
	state := map[bool]string{true: "paused", false: "not paused"}[paused]
	if ms.Spec.Paused == paused {
		return s.say(fmt.Sprintf("%s is %s already.\n", name, state))
	}
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"paused":%t}}`, paused))
	if err := c.Patch(ctx, ms, patch, client.FieldOwner("kubectl-mirubato")); err != nil {
		return fmt.Errorf("patching microservice %s: %w", name, err)
	}
	return s.say(fmt.Sprintf("%s is %s.\n", name, state))
}

// patience is how long an order may take to be carried out before the command stops looking. The order stays given.
const patience = 15 * time.Second

// give sets an annotation and waits until the operator has carried it out. environment is empty for a verb that concerns all.
func (s *session) give(ctx context.Context, name, environment string, o order) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	ms, err := c.microservice(ctx, name)
	if err != nil {
		return err
	}
	if environment != "" && !has(ms, environment) {
		return noEnvironment(ms, environment)
	}
	value := o.value + s.now().UTC().Format("20060102T150405.000000000Z")
	encoded, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{o.annotation: value}}})
	if err != nil {
		return fmt.Errorf("encoding the order: %w", err)
	}
	if err := c.Patch(ctx, ms, client.RawPatch(types.MergePatchType, encoded), client.FieldOwner("kubectl-mirubato")); err != nil {
		return fmt.Errorf("giving the order to microservice %s: %w", name, err)
	}
	handled, err := c.await(ctx, name, patience, func(ms *v1alpha1.Microservice) bool { return ms.Status.Handled[o.verb] == value })
	switch {
	case err != nil:
		return err
	case !handled:
		return s.say(fmt.Sprintf("The order is given, and was not carried out within %s: the operator may be away, or %s be paused. kubectl mirubato why %s tells more.\n", patience, name, name))
	}
	if refusal := c.refusal(ctx, ms, value); refusal != "" {
		return fmt.Errorf("refused: %s", refusal)
	}
	return s.say(o.done + "\n")
}

// await looks at a Microservice at every change until it is as wanted, or the time is over.
func (c *cluster) await(ctx context.Context, name string, patience time.Duration, wanted func(*v1alpha1.Microservice) bool) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	changes, stop := c.changes(ctx, false, []string{name})
	defer stop()
	for {
		ms, err := c.microservice(ctx, name)
		switch {
		case ctx.Err() != nil:
			return false, nil
		case err != nil:
			return false, err
		case wanted(ms):
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-changes:
		}
	}
}

// refusal is what the operator said of an order that it could not carry out; empty if it said nothing, or if the caller may not
// read events.
func (c *cluster) refusal(ctx context.Context, ms *v1alpha1.Microservice, value string) string {
	events := &corev1.EventList{}
	selector := fields.Set{"involvedObject.name": ms.Name, "reason": "VerbRefused"}.AsSelector()
	if err := c.List(ctx, events, client.InNamespace(ms.Namespace), client.MatchingFieldsSelector{Selector: selector}); err != nil {
		return ""
	}
	for _, event := range events.Items {
		if strings.Contains(event.Message, value) {
			return event.Message
		}
	}
	return ""
}
