package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/mirubato/mirubato/hack/dockerfile/bases"
	"github.com/mirubato/mirubato/hack/dockerfile/buildah"
	"github.com/mirubato/mirubato/hack/images/archive"
	"github.com/mirubato/mirubato/hack/images/recipe"
	"github.com/mirubato/mirubato/hack/localcluster/progress"
)

// targets are the images that the Dockerfile builds.
var targets = []string{"operator", "scores", "migrate"}

// proof is one run.
type proof struct {
	config
	log     io.Writer
	out     io.Writer
	report  *progress.Reporter
	engine  buildah.Engine
	names   bases.Names
	machine bases.Machine
	// options are those of the images that are made without an engine, which recipes fills.
	options recipe.Options
	made    map[string]archive.Image
}

// recipes makes what the Dockerfile is compared with.
func (p *proof) recipes(ctx context.Context) (err error) {
	p.made = map[string]archive.Image{}
	for _, name := range targets {
		if p.made[name], err = recipe.Prepare(ctx, p.options, name); err != nil {
			return err
		}
	}
	return nil
}

// modules fills the machine's cache: the Dockerfile asks for all modules, of which a program may need fewer.
func (p *proof) modules(ctx context.Context) error {
	command := exec.CommandContext(ctx, "go", "mod", "download")
	command.Dir = p.Repository
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod download: %w\n%s", err, said)
	}
	return nil
}

func (p *proof) bases(ctx context.Context) error {
	if bases.Fresh(p.Work, p.machine, p.names) {
		return nil
	}
	return bases.Make(ctx, p.engine, p.Work, p.machine, p.names, p.log)
}

// buildStage builds what the targets copy from, alone: only its commands are to see the machine's compiler and modules. The targets find its steps
// in the engine's cache.
func (p *proof) buildStage(ctx context.Context) error {
	cache := filepath.Join(p.Work, "go-build")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return fmt.Errorf("making the compiler's cache: %w", err)
	}
	build := p.build("build")
	build.Volumes = p.machine.Volumes(cache)
	return p.engine.Build(ctx, build)
}

func (p *proof) build(target string) buildah.Build {
	return buildah.Build{
		File: filepath.Join(p.Repository, "Dockerfile"), Context: p.Repository, Target: target, Tag: p.tag(target),
		Arguments: []string{"VERSION=" + p.Version},
	}
}

func (p *proof) tag(target string) string { return bases.Local("mirubato/" + target + ":" + p.Version) }

// target builds one, and prints what was found out and what differs.
func (p *proof) target(ctx context.Context, name string) (problems []string, err error) {
	var seen seen
	err = p.report.Step("the Dockerfile's target "+name, func() error {
		if err := p.engine.Build(ctx, p.build(name)); err != nil {
			return err
		}
		if seen, err = p.look(ctx, name); err != nil {
			return err
		}
		problems = differences(p.made[name], seen)
		failed, err := p.start(ctx, name)
		problems = append(problems, failed...)
		return err
	})
	for _, problem := range problems {
		p.report.Note("%s: %s", name, problem)
	}
	if err == nil && len(problems) == 0 {
		program := p.made[name].Entrypoint[0]
		p.report.Note("it runs as %s; %s is that of make images, sha256:%s", seen.config.User, program, seen.files[program].sum())
	}
	return problems, err
}

// look reads the settings of the image and those of its files that are compared.
func (p *proof) look(ctx context.Context, name string) (seen, error) {
	file := filepath.Join(p.Work, name+".tar")
	defer func() { _ = os.Remove(file) }() // it is as large as the image, and the engine has it
	if err := p.engine.Export(ctx, p.tag(name), file); err != nil {
		return seen{}, err
	}
	image, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return seen{}, fmt.Errorf("reading %s: %w", name, err)
	}
	return read(image, compared(p.made[name]))
}

// trials are what each image is started with, and what has to appear in what it prints.
func (p *proof) trials(name string) []trial {
	program := p.made[name].Entrypoint[0]
	return map[string][]trial{
		"operator": {{command: []string{program, "--version"}, says: p.Version}},
		"scores":   {{command: []string{program, "--help"}, says: "serve"}},
		"migrate": {
			{command: []string{program, "--help"}, says: "rehearse"},
			{command: []string{"sh", "-c", "id -u"}, says: "65532"},
			{command: []string{"pg_dump", "--version"}, says: "pg_dump (PostgreSQL)"},
			{command: []string{"pg_restore", "--version"}, says: "pg_restore (PostgreSQL)"},
			// Making a server's files runs postgres several times, as a user who needs a name.
			{command: []string{"sh", "-c", "initdb --no-sync --pgdata /tmp/proof/data && postgres --version"}, says: "postgres (PostgreSQL)"},
			{command: []string{"sh", "-c", `while read -r file; do test -e "$file" || echo "no $file"; done; echo all`}, says: "all", input: p.paths(name)},
		},
	}[name]
}

type trial struct {
	command []string
	// says must be in the output, and nothing that begins with "no /".
	says  string
	input string
}

// paths are those of all that the image has that is made without an engine, one a line.
func (p *proof) paths(name string) string {
	paths := map[string]bool{}
	for _, file := range p.made[name].Files {
		paths[file.Path] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(paths)), "\n") + "\n"
}

// start runs the trials and returns those that went wrong.
func (p *proof) start(ctx context.Context, name string) ([]string, error) {
	var problems []string
	for _, trial := range p.trials(name) {
		said, err := p.engine.Run(ctx, p.tag(name), bytes.NewReader([]byte(trial.input)), trial.command...)
		if err != nil {
			return problems, fmt.Errorf("starting %s: %w", strings.Join(trial.command, " "), err)
		}
		problems = append(problems, trial.judge(said)...)
	}
	return problems, nil
}

func (t trial) judge(said string) []string {
	var problems []string
	for line := range strings.Lines(said) {
		if path, lacking := strings.CutPrefix(strings.TrimSpace(line), "no /"); lacking {
			problems = append(problems, "it has no /"+path+", which the image of make images has")
		}
	}
	if !strings.Contains(said, t.says) {
		problems = append(problems, fmt.Sprintf("%s did not say %q but %q", strings.Join(t.command, " "), t.says, said))
	}
	return problems
}
