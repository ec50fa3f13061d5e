package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/mirubato/mirubato/test/browser"
)

// smallMusic is one bar, as a program that writes music would save it.
const smallMusic = `<?xml version="1.0" encoding="UTF-8"?>
<score-partwise version="4.0"><part-list><score-part id="P1"><part-name>Piano</part-name></score-part></part-list><part id="P1">
<measure number="1"><attributes><divisions>1</divisions><key><fifths>0</fifths></key><time><beats>4</beats><beat-type>4</beat-type></time>
<clef><sign>G</sign><line>2</line></clef></attributes>
<note><pitch><step>C</step><octave>5</octave></pitch><duration>2</duration><type>half</type></note>
<note><pitch><step>E</step><octave>5</octave></pitch><duration>2</duration><type>half</type></note></measure></part></score-partwise>`

// filesToUpload are music, the same much longer, and something that is no PDF. The browser may run as somebody else.
func filesToUpload(t *testing.T) (music, long, wrong string) {
	t.Helper()
	dir := t.TempDir()
	music, long, wrong = filepath.Join(dir, "sketch.musicxml"), filepath.Join(dir, "long.musicxml"), filepath.Join(dir, "notes.pdf")
	for name, content := range map[string]string{
		music: smallMusic, long: smallMusic + strings.Repeat("<!-- much more of it -->\n", 1<<16), wrong: "no PDF",
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return music, long, wrong
}

// uploading adds a score, puts its music in, and shows how it begins.
func uploading(t *testing.T, v *visitors) {
	t.Helper()
	music, long, wrong := filesToUpload(t)
	p := v.visit(t, "/sign-in", browser.Phone)
	browser.Asks[any](p.Tab, fmt.Sprintf("sessionStorage.setItem('mirubato.token', %q)", v.token(t, v.user)))
	p.GoTo("/?owner=me")
	p.settled()
	p.Click(".intro summary")
	p.Write("#new-title", "A sketch with music")
	p.Accessible()
	p.Click(".intro form button")
	p.WaitForText("article h1", "A sketch with music")
	p.WaitFor(`document.querySelector('.incipit').hidden`)

	p.upload(wrong)
	p.WaitFor(`document.querySelector('.adding .error').textContent !== ''`)
	p.WaitForText("#file-said", "Nothing was added")
	p.Expects("415")

	p.slowUploads(200 << 10)
	p.upload(long)
	p.WaitFor(`document.querySelector('progress').value > 0`)
	p.Accessible()
	p.show("phone-uploading")
	p.Click(".adding .link")
	p.WaitForText("#file-said", "Nothing was added")
	if said := p.Texts(".adding .error, .files li"); !slices.Equal(said, []string{""}) {
		t.Errorf("after it was canceled there is %q", said)
	}

	p.slowUploads(4 << 20)
	browser.Asks[any](p.Tab, watchBar)
	p.upload(long)
	p.WaitForText("#file-said", "has been read")
	p.slowUploads(-1)
	shown := browser.Asks[[]float64](p.Tab, `window.shown`)
	if !slices.IsSorted(shown) || !slices.ContainsFunc(shown, func(n float64) bool { return n > 0 && n < 100 }) || shown[len(shown)-1] != 100 {
		t.Errorf("the bar shows %v on its way", shown)
	}
	p.upload(music)
	p.WaitForText(".files li", "sketch.musicxml")
	p.WaitForText("#file-said", "has been read")
	if named := p.Texts(".files .link"); !slices.Equal(named, []string{"sketch.musicxml", "long.musicxml"}) {
		t.Errorf("the files are %q", named)
	}
	p.beginning()
	p.Accessible()
	p.show("phone-own-score")
	address := browser.Asks[string](p.Tab, `location.pathname`)
	sharing(t, v, address)
}

// watchBar notes what the bar shows, in its order.
const watchBar = `(() => {
	const bar = document.querySelector('progress');
	window.shown = [];
	new MutationObserver(() => window.shown.push(bar.value)).observe(bar, { attributes: true, attributeFilter: ['value'] });
})()`

// upload chooses a file and sends it.
func (p *tab) upload(file string) {
	p.t.Helper()
	p.Do("choosing "+file, chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	p.Click(".adding button[type=submit]")
}

// slowUploads bounds how many bytes go out in a second; -1 is no bound.
func (p *tab) slowUploads(bytes float64) {
	p.t.Helper()
	browser.Ordered(p.Tab, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: bytes}},
	})
}

// beginning waits for the first bars and looks whether they are drawn: a picture that was not, has no size.
func (p *tab) beginning() {
	p.t.Helper()
	p.WaitFor(`document.querySelector('.incipit img')?.naturalWidth > 0 && document.querySelector('.incipit').checkVisibility()`)
}

// sharing shows a score with music to somebody else: not before its owner lets them, and then on every screen.
func sharing(t *testing.T, v *visitors, address string) {
	t.Helper()
	stranger := v.visit(t, address, browser.Phone)
	stranger.WaitForText("main", "Not found")
	stranger.Expects("404")
	v.as(t, v.user, http.MethodPut, "/api"+address, `{"visibility":"unlisted"}`).is(t, 200, "")
	for name, on := range map[string]browser.Screen{
		"desktop": browser.Desktop, "phone": browser.Phone,
		"desktop-dark": {Width: browser.Desktop.Width, Height: browser.Desktop.Height, Dark: true}, "phone-dark": {Width: browser.Phone.Width, Height: browser.Phone.Height, Dark: true},
	} {
		stranger := v.visit(t, address, on)
		stranger.beginning()
		stranger.WaitForText(".files a", "sketch.musicxml")
		if forms := stranger.Texts(".adding"); len(forms) > 0 {
			t.Errorf("%s: a stranger is asked for files", name)
		}
		if status := browser.Asks[int](stranger.Tab, `(() => {
			const request = new XMLHttpRequest();
			request.open('GET', document.querySelector('.files a').href, false);
			request.send();
			return request.status;
		})()`); status != http.StatusOK {
			t.Errorf("%s: the file is answered %d", name, status)
		}
		stranger.Accessible()
		stranger.show(name + "-incipit")
	}
}
