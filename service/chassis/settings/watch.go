package settings

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long files are left alone after a change: editors and the kubelet change them in several steps.
const settle = 20 * time.Millisecond

// Run follows the files until ctx ends. Being told of a change is what makes it quick; reading again from time to time makes it
// certain, since some file systems tell nothing.
func (l *Live) Run(ctx context.Context) {
	if l.cfg.Dir == "" {
		return
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		l.cfg.Logger.WarnContext(ctx, "Watching settings", "error", err.Error(), "readEvery", l.cfg.Every.String())
		l.follow(ctx, nil, func() {})
		return
	}
	defer func() { _ = watcher.Close() }()
	go drain(watcher.Errors) // an overflow is made up for by reading from time to time
	l.follow(ctx, watcher.Events, func() {
		// Directories are watched, not files: ConfigMaps change by a symbolic link in the directory being replaced. A directory that
		// is not there yet is tried again next time.
		_ = watcher.Add(l.cfg.Dir)
		if l.cfg.GenerationFile != "" {
			_ = watcher.Add(filepath.Dir(l.cfg.GenerationFile))
		}
	})
}

// follow loads whenever it is told of a change and from time to time; watch is called before each of the latter.
func (l *Live) follow(ctx context.Context, changes <-chan fsnotify.Event, watch func()) {
	tick := time.NewTicker(l.cfg.Every)
	defer tick.Stop()
	settled := time.NewTimer(0) // what changed before the first watch is seen by the first load
	defer settled.Stop()
	watch()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changes:
			settled.Reset(settle)
		case <-settled.C:
			l.load()
		case <-tick.C:
			watch()
			l.load()
		}
	}
}

func drain(errors <-chan error) {
	for range errors { // nothing is done with them
	}
}
