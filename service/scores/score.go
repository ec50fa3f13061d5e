// Package scores is the domain of the sheet-music library: what a score is, who may see and change it, and the
// operations on it. It knows nothing of SQL; where it speaks HTTP (http.go) it only adapts.
package scores

import (
	"encoding/json"
	"time"
)

// Score is one work in the library.
type Score struct {
	// ID is a UUID in lower case, given by the service.
	ID string `json:"id"`
	// OwnerID is the subject of the caller who created the score.
	OwnerID string `json:"ownerId"`
	Fields
	// Analysis is what the newest of its files that could be read tells about it; null if there is none.
	Analysis KeptAnalysis `json:"analysis"`
	// Version counts the changes of the score, from 1.
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// Status is where a score is in its life.
type Status string

// The statuses.
const (
	Active   Status = "active"
	Inactive Status = "inactive"
	Archived Status = "archived"
)

// Visibility says who may see a score besides its owner and admins.
type Visibility string

// The visibilities.
const (
	// Private: nobody.
	Private Visibility = "private"
	// Unlisted: whoever knows the ID; it is in nobody else's list.
	Unlisted Visibility = "unlisted"
	// Public: everybody.
	Public Visibility = "public"
)

// Instrument is what a score is written for.
type Instrument string

// The instruments.
const (
	Piano  Instrument = "piano"
	Guitar Instrument = "guitar"
	Both   Instrument = "both"
)

// Difficulty is a coarse grade.
type Difficulty string

// The difficulties.
const (
	Beginner     Difficulty = "beginner"
	Intermediate Difficulty = "intermediate"
	Advanced     Difficulty = "advanced"
)

// Fields are what the owner of a score decides. A nil pointer means that it is not known.
type Fields struct {
	Title       string      `json:"title" validate:"required,max=255,line"`
	Composer    *string     `json:"composer" validate:"omitempty,max=255,line"`
	Opus        *string     `json:"opus" validate:"omitempty,max=64,line"`
	Instrument  *Instrument `json:"instrument" validate:"omitnil,oneof=piano guitar both"`
	Difficulty  *Difficulty `json:"difficulty" validate:"omitnil,oneof=beginner intermediate advanced"`
	StylePeriod *string     `json:"stylePeriod" validate:"omitnil,oneof=medieval renaissance baroque classical romantic modern contemporary"`
	// DifficultyLevel is a fine grade from 1, the easiest, to 10.
	DifficultyLevel *int    `json:"difficultyLevel" validate:"omitnil,min=1,max=10"`
	KeySignature    *string `json:"keySignature" validate:"omitempty,max=32,line"`
	TimeSignature   *string `json:"timeSignature" validate:"omitempty,max=16,line"`
	TempoMarking    *string `json:"tempoMarking" validate:"omitempty,max=64,line"`
	// DurationSeconds is the playing time.
	DurationSeconds *int     `json:"durationSeconds" validate:"omitnil,min=1,max=86400"`
	Description     *string  `json:"description" validate:"omitempty,max=5000,lines"`
	Tags            []string `json:"tags" validate:"max=50,dive,min=1,max=64,line"`
	// Metadata is a JSON object whose content is the owner's affair.
	Metadata   json.RawMessage `json:"metadata"`
	Status     Status          `json:"status" validate:"oneof=active inactive archived"`
	Visibility Visibility      `json:"visibility" validate:"oneof=private unlisted public"`
}

// defaults are the fields of a score of which nothing was said.
func defaults() Fields {
	return Fields{Status: Active, Visibility: Private, Tags: []string{}, Metadata: json.RawMessage("{}")}
}
