package pdf

import (
	"github.com/mirubato/mirubato/service/scores/refusal"
)

// section is a table of where objects lie, of one of the savings of a file.
type section struct {
	// ranges are the runs of object numbers that it has.
	ranges []run
	// data and widths are those of a table that is a stream; nil for one of lines of text in the file.
	data   []byte
	widths [3]int
}

// run is objects with numbers one after the other.
type run struct {
	first, count int64
	// at is where their entries begin: in the file, or in the data of the section.
	at int64
}

const (
	// maxSections is how many times a file may have been saved, and maxRuns how many runs a table may have.
	maxSections = 256
	maxRuns     = 65_536
	// lineLength is that of an entry of a table of text.
	lineLength = 20
)

// readSections reads the tables from the newest to the oldest.
func (f *file) readSections(start int64) error {
	for next := start; next >= 0; {
		if f.seen[next] {
			return damaged("its tables of objects follow each other in a circle")
		}
		f.seen[next] = true
		if len(f.sections) >= maxSections {
			return refusal.New(refusal.TooLarge, "The PDF has been saved more than %d times", maxSections)
		}
		trailer, err := f.readSection(f.base + next)
		if err != nil {
			return err
		}
		if f.trailer == nil {
			f.trailer = trailer
		}
		if err := f.readBeside(trailer); err != nil {
			return err
		}
		previous, ok := trailer["Prev"].(float64)
		if !ok {
			return nil
		}
		if next = int64(previous); next < 0 || next >= f.size {
			return damaged("a table of objects is outside of the file")
		}
	}
	return nil
}

// readBeside reads the table that is a stream beside one of text, for newer readers, if there is one.
func (f *file) readBeside(trailer dictionary) error {
	beside, ok := trailer["XRefStm"].(float64)
	if !ok || beside < 0 || beside >= float64(f.size) || f.seen[int64(beside)] {
		return nil
	}
	f.seen[int64(beside)] = true
	_, err := f.readStreamSection(f.base + int64(beside))
	return err
}

func (f *file) readSection(at int64) (trailer dictionary, err error) {
	head, err := f.bytes(at, 64)
	if err != nil {
		return nil, err
	}
	l := lexer{data: head}
	if !l.keyword("xref") {
		return f.readStreamSection(at)
	}
	return f.readTextSection(at + int64(l.at))
}

