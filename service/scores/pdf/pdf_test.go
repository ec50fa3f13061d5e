package pdf_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/scores/pdf"
	"github.com/mirubato/mirubato/service/scores/refusal"
)

// written is a PDF of the given objects, numbered from 1, with a table of text. The first one is the root.
func written(trailer string, objects ...string) string {
	var b strings.Builder
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	table := fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for i, o := range objects {
		table += fmt.Sprintf("%010d 00000 n \n", b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "%strailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", table, len(objects)+1, trailer, start)
	return b.String()
}

// deflated is an object with compressed data.
func deflated(dictionary string, data []byte) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(data)
	w.Close()
	return fmt.Sprintf("<< %s /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream", dictionary, b.Len(), b.String())
}

// compressed is a PDF of 3 pages whose objects 1 to 5 lie in an object stream, with a table that is a stream with a predictor.
func compressed(size int) string {
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R 4 0 R 5 0 R] /MediaBox [0 0 612 792] /Count 3 >>",
		"<< /Type /Page /Parent 2 0 R /Rotate 90 >>", "<< /Type /Page /Parent 2 0 R >>", "<< /Type /Page /Parent 2 0 R >>",
	}
	var index, body string
	for i, o := range objects {
		index += fmt.Sprintf("%d %d ", i+1, len(body))
		body += o + " "
	}
	var b strings.Builder
	b.WriteString("%PDF-1.5\n")
	inside := b.Len()
	fmt.Fprintf(&b, "6 0 obj\n%s\nendobj\n", deflated(fmt.Sprintf("/Type /ObjStm /N 5 /First %d", len(index)), []byte(index+body+strings.Repeat(" ", size))))
	start := b.Len()
	entries := [][4]byte{{0, 0, 0, 0}}
	for i := range objects {
		entries = append(entries, [4]byte{2, 0, 6, byte(i)})
	}
	entries = append(entries, [4]byte{1, byte(inside >> 8), byte(inside), 0}, [4]byte{1, byte(start >> 8), byte(start), 0})
	var table []byte
	var before [4]byte
	for _, e := range entries {
		table = append(table, 2) // up
		for i := range e {
			table = append(table, e[i]-before[i])
		}
		before = e
	}
	fmt.Fprintf(&b, "7 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF",
		deflated("/Type /XRef /Size 8 /W [1 2 1] /Root 1 0 R /DecodeParms << /Predictor 12 /Columns 4 >>", table), start)
	return b.String()
}

const (
	catalog = "<< /Type /Catalog /Pages 2 0 R >>"
	onePage = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
	page    = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.5 842] >>"
)

