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
	p := v.visit(t, "/sign-in", phone)
	asks[any](p, fmt.Sprintf("sessionStorage.setItem('mirubato.token', %q)", v.token(t, v.user)))
	p.goTo("/?owner=me")
	p.settled()
	p.click(".intro summary")
	p.write("#new-title", "A sketch with music")
	p.accessible()
	p.click(".intro form button")
	p.waitForText("article h1", "A sketch with music")
	p.waitFor(`document.querySelector('.incipit').hidden`)

	p.upload(wrong)
	p.waitFor(`document.querySelector('.adding .error').textContent !== ''`)
	p.waitForText("#file-said", "Nothing was added")
	p.expects("415")

	p.slowUploads(200 << 10)
	p.upload(long)
	p.waitFor(`document.querySelector('progress').value > 0`)
	p.accessible()
	p.show("phone-uploading")
	p.click(".adding .link")
	p.waitForText("#file-said", "Nothing was added")
	if said := p.texts(".adding .error, .files li"); !slices.Equal(said, []string{""}) {
		t.Errorf("after it was canceled there is %q", said)
	}

	p.slowUploads(4 << 20)
	asks[any](p, watchBar)
	p.upload(long)
	p.waitForText("#file-said", "has been read")
	p.slowUploads(-1)
	shown := asks[[]float64](p, `window.shown`)
	if !slices.IsSorted(shown) || !slices.ContainsFunc(shown, func(n float64) bool { return n > 0 && n < 100 }) || shown[len(shown)-1] != 100 {
		t.Errorf("the bar shows %v on its way", shown)
	}
	p.upload(music)
	p.waitForText(".files li", "sketch.musicxml")
	p.waitForText("#file-said", "has been read")
	if named := p.texts(".files .link"); !slices.Equal(named, []string{"sketch.musicxml", "long.musicxml"}) {
		t.Errorf("the files are %q", named)
	}
	p.beginning()
	p.accessible()
	p.show("phone-own-score")
	address := asks[string](p, `location.pathname`)
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
	p.do("choosing "+file, chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}))
	p.click(".adding button[type=submit]")
}

// slowUploads bounds how many bytes go out in a second; -1 is no bound.
func (p *tab) slowUploads(bytes float64) {
	p.t.Helper()
	ordered(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: bytes}},
	})
}

// beginning waits for the first bars and looks whether they are drawn: a picture that was not, has no size.
func (p *tab) beginning() {
	p.t.Helper()
	p.waitFor(`document.querySelector('.incipit img')?.naturalWidth > 0 && document.querySelector('.incipit').checkVisibility()`)
}

// sharing shows a score with music to somebody else: not before its owner lets them, and then on every screen.
func sharing(t *testing.T, v *visitors, address string) {
	t.Helper()
	stranger := v.visit(t, address, phone)
	stranger.waitForText("main", "Not found")
	stranger.expects("404")
	v.as(t, v.user, http.MethodPut, "/api"+address, `{"visibility":"unlisted"}`).is(t, 200, "")
	for name, on := range map[string]screen{
		"desktop": desktop, "phone": phone,
		"desktop-dark": {desktop.width, desktop.height, true}, "phone-dark": {phone.width, phone.height, true},
	} {
		stranger := v.visit(t, address, on)
		stranger.beginning()
		stranger.waitForText(".files a", "sketch.musicxml")
		if forms := stranger.texts(".adding"); len(forms) > 0 {
			t.Errorf("%s: a stranger is asked for files", name)
		}
		if status := asks[int](stranger, `(() => {
			const request = new XMLHttpRequest();
			request.open('GET', document.querySelector('.files a').href, false);
			request.send();
			return request.status;
		})()`); status != http.StatusOK {
			t.Errorf("%s: the file is answered %d", name, status)
		}
		stranger.accessible()
		stranger.show(name + "-incipit")
	}
}
