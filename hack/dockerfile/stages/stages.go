// Package stages reads the repository's Dockerfile: which images it begins with, what its targets are and what each of them says. It
// owns no more of the language than that file uses; building is a container engine's.
package stages

import (
	"os"
	"strings"
)

// File is a Dockerfile.
type File struct {
	// Defaults are the values of the arguments above the first stage, by which the images to begin with can be named otherwise.
	Defaults map[string]string
	// Stages are in the order of the file.
	Stages []Stage
}

// Stage is what begins with FROM.
type Stage struct {
	// Name is empty for one that has none. From is the image or the stage that it begins with, as it is written.
	Name, From   string
	Instructions []Instruction
}

// Instruction is a line, with those that continue it, FROM left out.
type Instruction struct {
	// Name is in capitals.
	Name string
	// Rest is what follows, with single spaces.
	Rest string
}

// Read takes a Dockerfile apart. What it does not understand is an instruction like any other.
func Read(text string) File {
	file := File{Defaults: map[string]string{}}
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		one := Instruction{Name: strings.ToUpper(name), Rest: strings.Join(strings.Fields(rest), " ")}
		switch {
		case one.Name == "FROM":
			from, stage, _ := strings.Cut(one.Rest, " AS ")
			file.Stages = append(file.Stages, Stage{Name: stage, From: from})
		case len(file.Stages) > 0:
			last := &file.Stages[len(file.Stages)-1]
			last.Instructions = append(last.Instructions, one)
		case one.Name == "ARG":
			argument, value, _ := strings.Cut(one.Rest, "=")
			file.Defaults[argument] = value
		}
	}
	return file
}

// Stage is the one called name; without one it has no instructions.
func (f File) Stage(name string) Stage {
	for _, stage := range f.Stages {
		if stage.Name == name {
			return stage
		}
	}
	return Stage{}
}

// Base is the image that the stage called name begins with, unless an argument says otherwise.
func (f File) Base(name string) string {
	return os.Expand(f.Stage(name).From, func(argument string) string { return f.Defaults[argument] })
}

// All returns what follows each instruction called name.
func (s Stage) All(name string) []string {
	var found []string
	for _, one := range s.Instructions {
		if one.Name == name {
			found = append(found, one.Rest)
		}
	}
	return found
}
