package main

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"github.com/mirubato/mirubato/service/chassis/auth"
)

var pictures = flag.String("pictures", "", "directory for pictures of the page, in an order that a person looks through")

// visitors is a service with a catalogue, and a browser to look at it.
type visitors struct {
	*library
	browser context.Context
	user    auth.Identity
	private string
}

const (
	password = "correct horse battery staple"
	// markup is a title that a page must show as it is.
	markup = `<img src=x onerror=alert(1)> & "quotes"`
)

// TestPage is what people do, in a real browser. All parts share one browser and one service, since starting them takes longer than any part.
func TestPage(t *testing.T) {
	v := &visitors{library: open(t, func(c *Config) { c.Storage = t.TempDir() })}
	v.fill(t)
	v.browser = browser(t)
	for name, part := range map[string]func(*testing.T, *visitors){
		"browsing": browsing, "reading a score": reading, "what is private stays private": privacy, "signing in": signingIn,
		"by keyboard alone": byKeyboard, "when something fails": failing, "adding music": uploading, "for everybody, on every screen": forEverybody,
	} {
		t.Run(name, func(t *testing.T) { part(t, v) })
	}
}

// fill adds works in the public domain, and what only one user may see.
func (v *visitors) fill(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../../hack/dev/catalogue.json")
	if err != nil {
		t.Fatal(err)
	}
	var works []json.RawMessage
	if err := json.Unmarshal(text, &works); err != nil {
		t.Fatal(err)
	}
	for _, work := range works {
		v.added(t, teacher, string(work))
	}
	title, err := json.Marshal(markup)
	if err != nil {
		t.Fatal(err)
	}
	v.added(t, teacher, `{"title":`+string(title)+`,"composer":"Anon.","description":"<script>alert(1)</script>\nSecond line","tags":["a&b"],"visibility":"public"}`)
	made := v.as(t, admin, http.MethodPost, "/api/admin/users", `{"email":"clara@example.org","role":"user","password":"`+password+`"}`).is(t, 201, "")
	id, _ := made.data(t)["id"].(string)
	v.user = auth.Identity{ID: id, Role: auth.RoleUser}
	v.private = v.added(t, v.user, `{"title":"Clara's secret sketch","composer":"Clara"}`)
}

func (v *visitors) visit(t *testing.T, path string, on screen) *tab {
	t.Helper()
	p := v.openTab(t, on)
	p.goTo(path)
	return p
}

// settled waits until the catalogue shows what was asked for.
func (p *tab) settled() {
	p.t.Helper()
	p.waitFor(`document.querySelector('.results') && !document.querySelector('.results').hasAttribute('aria-busy')`)
}

func browsing(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/", desktop)
	p.waitForText(".count", "25 scores")
	if n := len(p.texts(".cards .title")); n != 24 {
		t.Errorf("the first page shows %d scores, want 24", n)
	}
	p.click(".pages a[rel=next]")
	p.waitFor(`location.search === '?page=2' && document.querySelectorAll('.cards .title').length === 1`)
	p.back()
	p.waitFor(`location.search === '' && document.querySelectorAll('.cards .title').length === 24`)

	p.write("#q", "prel min")
	p.waitForText(".count", "match")
	p.waitFor(`location.search === '?q=prel+min' && document.querySelectorAll('.cards .title').length === 1`)
	if diff := cmp.Diff([]string{"Prelude in E minor"}, p.texts(".cards .title")); diff != "" {
		t.Errorf("searching (-want +got):\n%s", diff)
	}
	if focused := asks[string](p, `document.activeElement.id`); focused != "q" {
		t.Errorf("while somebody types the focus moves to %q", focused)
	}
	p.waitForText("#said", "1 match")
	p.back() // typing was one step
	p.waitFor(`location.search === '' && document.querySelector('#q').value === ''`)

	p.choose("#instrument", "guitar")
	p.waitFor(`location.search === '?instrument=guitar'`)
	p.choose("#sort", "-difficultyLevel")
	p.waitFor(`location.search === '?instrument=guitar&sort=-difficultyLevel'`)
	p.settled()
	want := []string{"Recuerdos de la Alhambra", "Capricho árabe"}
	if diff := cmp.Diff(want, p.texts(".cards .title")[:2]); diff != "" {
		t.Errorf("the hardest for guitar (-want +got):\n%s", diff)
	}
	address := asks[string](p, `location.pathname + location.search`)
	p.goTo(address) // an address that was kept shows the same
	p.waitFor(`document.querySelector('#instrument')?.value === 'guitar' && document.querySelectorAll('.cards .title').length > 1`)
	if diff := cmp.Diff(want, p.texts(".cards .title")[:2]); diff != "" {
		t.Errorf("loaded anew (-want +got):\n%s", diff)
	}
	p.goTo("/?q=zzzz")
	p.waitForText(".notice", "Nothing fits")
	p.goTo("/nowhere/at/all")
	p.expects("404")
}