// readTextSection reads the heads of the runs, and passes over their entries.
func (f *file) readTextSection(at int64) (dictionary, error) {
	var s section
	var trailer any
	for trailer == nil {
		err := f.parse(at, func(l *lexer) (err error) {
			if l.keyword("trailer") {
				trailer, err = l.object(0)
				return err
			}
			first, ok := l.integer()
			count, okToo := l.integer()
			l.space()
			if l.at == len(l.data) {
				return errMore
			}
			if !ok || !okToo || count > f.size/lineLength {
				return errSyntax
			}
			s.ranges = append(s.ranges, run{first: first, count: count, at: at + int64(l.at)})
			at += int64(l.at) + count*lineLength
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(s.ranges) > maxRuns {
			return nil, damaged("its table of objects has too many parts")
		}
	}
	d, ok := trailer.(dictionary)
	if !ok {
		return nil, damaged("its table of objects has no end")
	}
	f.sections = append(f.sections, s)
	return d, nil
}

func (f *file) readStreamSection(at int64) (dictionary, error) {
	table, err := f.streamAt(at, 0)
	if err != nil {
		return nil, err
	}
	s := section{data: table.data}
	widths, _ := table.dictionary["W"].(array)
	if len(widths) < 3 {
		return nil, damaged("its table of objects does not say how it is to be read")
	}
	for i := range s.widths {
		w, ok := widths[i].(float64)
		if !ok || w < 0 || w > 8 {
			return nil, damaged("its table of objects does not say how it is to be read")
		}
		s.widths[i] = int(w)
	}
	index, ok := table.dictionary["Index"].(array)
	if !ok {
		index = array{0., table.dictionary["Size"]}
	}
	if !s.readRuns(index) {
		return nil, damaged("its table of objects counts wrongly")
	}
	f.sections = append(f.sections, s)
	return table.dictionary, nil
}

// readRuns reads pairs of a first number and a count; false is one that is out of reach.
func (s *section) readRuns(index array) bool {
	var entries int64
	for i := 0; i+1 < len(index) && len(s.ranges) < maxRuns; i += 2 {
		first, _ := index[i].(float64)
		count, _ := index[i+1].(float64)
		if first < 0 || count < 0 || first > 1e10 || count > 1e10 || entries > 1e10 {
			return false
		}
		s.ranges = append(s.ranges, run{first: int64(first), count: int64(count), at: entries * int64(s.width())})
		entries += int64(count)
	}
	return true
}

func (s section) width() int { return s.widths[0] + s.widths[1] + s.widths[2] }

// place is where an object lies: at an offset of the file, or as one of those in an object stream.
type place struct {
	at int64
	// within is the number of the object stream, 0 if the object lies in the file, and index its place there.
	within, index int64
}

// find looks an object up, in the newest table first.
func (f *file) find(id int64) (place, bool, error) {
	runs := 0
	for _, s := range f.sections {
		runs += len(s.ranges)
	}
	if f.readable -= runs / 256; f.readable < 0 {
		return place{}, false, tooMany()
	}
	for _, s := range f.sections {
		for _, r := range s.ranges {
			if id < r.first || id-r.first >= r.count {
				continue
			}
			p, used, err := f.entry(s, r, id-r.first)
			if err != nil || used {
				return p, used, err
			}
		}
	}
	return place{}, false, nil
}

// entry reads one entry of a table; used is false for an object that was removed.
func (f *file) entry(s section, r run, number int64) (p place, used bool, err error) {
	if s.data == nil {
		line, err := f.bytes(r.at+number*lineLength, lineLength)
		if err != nil || len(line) < 18 {
			return place{}, false, err
		}
		l := lexer{data: line}
		p.at, _ = l.integer()
		return p, line[17] == 'n', nil
	}
	from := r.at + number*int64(s.width())
	if from+int64(s.width()) > int64(len(s.data)) {
		return place{}, false, nil
	}
	var fields [3]int64
	rest := s.data[from:]
	for i, width := range s.widths {
		for _, b := range rest[:width] {
			fields[i] = fields[i]<<8 | int64(b)
		}
		rest = rest[width:]
	}
	if s.widths[0] == 0 {
		fields[0] = 1
	}
	switch fields[0] {
	case 1:
		return place{at: fields[1]}, true, nil
	case 2:
		return place{within: fields[1], index: fields[2]}, true, nil
	}
	return place{}, false, nil
}

// resolve follows references to the object that they mean, nil if there is none.
func (f *file) resolve(object any, depth int) (any, error) {
	for ; ; depth++ {
		id, ok := object.(reference)
		if !ok {
			return object, nil
		}
		if depth > maxIndirections {
			return nil, damaged("its objects refer to each other in a circle")
		}
		p, found, err := f.find(int64(id))
		if err != nil || !found {
			return nil, err
		}
		if p.within != 0 {
			object, err = f.inStream(p, depth)
		} else {
			object, _, err = f.indirect(f.base + p.at)
		}
		if err != nil {
			return nil, err
		}
	}
}

// keep makes an object stream the one that is kept.
func (f *file) keep(number int64, depth int) error {
	if f.keptNumber == number && f.kept.data != nil {
		return nil
	}
	at, found, err := f.find(number)
	if err != nil {
		return err
	}
	if !found || at.within != 0 {
		return damaged("a stream of objects is missing")
	}
	if f.kept, err = f.streamAt(f.base+at.at, depth+1); err != nil {
		return err
	}
	f.keptNumber = number
	return nil
}

// inStream reads an object out of an object stream.
func (f *file) inStream(p place, depth int) (any, error) {
	if err := f.keep(p.within, depth); err != nil {
		return nil, err
	}
	if p.index < 0 {
		return nil, damaged("its table of objects counts wrongly")
	}
	// Looking for the place of an object is work as well, when there are very many before it.
	if f.readable -= int(min(p.index/64, maxObjects)); f.readable < 0 {
		return nil, tooMany()
	}
	first, _ := f.kept.dictionary["First"].(float64)
	l := lexer{data: f.kept.data}
	var offset int64
	for range p.index + 1 {
		_, ok := l.integer()
		at, okToo := l.integer()
		if !ok || !okToo {
			return nil, damaged("a stream of objects does not hold what it should")
		}
		offset = at
	}
	from := int64(first) + offset
	if first < 0 || from < 0 || from >= int64(len(f.kept.data)) {
		return nil, damaged("a stream of objects does not hold what it should")
	}
	// The last object of a stream may end with it.
	inside := lexer{data: append(f.kept.data[from:len(f.kept.data):len(f.kept.data)], ' ', ' ')}
	object, err := inside.object(0)
	if err != nil {
		return nil, damaged("a stream of objects does not hold what it should")
	}
	return object, nil
}

func (f *file) number(object any, depth int) (float64, error) {
	object, err := f.resolve(object, depth)
	if err != nil {
		return 0, err
	}
	n, ok := object.(float64)
	if !ok || n < -1e12 || n > 1e12 {
		return -1, nil
	}
	return n, nil
}

// dictionary returns the dictionary that is meant, an empty one if there is none.
func (f *file) dictionary(object any) (dictionary, error) {
	object, err := f.resolve(object, 0)
	d, _ := object.(dictionary)
	return d, err
}
