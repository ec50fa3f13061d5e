package postgres

import (
	"context"
	"fmt"

	"github.com/mirubato/mirubato/hack/images/archive"
)

// Environment variables of the server image.
const (
	// DataVariable is the directory of the server's files; it is made on the first start.
	DataVariable = "PGDATA"
	// DatabasesVariable is the path of a file with a JSON array of Database: what the server shall have. Empty means
	// nothing but what PostgreSQL makes itself.
	DatabasesVariable = "DATABASES_FILE"
)

// Paths in the server image.
const (
	// SocketDir is where the server listens for the administrator. It must be writable.
	SocketDir = "/tmp"
	// accessFile says who may log in, and how.
	accessFile = "/etc/postgresql/pg_hba.conf"
	entrypoint = "/entrypoint"
)

// access lets the administrator in through the socket only, without a password; all others need theirs.
const access = `local all postgres peer
host  all all      all scram-sha-256
`

// Database is one that a server shall have, with its two users.
type Database struct {
	Name  string  `json:"name"`
	Owner Account `json:"owner"`
	// App reads and writes rows of tables that Owner makes, and can make none.
	App Account `json:"app"`
}

// Account is a user with its password.
type Account struct {
	Name     string `json:"name"`
	Password string `json:"password"`
}

// ServerArguments are the arguments without which the server of the image is not to be started. They are also the
// image's own, which is what a container gets that names none.
func ServerArguments() []string {
	return []string{"-c", "listen_addresses=*", "-c", "unix_socket_directories=" + SocketDir, "-c", "hba_file=" + accessFile}
}

// ServerImage describes the image of a server, without a name. program is the entrypoint, built from the package of
// that name.
func (i Installation) ServerImage(ctx context.Context, program string) (archive.Image, error) {
	files, err := i.Files(ctx, Server)
	if err != nil {
		return archive.Image{}, fmt.Errorf("collecting PostgreSQL %d: %w", i.Major, err)
	}
	files = append(files,
		archive.File{Path: entrypoint, Source: program, Mode: 0o755},
		archive.File{Path: accessFile, Content: []byte(access), Mode: 0o644},
	)
	return archive.Image{
		Entrypoint: []string{entrypoint},
		Arguments:  ServerArguments(),
		User:       fmt.Sprintf("%d:%d", UID, UID),
		// SIGTERM makes the server wait for its clients to leave, SIGINT makes it stop.
		StopSignal: "SIGINT",
		Environment: []string{
			"PATH=" + i.Bin() + ":/usr/bin", "LANG=C.UTF-8", DataVariable + "=/var/lib/postgresql/data",
		},
		Files: files,
	}, nil
}

// BackupImage describes the image of a program that dumps and restores databases, without a name. program, which must be linked
// statically, is put at inside. The image's root may be read-only; it needs a writable directory for its own server.
func (i Installation) BackupImage(ctx context.Context, program, inside string) (archive.Image, error) {
	files, err := i.Files(ctx, Backup)
	if err != nil {
		return archive.Image{}, fmt.Errorf("collecting PostgreSQL %d: %w", i.Major, err)
	}
	return archive.Image{
		Entrypoint:  []string{inside},
		User:        fmt.Sprintf("%d:%d", UnprivilegedUID, UnprivilegedUID),
		Environment: []string{"PATH=" + i.Bin() + ":/usr/bin", "LANG=C.UTF-8"},
		Files:       append(files, archive.File{Path: inside, Source: program, Mode: 0o755}),
	}, nil
}