func reading(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/?"+url.Values{"q": {"quotes"}}.Encode(), desktop)
	p.waitFor(`document.querySelectorAll('.cards .title').length === 1`)
	p.click(".cards a")
	p.waitFor(`location.pathname.startsWith('/scores/') && document.querySelector('article h1') === document.activeElement`)
	for selector, want := range map[string]string{
		"article h1": markup, "article .composer": "Anon.", ".prose": "<script>alert(1)</script>\nSecond line", ".tags": "a&b",
	} {
		if got := p.texts(selector); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", selector, got, want)
		}
	}
	if title := asks[string](p, `document.title`); !strings.HasPrefix(title, markup) {
		t.Errorf("the page is called %q", title)
	}
	p.click(".tags a")
	p.waitFor(`location.search === '?tag=a%26b' && document.querySelectorAll('.cards .title').length === 1`)
	p.back()
	p.waitForText("article h1", "quotes")
	p.back()
	p.waitFor(`location.search === '?q=quotes' && document.querySelector('#q')?.value === 'quotes'`)
	p.settled()
}

func privacy(t *testing.T, v *visitors) {
	t.Helper()
	id := strings.TrimPrefix(v.private, "/api/scores/")
	p := v.visit(t, "/?q=secret", desktop)
	p.waitForText(".notice", "Nothing fits")
	p.goTo("/scores/" + id)
	p.waitForText("main", "Not found")
	p.expects("404")
	p.goTo("/?owner=me")
	p.waitFor(`location.pathname === '/sign-in'`)
}

func signingIn(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/sign-in", desktop)
	p.waitFor(`document.querySelector('#email')`)
	p.write("#email", "clara@example.org")
	p.write("#password", "not her password")
	p.click("main form button")
	p.waitForText("[role=alert]", "not right")
	p.expects("401")
	p.choose("#password", "")
	p.write("#password", password)
	p.click("main form button")
	p.waitForText(".cards", "Clara's secret sketch")
	if kept := asks[string](p, `JSON.stringify([Object.keys(sessionStorage), Object.keys(localStorage), document.cookie])`); kept != `[["mirubato.token"],[],""]` {
		t.Errorf("kept is %s", kept)
	}
	p.click(`.cards a[href="` + strings.TrimPrefix(v.private, "/api") + `"]`)
	p.waitForText(".badge", "only you see this")
	p.waitFor(`!document.querySelector('.favorite').disabled`)
	p.click(".favorite")
	p.waitFor(`document.querySelector('.favorite[aria-pressed=true]')`)
	p.waitForText("#said", "Now a favorite")
	p.do("loading again", chromedp.Reload())
	p.waitFor(`document.querySelector('.favorite[aria-pressed=true]')`) // and so still signed in
	p.click("#places button")
	p.waitForText("#places", "Sign in")
	p.waitForText("h1", "The catalogue")
	p.settled()
	if text := asks[string](p, `document.body.innerText + JSON.stringify(sessionStorage)`); strings.Contains(text, "secret sketch") || strings.Contains(text, "token") {
		t.Errorf("after signing out there is still %s", text)
	}

	p.goTo("/sign-in")
	p.waitFor(`document.querySelector('.other summary')`)
	p.click(".other summary")
	p.write("#token", v.token(t, v.user)+"x")
	p.click(".other form button")
	p.waitForText(".other [role=alert]", "does not hold")
	p.expects("401")
	p.choose("#token", "")
	p.write("#token", v.token(t, v.user))
	p.click(".other form button")
	p.waitForText(".cards", "Clara's secret sketch")
}

