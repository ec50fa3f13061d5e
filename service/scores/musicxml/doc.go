// Package musicxml owns what is known of a score from its MusicXML file: it reads files of all versions up to 4, plain or
// compressed, partwise or timewise, as a stream, and answers with an Analysis. It decides what counts as a measure, a note and
// a second of music; docs/music.md says so for users. It knows nothing of where files come from and where analyses go, and it
// draws nothing itself: package incipit does.
//
// Files are hostile until read. Memory is bounded by limits of this package and not by the file; nothing outside of the file is
// ever fetched.
package musicxml
