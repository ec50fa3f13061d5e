package musicxml_test

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

func TestEncodingsOfRealFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		declared string
		written  encoding.Encoding
		before   string
	}{
		"UTF-8":                               {declared: "UTF-8", written: encoding.Nop},
		"UTF-8 with a mark":                   {declared: "UTF-8", written: encoding.Nop, before: "\xef\xbb\xbf"},
		"UTF-16 with a mark":                  {declared: "UTF-16", written: unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)},
		"UTF-16, the other way":               {declared: "UTF-16", written: unicode.UTF16(unicode.BigEndian, unicode.UseBOM)},
		"UTF-16 without a mark":               {declared: "UTF-16", written: unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)},
		"UTF-16 without, the other way":       {declared: "UTF-16", written: unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)},
		"ISO-8859-1":                          {declared: "ISO-8859-1", written: charmap.ISO8859_1},
		"Windows 1252":                        {declared: "windows-1252", written: charmap.Windows1252},
		"Mac Roman":                           {declared: "macintosh", written: charmap.Macintosh},
		"UTF-8 whose declaration was not new": {declared: "UTF-16", written: encoding.Nop},
	} {
		t.Run(name, func(t *testing.T) {
			text := scoreOf("<movement-title>Für Élise</movement-title>", part("P1", common+whole))
			text = strings.Replace(text, "UTF-8", tc.declared, 1)
			file, err := tc.written.NewEncoder().String(text)
			if err != nil {
				t.Fatal(err)
			}
			if a := analyse(t, tc.before+file); a.Title != "Für Élise" {
				t.Errorf("got %q", a.Title)
			}
		})
	}
}
