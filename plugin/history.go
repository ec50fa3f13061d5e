package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/change"
	"github.com/mirubato/mirubato/plugin/screen"
	"github.com/mirubato/mirubato/plugin/steering"
)

func historyCommand(s *session) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:     "history NAME [RELEASE]",
		Short:   "The releases of a Microservice, or all evidence of one",
		GroupID: groupWatch,
		Args:    between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			_, releases, err := s.read(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(args) > 1 {
				release := steering.Find(releases, args[1])
				if release == nil {
					return noRelease(releases, args[1])
				}
				return s.release(release, out)
			}
			if out.isData() {
				return s.data(out, v1alpha1.ReleaseList{Items: releases})
			}
			return s.say(screen.History(releases, out.format == formatWide, s.now()))
		},
	}
	out.bind(cmd, formatText, formatWide, formatJSON, formatYAML)
	return cmd
}

func (s *session) release(release *v1alpha1.Release, out output) error {
	if out.isData() {
		release.ManagedFields = nil
		return s.data(out, release)
	}
	return s.say(screen.Release(release, s.now()))
}

// read connects and reads a Microservice and its releases.
func (s *session) read(ctx context.Context, name string) (*v1alpha1.Microservice, []v1alpha1.Release, error) {
	c, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	ms, err := c.microservice(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	releases, err := c.releases(ctx, ms)
	return ms, releases, err
}

func noRelease(releases []v1alpha1.Release, name string) error {
	if len(releases) == 0 {
		return fmt.Errorf("there is no release %s; none has been cut yet", name)
	}
	return fmt.Errorf("there is no release %s; those that are kept go from %s to %s, kubectl mirubato history lists them",
		name, releases[len(releases)-1].Name, releases[0].Name)
}

func diffCommand(s *session) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "diff NAME [RELEASE [RELEASE]]",
		Short: "What differs between two releases",
		Long: `What differs in content between two releases: image, workload, auth, database, settings and overrides.
With one release: from the one before it. With none: from what the last environment has verified to what the spec asks for.`,
		GroupID: groupWatch,
		Args:    between(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.validate(); err != nil {
				return err
			}
			ms, releases, err := s.read(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			from, to, err := compared(ms, releases, args[1:])
			if err != nil {
				return err
			}
			changes, err := change.Content(from, to)
			if err != nil {
				return err
			}
			if out.isData() {
				return s.data(out, map[string]any{"from": from.Name, "to": to.Name, "changes": changes})
			}
			return s.say(screen.Changes(from.Name, to.Name, changes))
		},
	}
	out.bind(cmd, formatText, formatJSON, formatYAML)
	return cmd
}

// compared are the two releases that a diff is about.
func compared(ms *v1alpha1.Microservice, releases []v1alpha1.Release, names []string) (from, to *v1alpha1.Release, err error) {
	for _, name := range names {
		if steering.Find(releases, name) == nil {
			return nil, nil, noRelease(releases, name)
		}
	}
	switch len(names) {
	case 2:
		return steering.Find(releases, names[0]), steering.Find(releases, names[1]), nil
	case 1:
		for i := range releases {
			if releases[i].Name == names[0] && i+1 < len(releases) {
				return &releases[i+1], &releases[i], nil
			}
		}
		return nil, nil, fmt.Errorf("%s is the oldest release that is kept; name the one to compare it with", names[0])
	}
	to = steering.Find(releases, ms.Status.Release)
	if n := len(ms.Status.Environments); n > 0 {
		from = steering.Find(releases, ms.Status.Environments[n-1].Verified)
	}
	if from == nil || to == nil {
		return nil, nil, fmt.Errorf("the last environment of %s has verified nothing yet; name two releases", ms.Name)
	}
	return from, to, nil
}
