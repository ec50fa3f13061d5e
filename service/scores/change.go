package scores

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/optional"
	"github.com/mirubato/mirubato/service/chassis/validation"
)

// Change is what a caller wants of a score: at creation on top of the defaults, at an update on top of the present
// fields. A field that is absent is kept. One that is null is cleared; title, status and visibility cannot be. An empty
// text is the same as null, unless only certain words are allowed: it is none of them.
type Change struct {
	Title           optional.Value[string]          `json:"title,omitzero"`
	Composer        optional.Value[string]          `json:"composer,omitzero"`
	Opus            optional.Value[string]          `json:"opus,omitzero"`
	Instrument      optional.Value[Instrument]      `json:"instrument,omitzero"`
	Difficulty      optional.Value[Difficulty]      `json:"difficulty,omitzero"`
	StylePeriod     optional.Value[string]          `json:"stylePeriod,omitzero"`
	DifficultyLevel optional.Value[int]             `json:"difficultyLevel,omitzero"`
	KeySignature    optional.Value[string]          `json:"keySignature,omitzero"`
	TimeSignature   optional.Value[string]          `json:"timeSignature,omitzero"`
	TempoMarking    optional.Value[string]          `json:"tempoMarking,omitzero"`
	DurationSeconds optional.Value[int]             `json:"durationSeconds,omitzero"`
	Description     optional.Value[string]          `json:"description,omitzero"`
	Tags            optional.Value[[]string]        `json:"tags,omitzero"`
	Metadata        optional.Value[json.RawMessage] `json:"metadata,omitzero"`
	Status          optional.Value[Status]          `json:"status,omitzero"`
	Visibility      optional.Value[Visibility]      `json:"visibility,omitzero"`
}

// Apply returns what the change makes of the fields of a score, or of a new score if present is nil, by the rules of Update and
// Create. Its fault is Invalid.
func (l *Library) Apply(c Change, present *Fields) (Fields, error) {
	if present == nil {
		present = new(defaults())
	}
	fields := c.applyTo(*present)
	return fields, check(l.rules, fields)
}

// fields returns those that a change gives, in normal form, whatever score it is made to; the others are of no meaning. Its fault is Invalid. Every
// rule concerns one field alone, so a change that fits one score fits them all.
func (l *Library) fields(c Change) (Fields, error) {
	sample := defaults()
	sample.Title = "any"
	return l.Apply(c, &sample)
}

// applyTo returns the fields with the change made and in normal form.
func (c Change) applyTo(f Fields) Fields {
	c.Title.Apply(&f.Title)
	c.Composer.ApplyPtr(&f.Composer)
	c.Opus.ApplyPtr(&f.Opus)
	c.Instrument.ApplyPtr(&f.Instrument)
	c.Difficulty.ApplyPtr(&f.Difficulty)
	c.StylePeriod.ApplyPtr(&f.StylePeriod)
	c.DifficultyLevel.ApplyPtr(&f.DifficultyLevel)
	c.KeySignature.ApplyPtr(&f.KeySignature)
	c.TimeSignature.ApplyPtr(&f.TimeSignature)
	c.TempoMarking.ApplyPtr(&f.TempoMarking)
	c.DurationSeconds.ApplyPtr(&f.DurationSeconds)
	c.Description.ApplyPtr(&f.Description)
	c.Tags.Apply(&f.Tags)
	c.Metadata.Apply(&f.Metadata)
	c.Status.Apply(&f.Status)
	c.Visibility.Apply(&f.Visibility)
	return normal(f)
}

// normal trims texts, turns empty ones into nil, and drops repeated tags.
func normal(f Fields) Fields {
	f.Title = strings.TrimSpace(f.Title)
	for _, text := range []**string{
		&f.Composer, &f.Opus, &f.KeySignature, &f.TimeSignature, &f.TempoMarking, &f.Description,
	} {
		if *text == nil {
			continue
		}
		trimmed := strings.TrimSpace(**text)
		*text = &trimmed
		if trimmed == "" {
			*text = nil
		}
	}
	tags := make([]string, 0, len(f.Tags))
	for _, tag := range f.Tags {
		if tag = strings.TrimSpace(tag); !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	f.Tags = tags
	if f.Metadata == nil {
		f.Metadata = json.RawMessage("{}")
	}
	return f
}

// check returns an Invalid fault that names every field that breaks a rule, or nil.
func check(v *validation.Validator, f Fields) error {
	details := append(v.Check(f), checkMetadata(f.Metadata)...)
	if len(details) == 0 {
		return nil
	}
	return fault.InvalidInput("Validation failed", details...)
}
