package plugin

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"
	batchv1 "k8s.io/api/batch/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/v1alpha1"
	"github.com/mirubato/mirubato/controllers/environment"
	"github.com/mirubato/mirubato/controllers/migration"
	"github.com/mirubato/mirubato/controllers/ownership"
	"github.com/mirubato/mirubato/plugin/database"
	"github.com/mirubato/mirubato/plugin/screen"
	"github.com/mirubato/mirubato/plugin/steering"
)

// restoreFlags are those of one call.
type restoreFlags struct {
	database, secret, claim, bucket, bucketSecret, image, yes string
	timeout                                                   time.Duration
}

func restoreCommand(s *session) *cobra.Command {
	var flags restoreFlags
	cmd := &cobra.Command{
		Use:   "restore NAME ENVIRONMENT BACKUP",
		Short: "Make a new database from a backup; no database that is there is touched",
		Long: `Shows what a database made from the backup would lack, asks twice, and makes a Job in the environment's namespace, with your own
rights, that restores the backup into a new database beside the one in use and compares it with what was backed up. The new database has its
name only when it is equal. A database that is there already is refused. Nothing uses the new database until you say so: the command ends by
telling how.

The Job reads the Secret of database.migrationSecretRef; its role must be allowed to make databases, and to act as the owners of what is in
the backup. --secret names another Secret of the namespace, with the URL of a role that is. If the command is interrupted the Job
goes on; the same command again follows it.

Exit codes: 0 the database is there; 1 it was refused or differs, and is not there; 2 wrong command line; 4 not ended in time.`,
		GroupID: groupSteer,
		Args:    exactly("NAME", "ENVIRONMENT", "BACKUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.validate(args[0], args[2]); err != nil {
				return err
			}
			return s.restore(cmd.Context(), args[0], args[1], args[2], flags)
		},
	}
	cmd.Flags().StringVar(&flags.database, "database", "", "name of the database to make (required)")
	cmd.Flags().StringVar(&flags.secret, "secret", "", "NAME or NAME/KEY of another Secret with the URL of a role that may make databases")
	cmd.Flags().StringVar(&flags.claim, "claim", "", "PersistentVolumeClaim that holds the backup, if no release that is kept tells of it")
	cmd.Flags().StringVar(&flags.bucket, "bucket", "", "s3:// URL, prefix included, of the bucket that holds the backup, in place of --claim")
	cmd.Flags().StringVar(&flags.bucketSecret, "bucket-secret", "", "NAME or NAME/KEY of the Secret with the credentials of the bucket (default the one that the backup was made with)")
	cmd.Flags().StringVar(&flags.image, "image", "", "image with mirubato-migrate (default that of the operator's last Job in the namespace)")
	cmd.Flags().StringVar(&flags.yes, "yes", "", "NAME/NEW, spelled out: do not ask")
	cmd.Flags().DurationVar(&flags.timeout, "timeout", time.Hour, "how long to wait for the Job, which goes on after that")
	return cmd
}

