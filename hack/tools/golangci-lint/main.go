// Command golangci-lint is the linter of that name together with kube-api-linter, which judges the types of an API and
// can only be linked in. Both versions are pinned by this module; nothing else is here.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter" // registers itself as the linter "kubeapilinter"
)

func main() {
	if err := commands.Execute(buildInfo()); err != nil {
		fmt.Fprintln(os.Stderr, "golangci-lint:", err)
		os.Exit(exitcodes.Failure)
	}
}

// buildInfo names the linter's release: `golangci-lint version` prints it, and the linter's cache is keyed by it.
func buildInfo() commands.BuildInfo {
	info := commands.BuildInfo{Version: "unknown", Commit: "unknown", Date: "unknown", GoVersion: runtime.Version()}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, module := range build.Deps {
		switch module.Path {
		case "github.com/golangci/golangci-lint/v2":
			info.Version = module.Version
		case "sigs.k8s.io/kube-api-linter":
			info.Commit = "with kube-api-linter " + module.Version
		}
	}
	return info
}
