// Command dockerfile proves that the repository's Dockerfile builds, and that what it builds is what `make images` makes: it has a
// container engine build every target, compares settings and programs byte by byte, and starts the programs.
//
// It owns the steps and what is compared. No registry is asked: what the Dockerfile begins with is made of Debian's packages and the Go of
// the machine. Everything lies below one directory, in which the engine works as well.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/hack/dockerfile/bases"
	"github.com/mirubato/mirubato/hack/dockerfile/buildah"
	"github.com/mirubato/mirubato/hack/dockerfile/stages"
	"github.com/mirubato/mirubato/hack/images/recipe"
	"github.com/mirubato/mirubato/hack/localcluster/progress"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "dockerfile: %v\n", err)
		os.Exit(1)
	}
}

// config is the command line.
type config struct {
	// Repository is its root; Work is the directory of the engine and of what it keeps for the next time; Images that of `make images`.
	Repository, Work, Images string
	// Version is that of the images.
	Version string
}

func newCommand() *cobra.Command {
	var c config
	command := &cobra.Command{
		Use: "dockerfile", Short: "Build the Dockerfile without a registry, and compare it with the images", Args: cobra.NoArgs,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), c, os.Stdout) },
	}
	flags := command.Flags()
	for _, flag := range []struct {
		value       *string
		name, usage string
	}{
		{&c.Repository, "repository", "root of the repository"},
		{&c.Work, "work", "directory of the container engine and of what is kept for the next time"},
		{&c.Images, "images", "directory of the images that are made without an engine"},
		{&c.Version, "version", "version of the images"},
	} {
		flags.StringVar(flag.value, flag.name, "", flag.usage+" (required)")
		if err := command.MarkFlagRequired(flag.name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return command
}

func run(ctx context.Context, c config, out io.Writer) (err error) {
	begin := time.Now()
	if err := c.complete(); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(c.Work, "log"))
	if err != nil {
		return fmt.Errorf("making the log: %w", err)
	}
	defer log.Close()
	report := progress.New(out)
	p := proof{config: c, log: io.MultiWriter(log, &steps{tell: report.Update}), report: report, out: out}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	defer p.engine.Close()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"programs of the images, without an engine", p.recipes},
		{"modules that the machine lacks", p.modules},
		{fmt.Sprintf("%s and %s, of Debian's packages and %s", p.names.Debian, p.names.Go, p.machine.Go), p.bases},
		{"the Dockerfile's stage build", p.buildStage},
	} {
		if err := p.report.Step(step.name, func() error { return step.do(ctx) }); err != nil {
			return fmt.Errorf("%w\nall that was printed is in %s", err, log.Name())
		}
	}
	problems := 0
	for _, target := range targets {
		found, err := p.target(ctx, target)
		if err != nil {
			return fmt.Errorf("%w\nall that was printed is in %s", err, log.Name())
		}
		problems += len(found)
	}
	if err := p.engine.Prune(ctx); err != nil {
		return err
	}
	if problems > 0 {
		return fmt.Errorf("the Dockerfile builds, but not what make images makes: %d differences, see above", problems)
	}
	fmt.Fprintf(out, "The Dockerfile builds what make images makes, in %s\n", time.Since(begin).Round(time.Second))
	return nil
}

// needed are the programs that are started, with the Debian packages that bring them.
var needed = map[string]string{"buildah": "buildah", "mmdebstrap": "mmdebstrap", "unshare": "util-linux", "go": "golang"}

// complete makes the paths absolute, because programs run elsewhere, and says what is missing.
func (c *config) complete() (err error) {
	if os.Geteuid() != 0 {
		return errors.New("only root can build containers of Debian's packages; call it as root")
	}
	for program, deb := range needed {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("there is no %s; on Debian: apt-get install %s", program, deb)
		}
	}
	for _, path := range []*string{&c.Repository, &c.Work, &c.Images} {
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
	}
	if err := os.MkdirAll(c.Work, 0o700); err != nil {
		return fmt.Errorf("making the working directory: %w", err)
	}
	return nil
}

// prepare reads the Dockerfile, looks at the machine and starts the engine.
func (p *proof) prepare(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(p.Repository, "Dockerfile"))
	if err != nil {
		return fmt.Errorf("reading the Dockerfile: %w", err)
	}
	file := stages.Read(string(text))
	p.names = bases.Names{Debian: file.Base("migrate"), Go: file.Base("build")}
	if p.machine, err = bases.Observe(ctx, p.Repository); err != nil {
		return err
	}
	if !strings.HasSuffix(p.names.Go, "-"+p.machine.Codename) {
		return fmt.Errorf("the Dockerfile begins with %s, and this machine can make images of Debian %q only; call it on the other release of Debian",
			p.names.Go, p.machine.Codename)
	}
	if wanted := "golang:" + strings.TrimPrefix(p.machine.Go, "go") + "-"; !strings.HasPrefix(p.names.Go, wanted) {
		fmt.Fprintf(p.out, "The Dockerfile names %s; this machine has %s, with which both are built here\n", p.names.Go, p.machine.Go)
	}
	p.options = recipe.Options{Repository: p.Repository, Out: p.Images, Version: p.Version}
	p.engine, err = buildah.New(ctx, p.Work, p.log)
	return err
}
