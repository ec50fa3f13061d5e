package plugin

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/plugin/database"
	"github.com/mirubato/mirubato/plugin/screen"
)

func migrationsCommand(s *session) *cobra.Command {
	return databaseCommand(s, &cobra.Command{
		Use:   "migrations NAME [ENVIRONMENT]",
		Short: "Which migrations each environment has applied, and which are to come",
		Long: `What the releases that are kept tell of the database in each environment: the migrations that were applied and how long each took,
those that are pending, those of phase contract that are held until no earlier release is left, backfills, what check and lint have found and
let pass, what the rehearsal measured on a copy, and whether somebody has changed the schema by other means. No database is asked:
"mirubato-migrate status" does that, and "mirubato-migrate lint FILE" judges files that are in no release yet.`,
	}, func(ms *v1alpha1.Microservice, releases []v1alpha1.Release, environment string, out output) error {
		all := slices.DeleteFunc(database.Environments(ms, releases), func(e database.Environment) bool { return environment != "" && e.Name != environment })
		if out.isData() {
			return s.data(out, all)
		}
		return s.say(screen.Migrations(all, out.format == formatWide, s.now()))
	})
}

func backupsCommand(s *session) *cobra.Command {
	return databaseCommand(s, &cobra.Command{
		Use:   "backups NAME [ENVIRONMENT]",
		Short: "The backups that were made before migrations, and which were proved",
		Long: `The backups of the databases of a Microservice, the newest first, as the releases that are kept tell. VERDICT is "equal" for a dump, which
was restored and found equal to what was dumped, and "not restored by us" for what CloudNativePG or a VolumeSnapshot holds. KEPT says until
when one stays at its place; backups that somebody made by hand are not counted. "kubectl mirubato restore" makes a new database of a dump.`,
	}, func(ms *v1alpha1.Microservice, releases []v1alpha1.Release, environment string, out output) error {
		all := slices.DeleteFunc(database.Backups(ms, releases), func(b database.Backup) bool { return environment != "" && b.Environment != environment })
		switch {
		case out.isData():
			return s.data(out, all)
		case len(all) == 0:
			return s.say(fmt.Sprintf("No release of %s that is kept tells of a backup. database.backup of the Microservice asks for them.\n", ms.Name))
		}
		return s.say(screen.Backups(all, out.format == formatWide, s.now()))
	})
}

// databaseCommand completes a command that shows what Releases tell of all environments, or of one.
func databaseCommand(s *session, cmd *cobra.Command, show func(ms *v1alpha1.Microservice, releases []v1alpha1.Release, environment string, out output) error) *cobra.Command {
	var out output
	cmd.GroupID = groupWatch
	cmd.Args = between(1, 2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := out.validate(); err != nil {
			return err
		}
		ms, releases, err := s.read(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		environment := optional(args, 1)
		if environment != "" && !has(ms, environment) {
			return noEnvironment(ms, environment)
		}
		return show(ms, releases, environment, out)
	}
	out.bind(cmd, formatText, formatWide, formatJSON, formatYAML)
	return cmd
}
