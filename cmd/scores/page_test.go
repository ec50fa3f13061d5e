package main

import (
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
	"github.com/mirubato/mirubato/test/browser"
)

var pictures = flag.String("pictures", "", "directory for pictures of the page, in an order that a person looks through")

// visitors is a service with a catalogue, and a browser to look at it.
type visitors struct {
	*library
	browser *browser.Browser
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
	v.browser = browser.Start(t)
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

// tab is a page of the service.
type tab struct {
	*browser.Tab
	t *testing.T
}

func (v *visitors) visit(t *testing.T, path string, on browser.Screen) *tab {
	t.Helper()
	p := &tab{v.browser.Open(t, v.api, on), t}
	p.GoTo(path)
	return p
}

// settled waits until the catalogue shows what was asked for.
func (p *tab) settled() {
	p.t.Helper()
	p.WaitFor(`document.querySelector('.results') && !document.querySelector('.results').hasAttribute('aria-busy')`)
}

func browsing(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/", browser.Desktop)
	p.WaitForText(".count", "25 scores")
	if n := len(p.Texts(".cards .title")); n != 24 {
		t.Errorf("the first page shows %d scores, want 24", n)
	}
	p.Click(".pages a[rel=next]")
	p.WaitFor(`location.search === '?page=2' && document.querySelectorAll('.cards .title').length === 1`)
	p.Back()
	p.WaitFor(`location.search === '' && document.querySelectorAll('.cards .title').length === 24`)

	p.Write("#q", "prel min")
	p.WaitForText(".count", "match")
	p.WaitFor(`location.search === '?q=prel+min' && document.querySelectorAll('.cards .title').length === 1`)
	if diff := cmp.Diff([]string{"Prelude in E minor"}, p.Texts(".cards .title")); diff != "" {
		t.Errorf("searching (-want +got):\n%s", diff)
	}
	if focused := browser.Asks[string](p.Tab, `document.activeElement.id`); focused != "q" {
		t.Errorf("while somebody types the focus moves to %q", focused)
	}
	p.WaitForText("#said", "1 match")
	p.Back() // typing was one step
	p.WaitFor(`location.search === '' && document.querySelector('#q').value === ''`)

	p.Choose("#instrument", "guitar")
	p.WaitFor(`location.search === '?instrument=guitar'`)
	p.Choose("#sort", "-difficultyLevel")
	p.WaitFor(`location.search === '?instrument=guitar&sort=-difficultyLevel'`)
	p.settled()
	want := []string{"Recuerdos de la Alhambra", "Capricho árabe"}
	if diff := cmp.Diff(want, p.Texts(".cards .title")[:2]); diff != "" {
		t.Errorf("the hardest for guitar (-want +got):\n%s", diff)
	}
	address := browser.Asks[string](p.Tab, `location.pathname + location.search`)
	p.GoTo(address) // an address that was kept shows the same
	p.WaitFor(`document.querySelector('#instrument')?.value === 'guitar' && document.querySelectorAll('.cards .title').length > 1`)
	if diff := cmp.Diff(want, p.Texts(".cards .title")[:2]); diff != "" {
		t.Errorf("loaded anew (-want +got):\n%s", diff)
	}
	p.GoTo("/?q=zzzz")
	p.WaitForText(".notice", "Nothing fits")
	p.GoTo("/nowhere/at/all")
	p.Expects("404")
}

func reading(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/?"+url.Values{"q": {"quotes"}}.Encode(), browser.Desktop)
	p.WaitFor(`document.querySelectorAll('.cards .title').length === 1`)
	p.Click(".cards a")
	p.WaitFor(`location.pathname.startsWith('/scores/') && document.querySelector('article h1') === document.activeElement`)
	for selector, want := range map[string]string{
		"article h1": markup, "article .composer": "Anon.", ".prose": "<script>alert(1)</script>\nSecond line", ".tags": "a&b",
	} {
		if got := p.Texts(selector); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", selector, got, want)
		}
	}
	if title := browser.Asks[string](p.Tab, `document.title`); !strings.HasPrefix(title, markup) {
		t.Errorf("the page is called %q", title)
	}
	p.Click(".tags a")
	p.WaitFor(`location.search === '?tag=a%26b' && document.querySelectorAll('.cards .title').length === 1`)
	p.Back()
	p.WaitForText("article h1", "quotes")
	p.Back()
	p.WaitFor(`location.search === '?q=quotes' && document.querySelector('#q')?.value === 'quotes'`)
	p.settled()
}

func privacy(t *testing.T, v *visitors) {
	t.Helper()
	id := strings.TrimPrefix(v.private, "/api/scores/")
	p := v.visit(t, "/?q=secret", browser.Desktop)
	p.WaitForText(".notice", "Nothing fits")
	p.GoTo("/scores/" + id)
	p.WaitForText("main", "Not found")
	p.Expects("404")
	p.GoTo("/?owner=me")
	p.WaitFor(`location.pathname === '/sign-in'`)
}

