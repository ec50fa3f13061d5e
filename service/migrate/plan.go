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
	// held are those that the run leaves alone: contract files in a run of phase expand, and the other way round.
	held []file
	// adopted are files that were applied without a complete record.
	adopted []file
	// initial is the version up to which a database that began empty takes all files in their order: no release has ever run on it.
	initial int64
}

// newPlan compares the files, sorted by version, with what the database says. It refuses whatever does not fit, so
// that nothing is half done.
func newPlan(files []file, backfills []backfill, s state, phase Phase) (plan, error) {
	latest, current := files[len(files)-1].version, s.history.current()
	if err := checkMissing(files, s.history, latest); err != nil {
		return plan{}, err
	}
	if floor := s.history.floor(); floor.version > latest {
		return plan{}, tooOld(floor, latest)
	}
	p := plan{initial: s.initial}
	if current == 0 && s.initial == 0 {
		p.initial = initialVersion(files)
	}
	waiting, err := p.compare(files, s.history)
	if err != nil {
		return plan{}, err
	}
	if err := p.choose(waiting, phase); err != nil {
		return p, err
	}
	return p, p.checkBackfills(files, backfills, s)
}

// compare returns the files that have not been applied.
func (p *plan) compare(files []file, h history) (waiting []file, err error) {
	for _, f := range files {
		r, applied := h[f.version]
		switch {
		case applied && r.checksum != "" && r.checksum != f.checksum:
			return nil, newError(contract.HistoryChanged, f.name, edited(f, r), nil)
		case applied && (r.checksum == "" || r.phase == ""):
			p.adopted = append(p.adopted, f)
		case applied:
		case f.version < h.current():
			return nil, newError(contract.InvalidMigrations, f.name, fmt.Sprintf(
				"it has not been applied, but the later version %d has: give it a higher number", h.current()), nil)
		default:
			waiting = append(waiting, f)
		}
	}
	return waiting, nil
}

// checkBackfills refuses files that wait for a backfill. On a database that began empty the run does the backfill itself, in passing.
func (p *plan) checkBackfills(files []file, backfills []backfill, s state) error {
	for _, f := range p.pending {
		for _, b := range backfills {
			if !waitsFor(f, b.name) || f.version <= p.initial {
				continue
			}
			if at := phaseOf(b, s.backfills[b.name], files, s.history); at != contract.BackfillDone {
				return newError(contract.BackfillPending, f.name, fmt.Sprintf(
					"it waits for the backfill %s, which is %s: run `mirubato-migrate backfill` first", b.name, at), nil)
			}
		}
	}
	return nil
}

// choose splits what has not been applied into what this run applies and what it holds.
func (p *plan) choose(waiting []file, phase Phase) error {
	for _, f := range waiting {
		switch {
		case phase != Contract && f.version <= p.initial:
			p.pending = append(p.pending, f)
		case len(p.held) > 0 && f.phase == Expand && phase != Contract:
			return jumped(f, p.held[0])
		case phase == Contract && f.phase == Expand && len(p.pending) == 0:
			return newError(contract.ReleaseSkipped, f.name,
				"it is of phase expand and has not been applied: apply the expand migrations first", nil)
		case len(p.held) > 0, f.phase != phase:
			p.held = append(p.held, f)
		default:
			p.pending = append(p.pending, f)
		}
	}
	return nil
}

// initialVersion is the highest expand file, if a contract file comes before it. Contract files behind it are held as on any database.
func initialVersion(files []file) int64 {
	var expand, contract int64
	for _, f := range files {
		switch {
		case f.phase == Expand:
			expand = f.version
		case contract == 0:
			contract = f.version
		}
	}
	if contract == 0 || contract > expand {
		return 0
	}
	return expand
}

func jumped(f, before file) error {
	return newError(contract.ReleaseSkipped, f.name, fmt.Sprintf(
		"it is of phase expand and comes after %s of phase contract, which has not been applied: release the version that brought %s first, "+
			"or, if both are new, give the contract file the higher number", before.name, before.name), nil)
}

func tooOld(floor contractMigration, latest int64) error {
	return newError(contract.ImageTooOld, floor.name, fmt.Sprintf(
		"this contract migration, version %d, was applied and removed what releases before it need; the files here end with version %d: "+
			"use an image whose files include it", floor.version, latest), nil)
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

// describeFiles is what reports say of files that have not been applied.
func describeFiles(files []file) []contract.PendingMigration {
	var all []contract.PendingMigration
	for _, f := range files {
		all = append(all, contract.PendingMigration{Version: f.version, Name: f.name, Phase: string(f.phase), Checksum: f.checksum})
	}
	return all
}
