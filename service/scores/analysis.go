package scores

import (
	"encoding/json"

	"github.com/mirubato/mirubato/service/scores/musicxml"
)

// Analysis is what the newest file of a score that could be read tells about it.
type Analysis struct {
	// VersionID is that of the file.
	VersionID string `json:"versionId" format:"uuid"`
	// Format is that of the file.
	Format string `json:"format"`
	// Music is what is in a file of MusicXML.
	Music *musicxml.Analysis `json:"music,omitempty"`
	// Document is what is known of a file that holds pictures of music.
	Document *Document `json:"document,omitempty"`
}

// Document is what is known of a file of pages.
type Document struct {
	Pages int `json:"pages"`
	// Title and Author are what the file calls itself.
	Title  string `json:"title,omitempty"`
	Author string `json:"author,omitempty"`
	// Width and Height are those of the first page in points, 1/72 inch.
	Width  float64 `json:"width,omitempty"`
	Height float64 `json:"height,omitempty"`
}

// KeptAnalysis is an Analysis as it is kept, null if there is none: it is handed on far more often than it is looked into.
type KeptAnalysis []byte

// MarshalJSON implements json.Marshaler.
func (a KeptAnalysis) MarshalJSON() ([]byte, error) { return json.RawMessage(a).MarshalJSON() }

// UnmarshalJSON implements json.Unmarshaler.
func (a *KeptAnalysis) UnmarshalJSON(raw []byte) error {
	*a = nil
	if string(raw) != "null" {
		*a = append(*a, raw...)
	}
	return nil
}

// Element says to the API's document what it stands for.
func (KeptAnalysis) Element() any { return Analysis{} }
