package incluster

import (
	"flag"
	"strings"
	"testing"

	"github.com/mirubato/mirubato/test/browser"
)

var screenshots = flag.String("screenshots", "", "directory for pictures of the dashboard")

// TestDashboardInABrowser signs in, sees a change, is offered nothing, and signs out.
func TestDashboardInABrowser(t *testing.T) {
	w := newWorld(t)
	a := somebody(t).may(w.music, reading(microservices, releases))
	started := browser.Start(t, browser.AnyCertificate())
	for name, on := range map[string]browser.Screen{"desktop": browser.Desktop, "phone": browser.Phone} {
		p := started.Open(t, w.origin, on)
		p.GoTo("/")
		p.WaitForText("h1", "Sign in")
		p.Expects("401")
		p.Accessible()
		picture(p, name+"-signin")
		p.Write("#token", "garbage")
		p.Click("button[type=submit]")
		p.WaitForText("[role=alert]", saidUnknown)
		p.Expects("401")
		p.Write("#token", a.token(Audience))
		p.Click("button[type=submit]")
		p.WaitForText(".services .summary", "staging waits")
		p.WaitForText("#link", "Live")
		p.WaitForText(".bottom", "You are system:serviceaccount:"+a.Namespace+":viewer")
		if found := browser.Asks[string](p, `location.href + document.cookie + JSON.stringify([...Object.entries(localStorage), ...Object.entries(sessionStorage)])`); strings.Contains(found, "eyJ") {
			t.Errorf("a script can read the token: %s", found)
		}
		if rows := p.Texts(".services tbody th a"); len(rows) != 1 || rows[0] != "scores" {
			t.Errorf("it shows %v", rows)
		}
		p.Click(".services a")
		p.WaitForText(".environment .box", "Waits for approval")
		p.WaitForText("main", "1.1.0")
		if found := p.Texts("main button"); len(found) > 0 {
			t.Errorf("it offers %v", found)
		}
		p.Accessible()
		picture(p, name)
		w.tell(w.music, "scores", "told to "+name)
		p.WaitForText(".lead", "told to "+name)
		p.Click("#leave button")
		p.WaitForText("h1", "Sign in")
		p.Expects("401")
		p.GoTo("/")
		p.WaitForText("h1", "Sign in")
		p.Expects("401")
		w.tell(w.music, "scores", "1.1.0: staging waits")
	}
	t.Run("rights that are withdrawn", func(t *testing.T) { w.withdrawn(t, started) })
}

// withdrawn takes away the rights first and the account then of somebody who looks.
func (w *world) withdrawn(t *testing.T, started *browser.Browser) {
	t.Helper()
	a := somebody(t).may(w.music, reading(microservices, releases))
	p := started.Open(t, w.origin, browser.Desktop)
	p.GoTo("/")
	p.Write("#token", a.token(Audience))
	p.Click("button[type=submit]")
	p.WaitForText(".services .summary", "staging waits")
	a.mayNot(w.music)
	p.WaitForText("#trouble", "kubectl auth can-i list microservices.platform.mirubato.com")
	p.WaitForText("#link", "Not allowed")
	p.WaitForText("h1", "Nothing to see")
	if shown := browser.Asks[string](p, "document.body.innerText"); strings.Contains(shown, "staging waits") {
		t.Errorf("it still shows:\n%s", shown)
	}
	p.Accessible()
	picture(p, "withdrawn")
	a.may(w.music, reading(microservices, releases))
	p.WaitForText(".services .summary", "staging waits")
	a.leave()
	p.WaitForText("h1", "Sign in")
	p.WaitForText("[role=alert]", saidUnknown)
	p.Expects("401", "403")
}

func picture(p *browser.Tab, name string) {
	if *screenshots != "" {
		p.Picture(*screenshots, "incluster-"+name)
	}
}
