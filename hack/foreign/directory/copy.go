//go:build linux

package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// copyTree copies a directory with owners and modes. What is removed meanwhile is left out. A copy that was broken off is begun anew.
func copyTree(from, to string) error {
	unfinished := to + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = copyEntry(path, filepath.Join(unfinished, path[len(from):]), entry)
		}
		if errors.Is(err, fs.ErrNotExist) && path != from {
			return nil
		}
		return err
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(unfinished))
	}
	return os.Rename(unfinished, to)
}

func copyEntry(from, to string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		err = os.Mkdir(to, 0o700)
	case mode.IsRegular():
		err = copyContent(from, to)
	case mode&fs.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(from); err == nil {
			err = os.Symlink(target, to)
		}
	default:
		return nil // a socket or the like means nothing in a copy
	}
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if err := os.Lchown(to, int(owner.Uid), int(owner.Gid)); err != nil || info.Mode()&fs.ModeSymlink != 0 {
		return err
	}
	return os.Chmod(to, info.Mode())
}

func copyContent(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// size of all files below a directory.
func size(path string) (int64, error) {
	var out int64
	err := filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			out += info.Size()
		}
		return err
	})
	return out, err
}