// byKeyboard finds a score and reads it without a mouse.
func byKeyboard(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/", desktop)
	p.waitForText(".count", "25 scores")
	p.press(kb.Tab)
	p.waitFor(`document.activeElement.matches('.skip')`)
	p.press(kb.Enter)
	p.press(kb.Tab)
	p.waitFor(`document.activeElement.id === 'q'`)
	p.press("elise")
	p.waitFor(`document.querySelectorAll('.cards .title').length === 1`)
	for n := 0; !asks[bool](p, `document.activeElement.matches('a.card')`); n++ {
		if n > 20 {
			t.Fatalf("the score is not reached: %s", asks[string](p, `document.activeElement.outerHTML`))
		}
		p.press(kb.Tab)
		if asks[string](p, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
			t.Errorf("the focus does not show on %s", asks[string](p, `document.activeElement.outerHTML.slice(0, 100)`))
		}
	}
	p.press(kb.Enter)
	p.waitForText("article h1", "Für Elise")
	p.press(kb.Tab)
	p.waitFor(`document.activeElement.matches('.composer a')`)
}

func failing(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/", desktop)
	p.waitForText(".count", "25 scores")
	p.connect(false)
	p.write("#q", "nocturne")
	p.waitForText(".results [role=alert]", "No connection")
	p.expects("ERR_INTERNET_DISCONNECTED")
	p.connect(true)
	p.click(".results button")
	p.waitForText(".count", "1 match")
	p.taken()
}

func forEverybody(t *testing.T, v *visitors) {
	t.Helper()
	score := strings.TrimPrefix(v.as(t, nobody, http.MethodGet, "/api/scores/search?q=alhambra", "").is(t, 200, "").body, `{"success":true,"data":[{"id":"`)[:36]
	for name, on := range map[string]screen{
		"desktop": desktop, "phone": phone,
		"desktop-dark": {desktop.width, desktop.height, true}, "phone-dark": {phone.width, phone.height, true},
	} {
		p := v.visit(t, "/", on)
		p.waitForText(".count", "25 scores")
		p.accessible()
		if heard := p.heard(); len(heard["search"]) != 1 || len(heard["searchbox"]) != 1 || len(heard["listitem"]) < 24 || len(heard["status"]) != 1 {
			t.Errorf("%s: heard are %v", name, heard)
		}
		p.goTo("/?stylePeriod=romantic&sort=title")
		p.waitForText(".count", "11 scores")
		p.show(name + "-catalogue")
		p.goTo("/scores/" + score)
		p.waitForText("article h1", "Alhambra")
		p.accessible()
		p.show(name + "-score")
		p.goTo("/sign-in")
		p.waitForText("h1", "Sign in")
		p.accessible()
		p.show(name + "-sign-in")
		p.goTo("/?q=zzzz&difficulty=advanced")
		p.waitForText(".notice", "Nothing fits")
		p.accessible()
		p.show(name + "-nothing")
	}
}

// show takes a picture if somebody wants to look at it.
func (p *tab) show(name string) {
	p.t.Helper()
	if *pictures != "" {
		p.picture(*pictures, name)
	}
}
