package musicxml_test

import (
	"os"
	"testing"
)

// The picture in the documentation was looked at; what is drawn today must be the same. After a change that was looked at as well, write
// it anew with UPDATE_PICTURE=1.
func TestThePictureInTheDocumentation(t *testing.T) {
	const path = "../../../docs/incipit.svg"
	content, err := os.ReadFile("testdata/echigo-jishi.mxl")
	if err != nil {
		t.Fatal(err)
	}
	got := analyse(t, string(content)).Incipit
	if os.Getenv("UPDATE_PICTURE") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("the incipit is drawn otherwise than in docs/incipit.svg; look at it, then write it with UPDATE_PICTURE=1")
	}
}