func signingIn(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/sign-in", browser.Desktop)
	p.WaitFor(`document.querySelector('#email')`)
	p.Write("#email", "clara@example.org")
	p.Write("#password", "not her password")
	p.Click("main form button")
	p.WaitForText("[role=alert]", "not right")
	p.Expects("401")
	p.Choose("#password", "")
	p.Write("#password", password)
	p.Click("main form button")
	p.WaitForText(".cards", "Clara's secret sketch")
	if kept := browser.Asks[string](p.Tab, `JSON.stringify([Object.keys(sessionStorage), Object.keys(localStorage), document.cookie])`); kept != `[["mirubato.token"],[],""]` {
		t.Errorf("kept is %s", kept)
	}
	p.Click(`.cards a[href="` + strings.TrimPrefix(v.private, "/api") + `"]`)
	p.WaitForText(".badge", "only you see this")
	p.WaitFor(`!document.querySelector('.favorite').disabled`)
	p.Click(".favorite")
	p.WaitFor(`document.querySelector('.favorite[aria-pressed=true]')`)
	p.WaitForText("#said", "Now a favorite")
	p.Do("loading again", chromedp.Reload())
	p.WaitFor(`document.querySelector('.favorite[aria-pressed=true]')`) // and so still signed in
	p.Click("#places button")
	p.WaitForText("#places", "Sign in")
	p.WaitForText("h1", "The catalogue")
	p.settled()
	if text := browser.Asks[string](p.Tab, `document.body.innerText + JSON.stringify(sessionStorage)`); strings.Contains(text, "secret sketch") || strings.Contains(text, "token") {
		t.Errorf("after signing out there is still %s", text)
	}

	p.GoTo("/sign-in")
	p.WaitFor(`document.querySelector('.other summary')`)
	p.Click(".other summary")
	p.Write("#token", v.token(t, v.user)+"x")
	p.Click(".other form button")
	p.WaitForText(".other [role=alert]", "does not hold")
	p.Expects("401")
	p.Choose("#token", "")
	p.Write("#token", v.token(t, v.user))
	p.Click(".other form button")
	p.WaitForText(".cards", "Clara's secret sketch")
}

// byKeyboard finds a score and reads it without a mouse.
func byKeyboard(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/", browser.Desktop)
	p.WaitForText(".count", "25 scores")
	p.Press(kb.Tab)
	p.WaitFor(`document.activeElement.matches('.skip')`)
	p.Press(kb.Enter)
	p.Press(kb.Tab)
	p.WaitFor(`document.activeElement.id === 'q'`)
	p.Press("elise")
	p.WaitFor(`document.querySelectorAll('.cards .title').length === 1`)
	for n := 0; !browser.Asks[bool](p.Tab, `document.activeElement.matches('a.card')`); n++ {
		if n > 20 {
			t.Fatalf("the score is not reached: %s", browser.Asks[string](p.Tab, `document.activeElement.outerHTML`))
		}
		p.Press(kb.Tab)
		if browser.Asks[string](p.Tab, `getComputedStyle(document.activeElement).outlineStyle`) == "none" {
			t.Errorf("the focus does not show on %s", browser.Asks[string](p.Tab, `document.activeElement.outerHTML.slice(0, 100)`))
		}
	}
	p.Press(kb.Enter)
	p.WaitForText("article h1", "Für Elise")
	p.Press(kb.Tab)
	p.WaitFor(`document.activeElement.matches('.composer a')`)
}

func failing(t *testing.T, v *visitors) {
	t.Helper()
	p := v.visit(t, "/", browser.Desktop)
	p.WaitForText(".count", "25 scores")
	p.Connect(false)
	p.Write("#q", "nocturne")
	p.WaitForText(".results [role=alert]", "No connection")
	p.Expects("ERR_INTERNET_DISCONNECTED")
	p.Connect(true)
	p.Click(".results button")
	p.WaitForText(".count", "1 match")
	p.Taken()
}

func forEverybody(t *testing.T, v *visitors) {
	t.Helper()
	score := strings.TrimPrefix(v.as(t, nobody, http.MethodGet, "/api/scores/search?q=alhambra", "").is(t, 200, "").body, `{"success":true,"data":[{"id":"`)[:36]
	for name, on := range map[string]browser.Screen{
		"desktop": browser.Desktop, "phone": browser.Phone,
		"desktop-dark": {Width: browser.Desktop.Width, Height: browser.Desktop.Height, Dark: true}, "phone-dark": {Width: browser.Phone.Width, Height: browser.Phone.Height, Dark: true},
	} {
		p := v.visit(t, "/", on)
		p.WaitForText(".count", "25 scores")
		p.Accessible()
		if heard := p.Heard(); len(heard["search"]) != 1 || len(heard["searchbox"]) != 1 || len(heard["listitem"]) < 24 || len(heard["status"]) != 1 {
			t.Errorf("%s: heard are %v", name, heard)
		}
		p.GoTo("/?stylePeriod=romantic&sort=title")
		p.WaitForText(".count", "11 scores")
		p.show(name + "-catalogue")
		p.GoTo("/scores/" + score)
		p.WaitForText("article h1", "Alhambra")
		p.Accessible()
		p.show(name + "-score")
		p.GoTo("/sign-in")
		p.WaitForText("h1", "Sign in")
		p.Accessible()
		p.show(name + "-sign-in")
		p.GoTo("/?q=zzzz&difficulty=advanced")
		p.WaitForText(".notice", "Nothing fits")
		p.Accessible()
		p.show(name + "-nothing")
	}
}

// show takes a picture if somebody wants to look at it.
func (p *tab) show(name string) {
	p.t.Helper()
	if *pictures != "" {
		p.Picture(*pictures, name)
	}
}
