package plugin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/change"
	"github.com/mirubato/mirubato/plugin/screen"
	"github.com/mirubato/mirubato/plugin/steering"
)

func approveCommand(s *session) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "approve NAME ENVIRONMENT",
		Short: "Approve that the release at hand enters an environment",
		Long: `Shows what would change in the environment, asks, and makes an Approval in its namespace, in your name and bound to the plan
as it is now. Whoever changed the Microservice may not approve the change.`,
		GroupID: groupSteer,
		Args:    exactly("NAME", "ENVIRONMENT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.approve(cmd.Context(), args[0], args[1], "", yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// approve makes an Approval. plan is the hash of the plan that the caller has seen; empty if it is to be shown first.
func (s *session) approve(ctx context.Context, name, environment, plan string, yes bool) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	ms, err := c.microservice(ctx, name)
	if err != nil {
		return err
	}
	if !has(ms, environment) {
		return noEnvironment(ms, environment)
	}
	asking, err := awaiting(ms, environment, plan)
	if err != nil {
		return err
	}
	if err := within(ms, environment, fmt.Sprintf("kubectl mirubato why %s %s shows what to run there", name, environment)); err != nil {
		return err
	}
	approver, err := c.whoami(ctx)
	if err != nil {
		return err
	}
	if given, err := c.hasApproved(ctx, ms, asking, approver); err != nil || given {
		return errors.Join(err, s.say(fmt.Sprintf("You have approved %s for %s already.\n", asking.Target, environment)))
	}
	if !yes {
		if err := s.confirm(ctx, c, ms, asking); err != nil {
			return err
		}
	}
	approval := approvalOf(ms, asking, approver)
	if err := c.Create(ctx, approval, client.FieldOwner("kubectl-mirubato")); err != nil {
		return fmt.Errorf("making an Approval in %s: %w", asking.Namespace, err)
	}
	return s.say(fmt.Sprintf("%s approved %s for %s (approval %s in %s).\n", approver, asking.Target, environment, approval.Name, approval.Namespace))
}

// awaiting is the environment, if it waits for approvals, and of that plan if one is named.
func awaiting(ms *v1alpha1.Microservice, environment, plan string) (v1alpha1.EnvironmentStatus, error) {
	for _, e := range ms.Status.Environments {
		if e.Name != environment {
			continue
		}
		switch {
		case e.WaitingFor == nil:
			return e, fmt.Errorf("%s waits for nothing: it has verified %s", environment, e.Target)
		case e.WaitingFor.Type == v1alpha1.WaitApproval && plan != "" && plan != e.PlanHash:
			return e, fmt.Errorf("what would be done in %s has changed meanwhile; look at it again", environment)
		case e.WaitingFor.Type == v1alpha1.WaitApproval && e.PlanHash != "":
			return e, nil
		case e.WaitingFor.Type == v1alpha1.WaitPreviousEnvironment || e.WaitingFor.Type == v1alpha1.WaitWindow:
			return e, fmt.Errorf("%s does not wait for an approval yet, but for %s: %s", environment, e.WaitingFor.Type, e.WaitingFor.Message)
		}
		return e, fmt.Errorf("%s does not wait for an approval, but for %s: %s", environment, e.WaitingFor.Type, e.WaitingFor.Message)
	}
	return v1alpha1.EnvironmentStatus{}, fmt.Errorf("the operator has told nothing of %s yet", environment)
}

// whoami is the name under which the cluster knows the caller.
func (c *cluster) whoami(ctx context.Context) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, review); err != nil {
		return "", fmt.Errorf("asking the cluster who you are: %w", err)
	}
	return review.Status.UserInfo.Username, nil
}

func (c *cluster) hasApproved(ctx context.Context, ms *v1alpha1.Microservice, asking v1alpha1.EnvironmentStatus, approver string) (bool, error) {
	list := &v1alpha1.ApprovalList{}
	if err := c.List(ctx, list, client.InNamespace(asking.Namespace)); err != nil {
		return false, fmt.Errorf("reading the approvals in %s: %w", asking.Namespace, err)
	}
	wanted := approvalOf(ms, asking, approver).Spec
	for _, approval := range list.Items {
		if approval.Spec == wanted && approval.Status.State == "" {
			return true, nil
		}
	}
	return false, nil
}

func approvalOf(ms *v1alpha1.Microservice, asking v1alpha1.EnvironmentStatus, approver string) *v1alpha1.Approval {
	return &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{GenerateName: asking.Target + "-", Namespace: asking.Namespace},
		Spec: v1alpha1.ApprovalSpec{
			Microservice: v1alpha1.MicroserviceReference{Namespace: ms.Namespace, Name: ms.Name},
			Environment:  asking.Name,
			Release:      asking.Target,
			PlanHash:     asking.PlanHash,
			Approver:     approver,
		},
	}
}

// confirm shows what would change and asks.
func (s *session) confirm(ctx context.Context, c *cluster, ms *v1alpha1.Microservice, asking v1alpha1.EnvironmentStatus) error {
	releases, err := c.releases(ctx, ms)
	if err != nil {
		return err
	}
	if from, to := steering.Find(releases, asking.Verified), steering.Find(releases, asking.Target); from != nil && to != nil {
		changes, err := change.Content(from, to)
		if err != nil {
			return err
		}
		if err := s.say(screen.Changes(from.Name, to.Name, changes)); err != nil {
			return err
		}
	}
	return s.ask(fmt.Sprintf("Let %s enter %s of %s?", asking.Target, asking.Name, ms.Name))
}

// ask goes on only with a yes.
func (s *session) ask(question string) error {
	if err := s.say(question + " [y/N] "); err != nil {
		return err
	}
	answer, err := bufio.NewReader(s.streams.In).ReadString('\n')
	if err != nil && answer == "" {
		return usage("nobody answers; use --yes where no person is")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done")
}
