// Command images builds the container images of this repository as OCI archives, without a container engine or a
// registry: images build --out DIR --version V NAME...
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/hack/images/recipe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newCommand().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "images: %v\n", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "images", Short: "Container images without a container engine", SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(buildCommand())
	return root
}

func buildCommand() *cobra.Command {
	var options recipe.Options
	command := &cobra.Command{
		Use:   "build NAME...",
		Short: "Build images: " + strings.Join(recipe.Names(), ", "),
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := complete(&options); err != nil {
				return err
			}
			for _, name := range names {
				begin := time.Now()
				result, err := recipe.Build(cmd.Context(), options, name)
				if err != nil {
					return fmt.Errorf("image %s: %w", name, err)
				}
				fmt.Println(describe(result, time.Since(begin)))
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&options.Out, "out", "", "directory of the archives, named NAME-VERSION.tar (required)")
	flags.StringVar(&options.Version, "version", "", "tag of the images (required)")
	flags.StringVar(&options.Migrations, "migrations", "", "directory of SQL files that the scores image gets besides its own")
	flags.StringVar(&options.Repository, "repository", "", "root of the repository (default: the one around the working directory)")
	for _, name := range []string{"out", "version"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return command
}

// complete makes the paths absolute, because the compiler runs elsewhere, and finds the repository.
func complete(options *recipe.Options) (err error) {
	if options.Repository == "" {
		if options.Repository, err = findRepository(); err != nil {
			return err
		}
	}
	for _, path := range []*string{&options.Out, &options.Repository} {
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
	}
	return nil
}

// findRepository looks upwards from the working directory.
func findRepository() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "hack", "images")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside the repository; change into it, or name it by --repository", start)
		}
	}
}

func describe(result recipe.Result, took time.Duration) string {
	const megabyte = 1 << 20
	what := "up to date"
	if result.Written {
		what = "written"
	}
	return fmt.Sprintf("%6.1f s %s, %.1f MB, %s: %s", took.Seconds(), result.Image, float64(result.Bytes)/megabyte, what, result.Path)
}
