package pdf

import (
	"strings"
	"unicode"

	"golang.org/x/text/encoding/charmap"
	utf "golang.org/x/text/encoding/unicode"

	"github.com/mirubato/mirubato/service/scores/refusal"
)

const (
	// maxPages is how many pages a PDF may have.
	maxPages = 20_000
	// maxLevels is how deep the tree of pages may be.
	maxLevels = 64
)

// countPages walks through the tree of pages. What the tree says of its own size is not believed.
func (f *file) countPages(root any, a *Analysis) error {
	w := pages{file: f, a: a, seen: map[reference]bool{}}
	if err := w.walk(root, inherited{}, 0); err != nil {
		return err
	}
	if a.Pages == 0 {
		return damaged("it has no page")
	}
	return nil
}

// pages is a walk through the tree of pages.
type pages struct {
	file *file
	a    *Analysis
	seen map[reference]bool
}

// inherited is what a page has from the nodes above it unless it has its own.
type inherited struct{ box, turn any }

func (w *pages) walk(node any, from inherited, level int) error {
	if id, ok := node.(reference); ok {
		if w.seen[id] {
			return damaged("its tree of pages bites its own tail")
		}
		w.seen[id] = true
	}
	d, err := w.file.dictionary(node)
	if err != nil || d == nil {
		return err
	}
	if d["MediaBox"] != nil {
		from.box = d["MediaBox"]
	}
	if d["Rotate"] != nil {
		from.turn = d["Rotate"]
	}
	object, err := w.file.resolve(d["Kids"], 0)
	if err != nil {
		return err
	}
	kids, ok := object.(array)
	if !ok {
		return w.page(from)
	}
	if level == maxLevels {
		return damaged("its tree of pages is too deep")
	}
	for _, kid := range kids {
		if err := w.walk(kid, from, level+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *pages) page(from inherited) error {
	if w.a.Pages++; w.a.Pages > maxPages {
		return refusal.New(refusal.TooLarge, "The PDF has more than %d pages", maxPages)
	}
	if w.a.Pages > 1 {
		return nil
	}
	var err error
	w.a.Width, w.a.Height, err = w.file.shown(from)
	return err
}

// shown returns width and height of a page as it is shown.
func (f *file) shown(from inherited) (width, height float64, err error) {
	object, err := f.resolve(from.box, 0)
	box, _ := object.(array)
	if err != nil || len(box) != 4 {
		return 0, 0, err
	}
	var corners [4]float64
	for i := range corners {
		if corners[i], err = f.number(box[i], 0); err != nil {
			return 0, 0, err
		}
	}
	turn, err := f.number(from.turn, 0)
	if err != nil {
		return 0, 0, err
	}
	width, height = max(corners[2]-corners[0], corners[0]-corners[2]), max(corners[3]-corners[1], corners[1]-corners[3])
	if int(turn)%180 != 0 && from.turn != nil {
		width, height = height, width
	}
	return width, height, nil
}

// maxLine is how many characters of a text are kept.
const maxLine = 255

// text returns a text as one line, empty if it is none.
func (f *file) text(object any) string {
	object, err := f.resolve(object, 0)
	raw, ok := object.(text)
	if err != nil || !ok {
		return ""
	}
	var decoded string
	switch s := string(raw); {
	case strings.HasPrefix(s, "\xfe\xff"), strings.HasPrefix(s, "\xff\xfe"):
		decoded, _ = utf.UTF16(utf.BigEndian, utf.ExpectBOM).NewDecoder().String(s)
	case strings.HasPrefix(s, "\xef\xbb\xbf"):
		decoded = strings.ToValidUTF8(s[3:], "")
	default:
		// PDFDocEncoding differs from it in signs that titles hardly have.
		decoded, _ = charmap.Windows1252.NewDecoder().String(s)
	}
	return line(decoded)
}

func line(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
	}), " ")
	if runes := []rune(s); len(runes) > maxLine {
		return string(runes[:maxLine-1]) + "…"
	}
	return s
}
