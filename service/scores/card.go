package scores

import "time"

// Card is what lists and searches show of a score: all but its long fields. Lists read cards from rows of their own,
// which the database keeps in step with the scores.
type Card struct {
	// ID is that of the score.
	ID              string      `json:"id"`
	OwnerID         string      `json:"ownerId"`
	Title           string      `json:"title"`
	Composer        *string     `json:"composer"`
	Opus            *string     `json:"opus"`
	Instrument      *Instrument `json:"instrument"`
	Difficulty      *Difficulty `json:"difficulty"`
	DifficultyLevel *int        `json:"difficultyLevel"`
	StylePeriod     *string     `json:"stylePeriod"`
	KeySignature    *string     `json:"keySignature"`
	DurationSeconds *int        `json:"durationSeconds"`
	Tags            []string    `json:"tags"`
	Status          Status      `json:"status"`
	Visibility      Visibility  `json:"visibility"`
	// Version is that of the score.
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	// FavoriteCount is how many callers have the score among their favorites.
	FavoriteCount int `json:"favoriteCount"`
	// CollectionCount is in how many public collections the score is.
	CollectionCount int `json:"collectionCount"`
	// Categories are the names of the score's categories in their order.
	Categories []string `json:"categories"`
}
