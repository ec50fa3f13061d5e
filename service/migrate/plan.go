package migrate

import (
	"fmt"
	"slices"

	"github.com/mirubato/mirubato/api/contract"
)

// plan is what a run is going to do.
type plan struct {
	// pending are the files to apply, in order.
	pending []file
	// held are the contract files behind them, which a run leaves alone.
	held []file
	// adopted are files that were applied without a checksum.
	adopted []file
}

// newPlan compares the files, sorted by version, with what the database says. It refuses whatever does not fit, so
// that nothing is half done.
func newPlan(files []file, h history) (plan, error) {
	var p plan
	latest, current := files[len(files)-1].version, h.current()
	if err := checkMissing(files, h, latest); err != nil {
		return plan{}, err
	}
	for _, f := range files {
		r, applied := h[f.version]
		switch {
		case applied && r.checksum == "":
			p.adopted = append(p.adopted, f)
		case applied && r.checksum != f.checksum:
			return plan{}, newError(contract.HistoryChanged, f.name, edited(f, r), nil)
		case applied:
		case f.version < current:
			return plan{}, newError(contract.InvalidMigrations, f.name, fmt.Sprintf(
				"it has not been applied, but the later version %d has: give it a higher number", current), nil)
		case f.phase == Contract:
			p.held = append(p.held, f)
		case len(p.held) > 0:
			return plan{}, newError(contract.InvalidMigrations, f.name, fmt.Sprintf(
				"it is of phase expand and comes after %s of phase contract, which has not been applied: give the contract file the higher number",
				p.held[0].name), nil)
		default:
			p.pending = append(p.pending, f)
		}
	}
	return p, nil
}

// checkMissing refuses a database that has applied something the files have lost. What lies above the files is no
// loss: a newer release was there, and this one runs on its schema.
func checkMissing(files []file, h history, latest int64) error {
	var missing []int64
	for version := range h {
		known := slices.ContainsFunc(files, func(f file) bool { return f.version == version })
		if version < latest && !known {
			missing = append(missing, version)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return newError(contract.HistoryChanged, h[missing[0]].name, fmt.Sprintf(
		"version %d was applied to this database but is not among the files: put it back", missing[0]), nil)
}

func edited(f file, r record) string {
	if r.name != f.name {
		return fmt.Sprintf("version %d was applied as %s, which is not the same: put that file back and give this one a higher number", f.version, r.name)
	}
	return "it was edited after it was applied: put it back as it was, and make the change in a new file"
}
