package plugin

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/database"
)

// completeNames lets the shell complete names of Microservices, environments, releases and backups, by how a command says what it takes.
func completeNames(s *session, root *cobra.Command) {
	for _, cmd := range root.Commands() {
		takes := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(cmd.Use))[1:]
		if len(takes) == 0 || takes[0] != "NAME" {
			continue
		}
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) >= len(takes) {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return s.candidates(cmd, takes[len(args)], args), cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// candidates are what an argument may be; none where the cluster does not answer.
func (s *session) candidates(cmd *cobra.Command, what string, args []string) []string {
	c, err := s.connect()
	if err != nil {
		return nil
	}
	if what == "NAME" {
		list, err := c.microservices(cmd.Context(), false)
		if err != nil {
			return nil
		}
		var names []string
		for _, ms := range list {
			names = append(names, ms.Name)
		}
		return names
	}
	ms, err := c.microservice(cmd.Context(), args[0])
	if err != nil {
		return nil
	}
	if what == "ENVIRONMENT" {
		return environmentNames(ms)
	}
	releases, err := c.releases(cmd.Context(), ms)
	if err != nil {
		return nil
	}
	if what == "BACKUP" {
		return backupNames(ms, releases, args[1])
	}
	var names []string
	for _, release := range releases {
		names = append(names, release.Name)
	}
	return names
}

// backupNames are those of the dumps of an environment that are still kept.
func backupNames(ms *v1alpha1.Microservice, releases []v1alpha1.Release, environment string) []string {
	var names []string
	for _, backup := range database.Backups(ms, releases) {
		if backup.Environment == environment && backup.Method == "" && backup.Kept() {
			names = append(names, backup.Name)
		}
	}
	return names
}
