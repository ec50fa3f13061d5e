package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
)

// generation is one state of the settings as it was found.
type generation struct {
	number int64
	text   []byte
}

// read finds the generation that this pod shall use. When the error is about the generation's file, the number is given all the
// same.
func read(dir, ownFile string) (generation, error) {
	number, err := wanted(dir, ownFile)
	if err != nil {
		return generation{}, err
	}
	name := contract.SettingsFile(number)
	text, err := readFile(filepath.Join(dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("generation %d is wanted, but there is no file %s", number, name)
	case err == nil && len(bytes.TrimSpace(text)) == 0:
		// A file that is being written is empty at first; taken for settings it would mean that everything has its default.
		err = fmt.Errorf("%s is empty; write {} for settings that are all at their defaults", name)
	}
	return generation{number: number, text: text}, err
}

// sequence tells how new the pod's own generation is: 0 if nothing does. It is given only where there is a file for it.
func sequence(ownFile string) (number int64, given bool) {
	if ownFile == "" {
		return 0, false
	}
	text, err := readFile(filepath.Join(filepath.Dir(ownFile), filepath.Base(contract.SettingsSequenceFile)))
	if err != nil {
		return 0, false
	}
	number, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		number = 0 // empty before the pod is told anything
	}
	return number, true
}

// wanted is the number of the pod's own generation or, when nobody gave it one, of the current one.
func wanted(dir, ownFile string) (int64, error) {
	if ownFile != "" {
		text, err := readFile(ownFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		number, given, err := ownGeneration(string(text))
		if err != nil || given {
			return number, err
		}
	}
	text, err := readFile(filepath.Join(dir, contract.SettingsCurrentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("there is no file %s that names the current generation", contract.SettingsCurrentFile)
	}
	if err != nil {
		return 0, err
	}
	return parseNumber(contract.SettingsCurrentFile, string(text))
}

// ownGeneration reads what the downward API wrote: the value of the one annotation, or all annotations as lines name="value".
// Without the annotation the file is empty or lacks the line.
func ownGeneration(text string) (number int64, given bool, err error) {
	value := strings.TrimSpace(text)
	if strings.Contains(value, "=") {
		value = ""
		for line := range strings.Lines(text) {
			name, quoted, _ := strings.Cut(strings.TrimSpace(line), "=")
			if name != contract.SettingsGenerationAnnotation {
				continue
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return 0, false, fmt.Errorf("the annotation %s has the value %.40s, which is no quoted text", name, quoted)
			}
		}
	}
	if value == "" {
		return 0, false, nil
	}
	number, err = parseNumber("the annotation "+contract.SettingsGenerationAnnotation, value)
	return number, true, err
}

func parseNumber(from, text string) (int64, error) {
	text = strings.TrimSpace(text)
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 || text != strconv.FormatInt(number, 10) {
		return 0, fmt.Errorf("%s holds %.40q; it must be the number of a generation, such as 7", from, text)
	}
	return number, nil
}

// readFile reads no more than settings may have.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, settings.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return text, nil
}
