package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// origin is which sources a release is made from.
type origin struct {
	// Revision is that of the version control, with -dirty behind it where files differ from it.
	Revision string
	// Created is the time that everything made carries.
	Created time.Time
}

// Environment variables that take the place of git, as in an unpacked archive of the sources.
const (
	epochVariable    = "SOURCE_DATE_EPOCH"
	revisionVariable = "REVISION"
)

var errOrigin = errors.New("git does not know these sources; set " + revisionVariable + " to where they come from and " +
	epochVariable + " to the seconds since 1970 that everything is to carry as its time")

// findOrigin asks the environment, then git.
func findOrigin(ctx context.Context, repository string, getenv func(string) string) (origin, error) {
	out := origin{Revision: getenv(revisionVariable)}
	epoch := getenv(epochVariable)
	if out.Revision == "" {
		head, err := git(ctx, repository, "rev-parse", "HEAD")
		if err != nil {
			return origin{}, fmt.Errorf("%w: %w", errOrigin, err)
		}
		changed, err := git(ctx, repository, "status", "--porcelain")
		if err != nil {
			return origin{}, err
		}
		out.Revision = head
		if changed != "" {
			out.Revision += "-dirty"
		}
	}
	if epoch == "" {
		committed, err := git(ctx, repository, "log", "-1", "--format=%ct")
		if err != nil {
			return origin{}, fmt.Errorf("%w: %w", errOrigin, err)
		}
		epoch = committed
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return origin{}, fmt.Errorf("%s is %q; it must be a number of seconds since 1970", epochVariable, epoch)
	}
	out.Created = time.Unix(seconds, 0).UTC()
	return out, nil
}

// git asks about a checkout that may belong to somebody else, as it does in a container.
func git(ctx context.Context, repository string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=*", "-C", repository}, arguments...)...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("asking git: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