func analyse(t *testing.T, file string) pdf.Analysis {
	t.Helper()
	a, err := pdf.Analyse(t.Context(), strings.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestWhatIsRead(t *testing.T) {
	for name, tc := range map[string]struct {
		file string
		want pdf.Analysis
	}{
		"one page": {file: written("", catalog, onePage, page), want: pdf.Analysis{Version: "1.4", Pages: 1, Width: 595.5, Height: 842}},
		"a title and an author": {
			file: written("/Info 4 0 R", catalog, onePage, page, `<< /Title (A \(small\) piece\040in\
 C) /Author <FEFF0041006E006E0061> >>`),
			want: pdf.Analysis{Version: "1.4", Pages: 1, Width: 595.5, Height: 842, Title: "A (small) piece in C", Author: "Anna"},
		},
		"a title that is missing": {file: written("/Info 9 0 R", catalog, onePage, page), want: pdf.Analysis{Version: "1.4", Pages: 1, Width: 595.5, Height: 842}},
		"a count that lies": {
			file: written("", catalog, "<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 1000000 >>", page, page),
			want: pdf.Analysis{Version: "1.4", Pages: 2, Width: 595.5, Height: 842},
		},
		"a tree of pages": {
			file: written("", catalog, "<< /Kids [3 0 R 4 0 R] >>", "<< /Kids [5 0 R 6 0 R] >>", page, page, page),
			want: pdf.Analysis{Version: "1.4", Pages: 3, Width: 595.5, Height: 842},
		},
		"object streams, and a page that is turned": {file: compressed(0), want: pdf.Analysis{Version: "1.5", Pages: 3, Width: 792, Height: 612}},
		"something before the beginning":            {file: "HTTP/1.1 200\r\n\r\n" + written("", catalog, onePage, page), want: pdf.Analysis{Version: "1.4", Pages: 1, Width: 595.5, Height: 842}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.want.Bytes = int64(len(tc.file))
			if diff := cmp.Diff(tc.want, analyse(t, tc.file)); diff != "" {
				t.Errorf("analysis (-want +got):\n%s", diff)
			}
		})
	}
}

// A second saving stands at the end and has only what changed.
func TestTheLastSavingCounts(t *testing.T) {
	file := written("", catalog, onePage, page)
	before := strings.LastIndex(file, "xref\n0 ")
	at := len(file)
	file += "2 0 obj\n<< /Kids [3 0 R 3 0 R] >>\nendobj\n"
	kids := len(file)
	file += "4 0 obj\n" + page + "\nendobj\n"
	file = strings.Replace(file, "<< /Kids [3 0 R 3 0 R] >>", "<< /Kids [3 0 R 4 0 R] >>", 1)
	start := len(file)
	file += fmt.Sprintf("xref\n2 1\n%010d 00000 n \n4 1\n%010d 00000 n \ntrailer\n<< /Size 5 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF", at, kids, before, start)
	if a := analyse(t, file); a.Pages != 2 {
		t.Errorf("got %d pages, want the 2 of the last saving", a.Pages)
	}
}

func TestWhatIsRefused(t *testing.T) {
	good := written("", catalog, onePage, page)
	for name, tc := range map[string]struct {
		file   string
		reason refusal.Reason
	}{
		"nothing":                           {file: "", reason: refusal.Empty},
		"another kind of file":              {file: "PK\x03\x04", reason: refusal.WrongType},
		"a file that is cut off":            {file: good[:len(good)/2], reason: refusal.Truncated},
		"a file that is encrypted":          {file: written("/Encrypt << /Filter /Standard /V 2 >>", catalog, onePage, page), reason: refusal.Encrypted},
		"no pages":                          {file: written("", catalog, "<< /Kids [] >>"), reason: refusal.Malformed},
		"no root":                           {file: written("", "null"), reason: refusal.Malformed},
		"pages in a circle":                 {file: written("", catalog, "<< /Kids [3 0 R] >>", "<< /Kids [2 0 R] >>"), reason: refusal.Malformed},
		"references in a circle":            {file: written("", "2 0 R", "1 0 R"), reason: refusal.Malformed},
		"tables in a circle":                {file: written(fmt.Sprintf("/Prev %d", strings.LastIndex(good, "xref\n0 ")), catalog, onePage, page), reason: refusal.Malformed},
		"a tree that is too deep":           {file: written("", append([]string{catalog}, chain(100)...)...), reason: refusal.Malformed},
		"arrays that are too deep":          {file: written("", catalog, strings.Repeat("[", 10_000)), reason: refusal.Malformed},
		"an object that is too large":       {file: written("", catalog, "<< /Kids ["+strings.Repeat("3 0 R ", 400_000)+"] >>", page), reason: refusal.TooLarge},
		"an object that has no end":         {file: strings.Replace(good, onePage, "<< /Kids ("+strings.Repeat(" ", len(onePage)-10), 1), reason: refusal.Truncated},
		"a table that is somewhere else":    {file: strings.Replace(good, "startxref\n", "startxref\n9", 1), reason: refusal.Malformed},
		"more pages than are read":          {file: written("", append([]string{catalog, kids(20_001)}, repeated(page, 20_001)...)...), reason: refusal.TooLarge},
		"a stream that grows beyond bounds": {file: compressed(16 << 20), reason: refusal.TooLarge},
		"a stream that is damaged":          {file: strings.Replace(compressed(0), "stream\nx", "stream\ny", 1), reason: refusal.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := pdf.Analyse(t.Context(), strings.NewReader(tc.file), int64(len(tc.file)))
			var refused *refusal.Error
			if !errors.As(err, &refused) {
				t.Fatalf("got %v and %+v, want a refusal", err, a)
			}
			if refused.Reason != tc.reason || refused.Message == "" {
				t.Errorf("got %s (%s), want %s", refused.Reason, refused.Message, tc.reason)
			}
		})
	}
}

// chain is nodes of pages each of which has the next one.
func chain(n int) []string {
	var nodes []string
	for i := range n {
		nodes = append(nodes, fmt.Sprintf("<< /Kids [%d 0 R] >>", i+3))
	}
	return append(nodes, page)
}

func kids(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d 0 R ", i+3)
	}
	return "<< /Kids [" + b.String() + "] >>"
}

func repeated(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

// away is storage that fails.
type away struct{ err error }

func (a away) ReadAt([]byte, int64) (int, error) { return 0, a.err }

func TestFailingStorageIsNoFaultOfTheFile(t *testing.T) {
	failure := errors.New("the storage is away")
	_, err := pdf.Analyse(t.Context(), away{failure}, 1000)
	var refused *refusal.Error
	if !errors.Is(err, failure) || errors.As(err, &refused) {
		t.Errorf("got %v, want the error of the storage", err)
	}
}

func TestAnalysisEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := compressed(0)
	if _, err := pdf.Analyse(ctx, strings.NewReader(file), int64(len(file))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func FuzzAnalyse(f *testing.F) {
	f.Add([]byte(written("/Info 4 0 R", catalog, onePage, page, "<< /Title (A) >>")))
	f.Add([]byte(compressed(0)))
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := pdf.Analyse(t.Context(), bytes.NewReader(file), int64(len(file)))
		var refused *refusal.Error
		if err != nil && !errors.As(err, &refused) {
			t.Errorf("an error that is no refusal: %v", err)
		}
		if err == nil && a.Pages < 1 {
			t.Errorf("read as %d pages", a.Pages)
		}
	})
}
