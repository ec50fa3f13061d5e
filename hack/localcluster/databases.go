package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mirubato/mirubato/hack/debian"
	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/postgres"
	"github.com/mirubato/mirubato/hack/images/recipe"
	"github.com/mirubato/mirubato/hack/localcluster/databases"
	"github.com/mirubato/mirubato/hack/localcluster/manifest"
)

func (a *app) databasesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "databases",
		Short: "Run PostgreSQL in the cluster with a database for each environment, and write how to reach them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			release, err := a.dir.Lock()
			if err != nil {
				return err
			}
			defer release()
			image, err := a.provideServer(cmd.Context())
			if err != nil {
				return err
			}
			err = a.report.Step("PostgreSQL with its databases", func() error {
				return a.deployDatabases(cmd.Context(), image)
			})
			if err != nil {
				return err
			}
			fmt.Printf("\nThe databases and how to reach them from inside the cluster: %s\n", a.dir.Databases())
			return nil
		},
	}
}

// provideServer makes the server's image and brings it into the cluster. It returns which one it is.
func (a *app) provideServer(ctx context.Context) (image archive.Identity, err error) {
	cluster, err := a.present()
	if err != nil {
		return image, err
	}
	err = a.report.Step("image of PostgreSQL", func() error {
		installation, err := postgres.Find("/")
		if errors.Is(err, postgres.ErrNotInstalled) {
			// What apt-get says is part of the error, if there is one.
			if err := debian.Ensure(ctx, io.Discard, postgres.Packages...); err != nil {
				return err
			}
			installation, err = postgres.Find("/")
		}
		if err != nil {
			return err
		}
		options := recipe.Options{
			Repository: a.dir.Repository(), Out: a.dir.Images(), Version: strconv.Itoa(installation.Major),
		}
		if _, err := recipe.Build(ctx, options, "postgres"); err != nil {
			return err
		}
		identities, err := archive.Identify(options.Archive("postgres"))
		if err != nil {
			return err
		}
		image = identities[0]
		return cluster.Load(ctx, []string{options.Archive("postgres")})
	})
	return image, err
}

func (a *app) deployDatabases(ctx context.Context, image archive.Identity) error {
	api, err := manifest.Client(a.dir.Kubeconfig())
	if err != nil {
		return err
	}
	connections, err := databases.Ensure(ctx, api, image)
	if err != nil {
		return err
	}
	return databases.Write(a.dir.Databases(), connections)
}
