package musicxml_test

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"testing"

	"github.com/mirubato/mirubato/service/scores/musicxml"
	"github.com/mirubato/mirubato/service/scores/refusal"
)

// FuzzAnalyse holds every file to the same: it is refused for a reason, or what is said of it makes sense and its picture is XML.
func FuzzAnalyse(f *testing.F) {
	f.Add([]byte(score(common+whole, repeat("backward")+whole)))
	f.Add([]byte(score(key(-3, "")+`<attributes><clef><sign>F</sign><line>4</line></clef></attributes><note><grace slash="yes"/><pitch><step>C</step><octave>4</octave></pitch><type>eighth</type></note>`+sung("C4 D#5 Eb2"), whole)))
	f.Add([]byte(`<score-timewise><measure number="1"><part id="P1">` + common + whole + `</part></measure></score-timewise>`))
	if compressed, err := os.ReadFile("testdata/echigo-jishi.mxl"); err == nil {
		f.Add(compressed)
	}
	var empty bytes.Buffer
	zip.NewWriter(&empty).Close()
	f.Add(empty.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := musicxml.Analyse(t.Context(), bytes.NewReader(file), int64(len(file)))
		var refused *refusal.Error
		if err != nil {
			if !errors.As(err, &refused) {
				t.Errorf("an error that is no refusal: %v", err)
			}
			return
		}
		if a.Measures < 1 || len(a.Parts) == 0 || math.IsNaN(a.DurationSeconds) || math.IsInf(a.DurationSeconds, 0) || a.DurationSeconds < 0 {
			t.Errorf("it makes no sense: %+v", a)
		}
		decoder := xml.NewDecoder(bytes.NewReader(a.Incipit))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatalf("the picture is no XML: %v", err)
			}
		}
	})
}
