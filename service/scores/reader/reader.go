// Package reader owns what the fields of a score learn from what is in its files. How files are read is known to packages musicxml
// and pdf.
package reader

import (
	"context"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/mirubato/mirubato/service/scores"
	"github.com/mirubato/mirubato/service/scores/file"
	"github.com/mirubato/mirubato/service/scores/musicxml"
	"github.com/mirubato/mirubato/service/scores/pdf"
)

// All are the readers of all formats.
func All() map[file.Format]file.Reader {
	return map[file.Format]file.Reader{file.MusicXML: music, file.CompressedMusicXML: music, file.PDF: document}
}

// document reads pictures of music, which fill no field: their author is mostly who typeset them.
func document(ctx context.Context, r io.ReaderAt, size int64) (file.Reading, error) {
	a, err := pdf.Analyse(ctx, r, size)
	if err != nil {
		return file.Reading{}, err
	}
	found := scores.Document{Pages: a.Pages, Title: a.Title, Author: a.Author, Width: a.Width, Height: a.Height}
	return file.Reading{Analysis: scores.Analysis{Document: &found}}, nil
}

func music(ctx context.Context, r io.ReaderAt, size int64) (file.Reading, error) {
	a, err := musicxml.Analyse(ctx, r, size)
	if err != nil {
		return file.Reading{}, err
	}
	return file.Reading{Analysis: scores.Analysis{Music: &a}, Fields: findings(a), Incipit: a.Incipit}, nil
}

// Limits of the fields of a score, as scores.Fields has them.
const (
	maxName     = 255
	maxOpus     = 64
	maxKey      = 32
	maxTime     = 16
	maxTempo    = 64
	maxDuration = 24 * 60 * 60
)

// findings are the fields that follow from the music. What would not fit is left open.
func findings(a musicxml.Analysis) file.Findings {
	f := file.Findings{
		Composer: text(a.Composer, maxName), Opus: text(a.Opus, maxOpus), Instrument: instrument(a.Parts),
	}
	if len(a.Keys) > 0 {
		f.KeySignature = text(a.Keys[0].Name, maxKey)
	}
	if len(a.Times) > 0 {
		f.TimeSignature = text(a.Times[0].Signature, maxTime)
	}
	if len(a.Tempos) > 0 {
		f.TempoMarking = text(a.Tempos[0].Marking, maxTempo)
	}
	if seconds := int(math.Round(a.DurationSeconds)); seconds >= 1 && seconds <= maxDuration {
		f.DurationSeconds = &seconds
	}
	if level := a.Difficulty.Level; level >= 1 {
		grade := scores.Difficulty(a.Difficulty.Grade)
		f.DifficultyLevel, f.Difficulty = &level, &grade
	}
	return f
}

func text(found string, most int) *string {
	if found == "" || utf8.RuneCountInString(found) > most {
		return nil
	}
	return &found
}

// instrument is what all parts are written for, if that is an instrument that scores are sorted by.
func instrument(parts []musicxml.Part) *scores.Instrument {
	piano, guitar := false, false
	for _, p := range parts {
		for _, i := range p.Instruments {
			switch {
			case strings.HasPrefix(i.Sound, "keyboard.piano"):
				piano = true
			case strings.HasPrefix(i.Sound, "pluck.guitar"):
				guitar = true
			default:
				return nil
			}
		}
	}
	var found scores.Instrument
	switch {
	case piano && guitar:
		found = scores.Both
	case piano:
		found = scores.Piano
	case guitar:
		found = scores.Guitar
	default:
		return nil
	}
	return &found
}
