package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/service/migrate"
	"github.com/mirubato/mirubato/service/migrate/lint"
)

func newCheckCommand(getenv func(string) string) *cobra.Command {
	var (
		cfg   config
		gates []string
	)
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what up would do, and what speaks against it; changes nothing",
		Long: "Say which files up would apply, and look for what stands against it: files and history that do not fit, a server or a role that\n" +
			"cannot take them, other sessions that are in the way, and what lint says about the pending files. The last line of output is\n" +
			"the report. Exit codes: 0 nothing stands against it, 1 it must not be applied, 2 wrong flags or files, 3 the same check may\n" +
			"pass later.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cfg.validateUp(); err != nil {
				return err
			}
			blocking, err := parseGates(gates)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			report, err := check(cmd.Context(), out, cfg, getenv)
			if len(report.Pending) > 0 && len(blocking) > 0 {
				err = addLint(cmd.Context(), &report, err, cfg, blocking, getenv)
			}
			return errors.Join(err, writeReport(report, migrate.FitCheckReport, out, cfg.report))
		},
	}
	cfg.addDir(cmd.Flags(), getenv)
	cfg.addUp(cmd.Flags())
	cfg.addPhase(cmd.Flags())
	cfg.addReport(cmd.Flags())
	cmd.Flags().StringSliceVar(&gates, "gates", allGates, "gates of lint whose findings block; none asks no lint")
	return cmd
}

var allGates = []string{string(contract.LintCompatibility), string(contract.LintLocks), string(contract.LintRunner)}

// parseGates returns none for none.
func parseGates(names []string) (gates []contract.LintGate, err error) {
	if slices.Equal(names, []string{"none"}) {
		return nil, nil
	}
	for _, name := range names {
		if !slices.Contains(allGates, name) {
			return nil, fmt.Errorf("--gates has %q: it must be none, or some of %s", name, strings.Join(allGates, ", "))
		}
		gates = append(gates, contract.LintGate(name))
	}
	if len(gates) == 0 {
		return nil, errors.New("--gates is empty: write none for no lint")
	}
	return gates, nil
}

// addLint judges what is pending, with all that the database knows.
func addLint(ctx context.Context, report *contract.CheckReport, checkErr error, cfg config, gates []contract.LintGate, getenv func(string) string) error {
	files, err := readFiles([]string{cfg.dir})
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f lint.File) bool {
		name := filepath.Base(f.Name)
		return slices.ContainsFunc(report.Held, func(held contract.PendingMigration) bool { return held.Name == name })
	})
	for i, f := range files {
		files[i].Name = filepath.Base(f.Name)
	}
	known, err := catalogue(ctx, files, 0, true, getenv)
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		report.Passed, report.Error = false, &failure.MigrationError
	}
	if err != nil {
		return err
	}
	return migrate.AddLint(report, checkErr, lint.Run(files, known), gates)
}

func check(ctx context.Context, out io.Writer, cfg config, getenv func(string) string) (contract.CheckReport, error) {
	work, err := cfg.openUp(getenv, slog.New(slog.NewJSONHandler(out, nil)))
	if failure, ok := errors.AsType[*migrate.Error](err); ok {
		return migrate.NewCheckReport(migrate.Phase(cfg.phase), failure), err
	}
	return migrate.Check(ctx, work)
}
