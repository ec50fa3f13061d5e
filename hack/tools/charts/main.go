// Command charts writes the files of the charts that are made from others: charts ROOT
//
// It owns what the charts share with the rest of the repository: the CRDs, rights and admission policies of config, which become
// files that the templates read; the schema of the values of mirubato-service, whose spec is that of the CRD; and the tables of values
// in the READMEs, which are the comments of values.yaml. Templates and values are written by hand.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "charts:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: charts ROOT")
	}
	config, charts := filepath.Join(args[0], "config"), filepath.Join(args[0], "charts")
	for _, write := range []func() error{
		func() error { return writeCRDs(config, filepath.Join(charts, "mirubato-operator", "files", "crds")) },
		func() error { return copyFiles(config, filepath.Join(charts, "mirubato-operator", "files")) },
		func() error { return writeSchema(config, filepath.Join(charts, "mirubato-service")) },
		func() error { return writeValues(filepath.Join(charts, "mirubato-operator")) },
		func() error { return writeValues(filepath.Join(charts, "mirubato-service")) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// put writes a file unless it is there already, so that nothing that depends on it is made again.
func put(name string, content []byte) error {
	if there, err := os.ReadFile(name); err == nil && string(there) == string(content) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// putAll makes a directory hold the files, and no others.
func putAll(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := put(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	there, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	for _, name := range there {
		if _, wanted := files[filepath.Base(name)]; !wanted {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}
