package postgres

import (
	"context"
	"slices"

	"github.com/mirubato/mirubato/hack/debian"
	"github.com/mirubato/mirubato/hack/images/archive"
)

// licences returns what tells the licences of files: of every package that brought one of them its own file, and the licences that
// those only name. They come from packages as well, which are among them.
func licences(ctx context.Context, files []archive.File) ([]archive.File, error) {
	out, err := walk(debian.Licences)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for pending := sources(slices.Concat(out, files)); len(pending) > 0; {
		owners, err := debian.Owners(ctx, pending)
		if err != nil {
			return nil, err
		}
		pending = nil
		for _, owner := range owners {
			if known[owner.Name] {
				continue
			}
			known[owner.Name] = true
			source, err := debian.Copyright("/", owner.Name)
			if err != nil {
				return nil, err
			}
			out = append(out, archive.File{Path: debian.CopyrightFile(owner.Name), Source: source, Mode: 0o644})
			pending = append(pending, source)
		}
	}
	return out, nil
}

// sources are the files of this machine that files are copies of.
func sources(files []archive.File) []string {
	var out []string
	for _, file := range files {
		if file.Source != "" {
			out = append(out, file.Source)
		}
	}
	return out
}