var (
	// databaseName is what needs no quoting wherever a person writes it.
	databaseName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,49}$`)
	// bucketURL is what the operator gives to mirubato-migrate.
	bucketURL = regexp.MustCompile(`^s3://[a-z0-9][-a-z0-9.]{1,61}[a-z0-9](\?[^ #]*)?$`)
	// backupName is what mirubato-migrate calls a backup.
	backupName = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-[a-z0-9]{8}$`)
	// objectName is what the operator calls an object that stands for a backup.
	objectName = regexp.MustCompile(`^[a-z][-a-z0-9]*-backup-[0-9a-f]{10}$`)
)

func (f *restoreFlags) validate(name, backup string) error {
	switch {
	case f.database == "":
		return usage("--database is missing: name the database to make")
	case !databaseName.MatchString(f.database):
		return usage("--database %q is not possible: use a-z, 0-9, _ and -, at most 50 of them, beginning with a letter", f.database)
	case !backupName.MatchString(backup) && !objectName.MatchString(backup):
		return usage("%q is no name of a backup: they look like 20261124T020000Z-abcdefgh, and kubectl mirubato backups %s lists them", backup, name)
	case f.yes != "" && f.yes != name+"/"+f.database:
		return usage("--yes %s does not name what is asked for: that is %s/%s", f.yes, name, f.database)
	case f.timeout <= 0:
		return usage("--timeout %s is not possible: it must be above 0s", f.timeout)
	}
	return f.validatePlace()
}

func (f *restoreFlags) validatePlace() error {
	switch {
	case f.claim != "" && f.bucket != "":
		return usage("--claim and --bucket both say where the backup lies: leave one of them out")
	case f.claim != "" && f.bucketSecret != "":
		return usage("--bucket-secret has no meaning with --claim: leave it out")
	case f.bucket != "" && !bucketURL.MatchString(f.bucket): // which may hold a secret
		return usage("--bucket is not possible: it looks like s3://BUCKET?region=REGION&prefix=PREFIX/, and holds no credentials")
	}
	return nil
}

// restore makes the Job, or finds the one that is at work, and waits for its end.
func (s *session) restore(ctx context.Context, name, environmentName, backup string, flags restoreFlags) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	ms, err := c.microservice(ctx, name)
	if err != nil {
		return err
	}
	releases, err := c.releases(ctx, ms)
	if err != nil {
		return err
	}
	r, err := recoveryOf(ms, releases, environmentName, backup, flags)
	if err != nil {
		return err
	}
	job, err := c.restoreJob(ctx, r)
	if err != nil {
		return err
	}
	if job.UID == "" {
		if err := s.confirmRestore(r); err != nil {
			return err
		}
		if err := c.Create(ctx, job, client.FieldOwner("kubectl-mirubato")); err != nil {
			return fmt.Errorf("making a Job in %s: %w", r.place.Namespace, err)
		}
	}
	end, err := s.followRestore(ctx, c, job, flags.timeout)
	if err != nil {
		return err
	}
	if end.Report == nil {
		return fmt.Errorf("job %s has ended without a report%s; look at kubectl logs job/%s -n %s", job.Name, end.why(), job.Name, job.Namespace)
	}
	if failed := end.Report.Error; failed != nil {
		return fmt.Errorf("%s was not made: %s", flags.database, failed.Message)
	}
	return s.say(screen.Use(r.restored(end.Report)))
}

// recovery is a restore that was asked for, with all that is known of it.
type recovery struct {
	backup string
	// at is where the backup lies.
	at migration.Backup
	// place has no image yet.
	place environment.Place
	// content is what the environment runs, which has a database.
	content environment.Content
	loss    database.Loss
	// kept says whether the backup should still be there.
	kept  bool
	flags restoreFlags
}

// recoveryOf is pure. It refuses what cannot be.
func recoveryOf(ms *v1alpha1.Microservice, releases []v1alpha1.Release, name, backup string, flags restoreFlags) (recovery, error) {
	if !has(ms, name) {
		return recovery{}, noEnvironment(ms, name)
	}
	if err := within(ms, name, "run mirubato-migrate restore there, as docs/backups.md tells"); err != nil {
		return recovery{}, err
	}
	status := statusOf(ms, name)
	runs := steering.Find(releases, cmp.Or(status.Release, status.Target))
	if runs == nil {
		return recovery{}, fmt.Errorf("%s runs no release yet, which would tell where its database is", name)
	}
	out := recovery{
		backup: backup, at: flags.at(), flags: flags, kept: true,
		place:   environment.Place{Owner: ownership.Owner{Microservice: client.ObjectKeyFromObject(ms), Environment: name}, Namespace: status.Namespace},
		content: environment.ContentOf(runs, name, environment.Scale{}),
	}
	if out.content.Database == nil {
		return recovery{}, fmt.Errorf("%s has no database", name)
	}
	if objectName.MatchString(backup) {
		return recovery{}, elsewhere(ms, releases, name, backup)
	}
	taken, err := time.Parse("20060102T150405Z", backup[:strings.Index(backup, "-")])
	if err != nil {
		return recovery{}, usage("%q is no name of a backup: it begins with a time that there is not", backup)
	}
	var version *int64
	for _, known := range database.Backups(ms, releases) {
		if known.Environment == name && known.Name == backup {
			taken, version, out.kept = known.StartedAt.Time, &known.SchemaVersion, known.Kept()
			out.at = placeOr(out.at, known.BackupEvidence)
		}
	}
	if nowhere(out.at) {
		return recovery{}, fmt.Errorf("no release that is kept tells of a backup %s of %s: kubectl mirubato backups %s lists those that are known, and --claim or --bucket names where another one lies",
			backup, name, ms.Name)
	}
	out.loss = database.LossOf(ms, releases, name, taken, version)
	return out, nil
}

// elsewhere says how a backup is had back that is no dump.
func elsewhere(ms *v1alpha1.Microservice, releases []v1alpha1.Release, name, backup string) error {
	for _, known := range database.Backups(ms, releases) {
		if known.Environment != name || known.Name != backup {
			continue
		}
		if known.Method == v1alpha1.BackupVolumeSnapshot {
			return fmt.Errorf("%s is a VolumeSnapshot, which only a volume can be made of: "+
				"make a PersistentVolumeClaim with it as dataSource and start a new server on that (docs/backups.md)", backup)
		}
		return fmt.Errorf("%s is a Backup of CloudNativePG, which only CloudNativePG restores: "+
			"make a new Cluster that recovers from it (docs/backups.md)", backup)
	}
	return fmt.Errorf("no release that is kept tells of %s in %s, and by its name it is no dump, which restore takes: "+
		"kubectl mirubato backups %s lists those that are known", backup, name, ms.Name)
}

// at is where a person says that the backup lies.
func (f *restoreFlags) at() migration.Backup {
	return migration.Backup{Claim: f.claim, Bucket: f.bucket, Credentials: keyOf(f.bucketSecret, "credentials")}
}

func nowhere(at migration.Backup) bool { return at.Claim == "" && at.Bucket == "" }

// placeOr is where a release says that a backup lies, as far as a person has said nothing.
func placeOr(at migration.Backup, known v1alpha1.BackupEvidence) migration.Backup {
	if nowhere(at) {
		at.Claim, at.Bucket = known.ClaimName, known.Bucket
	}
	at.Credentials = cmp.Or(at.Credentials, known.SecretRef)
	return at
}

// keyOf is NAME or NAME/KEY, nil for nothing.
func keyOf(text, key string) *v1alpha1.SecretKeyReference {
	name, named, _ := strings.Cut(text, "/")
	if name == "" {
		return nil
	}
	return &v1alpha1.SecretKeyReference{Name: name, Key: cmp.Or(named, key)}
}

// secret is the one that the Job reads.
func (r recovery) secret() v1alpha1.SecretKeyReference {
	return *cmp.Or(keyOf(r.flags.secret, "url"), &r.content.Database.MigrationSecret)
}

// job is what restores, with the image that holds mirubato-migrate.
func (r recovery) job(image string) (*batchv1.Job, error) {
	place := r.place
	place.MigrateImage = image
	children, err := environment.ChildrenOf(place, r.content)
	if err != nil {
		return nil, err
	}
	run := *children.Migration
	run.Secret, run.Backup = r.secret(), &r.at
	return migration.Restore{Run: run, Backup: r.backup, Database: r.flags.database}.Job()
}

// plan says what would be done, and what would be missing.
func (r recovery) plan(now time.Time) string {
	text := screen.Loss(r.place.Owner.Environment, r.backup, r.loss, now)
	if !r.kept {
		text += "As many newer ones have been made as are retained, so it is likely to have been removed.\n"
	}
	return text + fmt.Sprintf("\nA new database %s is made of it, on the server that Secret %s in %s leads to. The database in use stays as it is.\n",
		r.flags.database, r.secret().Name, r.place.Namespace)
}

// restored is what a person is told at the end.
func (r recovery) restored(report *contract.RestoreReport) screen.Restored {
	used := r.content.Database
	secrets := []string{fmt.Sprintf("%s (key %s)", used.Secret.Name, used.Secret.Key)}
	if used.MigrationSecret != used.Secret {
		secrets = append(secrets, fmt.Sprintf("%s (key %s)", used.MigrationSecret.Name, used.MigrationSecret.Key))
	}
	return screen.Restored{
		Environment: r.place.Owner.Environment, Namespace: r.place.Namespace, Database: report.Database, Rows: report.Rows, Tables: report.TableCount,
		Took: report.Finished.Sub(report.Started), Secrets: secrets, Then: &report.SchemaVersion, Now: r.loss.Now,
	}
}

// confirmRestore says what is to be done and lets a person spell out what it is for, lest the wrong window or a line of the history do it.
func (s *session) confirmRestore(r recovery) error {
	if err := s.say(r.plan(s.now())); err != nil || r.flags.yes != "" {
		return err
	}
	in := bufio.NewReader(s.streams.In)
	for _, asked := range []struct{ what, want string }{
		{"the Microservice", r.place.Owner.Microservice.Name}, {"the new database", r.flags.database},
	} {
		if err := s.say("Type the name of " + asked.what + ": "); err != nil {
			return err
		}
		answer, err := in.ReadString('\n')
		if err != nil && answer == "" {
			return usage("nobody answers; use --yes %s/%s where no person is", r.place.Owner.Microservice.Name, r.flags.database)
		}
		if strings.TrimSpace(answer) != asked.want {
			return fmt.Errorf("nothing was done: that is not %s", asked.want)
		}
	}
	return nil
}
