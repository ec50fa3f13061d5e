// Command release makes everything that a release of this repository consists of, in one directory: images for several architectures,
// kubectl's plugin with its Krew manifest, manifests and charts that name the images, what all of it was made of, and checksums.
//
// The same commit gives the same bytes: nothing but the sources, the compiler, and for migrate the installed Debian packages decides
// what comes out. Nothing is uploaded.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// config is the command line.
type config struct {
	// Repository is its root, Out the directory of the release, which must be empty or absent; Work is that of programs, which are kept.
	Repository, Out, Work string
	Version               string
	// Registry precedes the images' names; Source is where the sources are, Downloads where the files of a release will be.
	Registry, Source, Downloads string
}

func newCommand() *cobra.Command {
	var c config
	command := &cobra.Command{
		Use: "release", Short: "Everything that a release consists of, in one directory", Args: cobra.NoArgs,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), c) },
	}
	flags := command.Flags()
	for _, flag := range []struct {
		value       *string
		name, usage string
	}{
		{&c.Repository, "repository", "root of the repository"},
		{&c.Out, "out", "directory of the release; it must be empty, or not be there"},
		{&c.Work, "work", "directory of compiled programs, which the next run uses again"},
		{&c.Version, "version", "version, without a v"},
		{&c.Registry, "registry", "what precedes the names of the images, such as registry.example.com/mirubato"},
		{&c.Source, "source", "URL of the sources, for labels and manifests"},
		{&c.Downloads, "downloads", "URL below which the files of this release will be found"},
	} {
		flags.StringVar(flag.value, flag.name, "", flag.usage+" (required)")
		if err := command.MarkFlagRequired(flag.name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return command
}

func run(ctx context.Context, c config) error {
	if err := c.complete(); err != nil {
		return err
	}
	origin, err := findOrigin(ctx, c.Repository, os.Getenv)
	if err != nil {
		return err
	}
	fmt.Printf("Mirubato %s from %s of %s; each platform takes some minutes the first time\n", c.Version, origin.Revision, origin.Created.Format(time.RFC3339))
	r := release{config: c, origin: origin}
	for _, part := range []struct {
		what string
		make func(context.Context) error
	}{
		{"manifests and charts", r.manifests},
		{"images", r.images},
		{"kubectl mirubato", r.plugin},
		{"checksums", r.checksums},
	} {
		begin := time.Now()
		if err := part.make(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
		fmt.Printf("%6.1f s %s\n", time.Since(begin).Seconds(), part.what)
	}
	fmt.Print(r.next())
	return nil
}

// complete makes the paths absolute, because the compiler runs elsewhere, and sees to it that only this run's files are released.
func (c *config) complete() (err error) {
	for _, path := range []*string{&c.Repository, &c.Out, &c.Work} {
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
	}
	entries, err := os.ReadDir(c.Out)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("looking into the directory of the release: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty; remove it, or name another directory by --out", c.Out)
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("making the directory of the release: %w", err)
	}
	return nil
}

// release is one that is being made.
type release struct {
	config
	origin origin
	// pulled are the images by digest, as they are pulled after the upload.
	pulled []string
}

// file is the path of a file of the release.
func (r *release) file(name string) string { return filepath.Join(r.Out, name) }

// next says what to do with what was made.
func (r *release) next() string {
	return fmt.Sprintf(`
%[1]s is complete. What comes next:
  check it    (cd %[1]s && sha256sum --check SHA256SUMS)
  upload it   each image:  skopeo copy --all oci-archive:%[1]s/operator-%[2]s.tar docker://%[3]s/operator:%[2]s
              the rest:    to %[4]s
  install it  kubectl apply --server-side -f %[1]s/install.yaml
        or    helm install mirubato-operator %[1]s/mirubato-operator-%[2]s.tgz --namespace mirubato-system --create-namespace
`, r.Out, r.Version, r.Registry, r.Downloads)
}
