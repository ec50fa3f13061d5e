// Package browser looks at pages in a real Chromium, as tests do that are about what a person sees. It owns the browser and what every
// page is held to; what a page is and where it is served is the test's.
package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a test waits for a page, on a machine that does much else.
const patience = time.Minute

// Browser is a running Chromium.
type Browser struct {
	ctx context.Context
}

// AnyCertificate has the browser trust whoever it talks to, as it must a test with a certificate of its own.
func AnyCertificate() chromedp.ExecAllocatorOption {
	return chromedp.Flag("ignore-certificate-errors", true)
}

// Start starts Chromium, which ends with the test.
func Start(t *testing.T, more ...chromedp.ExecAllocatorOption) *Browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is not installed; make test installs Debian's package chromium")
	}
	allocated, stop := chromedp.NewExecAllocator(t.Context(), append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.NoFirstRun, chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(patience),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
	}, more...)...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocated)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return &Browser{ctx}
}

// Tab is a page in a browser, in a profile of its own. What it complains of fails the test.
type Tab struct {
	t   *testing.T
	ctx context.Context
	// origin is what addresses begin with.
	origin string

	mu         sync.Mutex
	complaints []string
}

// Screen is what a page is seen on.
type Screen struct {
	Width, Height int64
	Dark          bool
}

// The screens that a page is made for.
var (
	Desktop = Screen{Width: 1280, Height: 900}
	Phone   = Screen{Width: 360, Height: 740}
)

// Open opens a tab that lasts as long as the test. origin is what the addresses begin with that it goes to.
func (b *Browser) Open(t *testing.T, origin string, on Screen) *Tab {
	t.Helper()
	p := &Tab{t: t, origin: origin}
	ctx, end := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	t.Cleanup(end)
	p.ctx = ctx
	if err := chromedp.Do(ctx); err != nil { // the tab ends with the first context that it is used with
		t.Fatal(err)
	}
	scheme := "light"
	if on.Dark {
		scheme = "dark"
	}
	var viewport []chromedp.EmulateViewportOption
	if on.Width < 500 {
		viewport = append(viewport, chromedp.EmulateMobile)
	}
	p.Do("opening a tab", chromedp.EmulateViewport(on.Width, on.Height, viewport...))
	Ordered(p, cdplog.Enable, cdp.Empty{})
	Ordered(p, network.Enable, network.EnableParams{})
	Ordered(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	t.Cleanup(func() {
		for _, complaint := range p.Taken() {
			t.Errorf("the browser complains: %s", complaint)
		}
	})
	return p
}

// hear gathers what the console shows as an error, violations of the policy among it.
func (p *Tab) hear(event any) {
	complaint := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		complaint = describe(e.ExceptionDetails)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			args, _ := json.Marshal(e.Args)
			complaint = string(args)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			complaint = fmt.Sprintf("%s %s", e.Entry.Text, e.Entry.URL)
		}
	}
	if complaint == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.complaints = append(p.complaints, complaint)
}

// Taken takes the complaints away and returns them.
func (p *Tab) Taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.complaints
	p.complaints = nil
	return all
}

// Expects takes complaints away that each hold one of the texts; there must be one.
func (p *Tab) Expects(texts ...string) {
	p.t.Helper()
	found := p.Taken()
	if len(found) == 0 {
		p.t.Errorf("the browser does not complain of %q", texts)
	}
	for _, complaint := range found {
		if !containsAny(complaint, texts) {
			p.t.Errorf("the browser complains: %s", complaint)
		}
	}
}

func containsAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// Do carries out actions one after the other.
func (p *Tab) Do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// Learn is what an action finds out.
func Learn[T any](p *Tab, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
	return found
}

// Ordered gives the browser a command of its protocol.
func Ordered[P, R any](p *Tab, given cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, given, params)
	if err != nil {
		p.t.Fatalf("%s: %v", given.Method, err)
	}
	return result
}

// GoTo loads an address of the service.
func (p *Tab) GoTo(path string) {
	p.t.Helper()
	p.Do("going to "+path, chromedp.Navigate(p.origin+path))
}

// Asks evaluates an expression. The page's policy does not hold for it.
func Asks[T any](p *Tab, expression string) T {
	p.t.Helper()
	return Learn(p, expression, chromedp.Evaluate[T](expression))
}

// WaitFor waits until an expression is true.
func (p *Tab) WaitFor(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if Asks[bool](p, "!!("+expression+")") {
			return
		}
		if time.Now().After(deadline) {
			given := Asks[string](p, `location.href + " " + JSON.stringify([...document.querySelectorAll("input")].map((i) => [i.id, i.value]))`)
			p.t.Fatalf("it does not become true that %s; at %s the page shows:\n%s", expression, given, Asks[string](p, "document.body.innerText"))
		}
	}
}

// WaitForText waits until an element's text holds one.
func (p *Tab) WaitForText(selector, text string) {
	p.t.Helper()
	p.WaitFor(fmt.Sprintf("document.querySelector(%q)?.textContent.includes(%q)", selector, text))
}

// Click clicks the first element of a selector.
func (p *Tab) Click(selector string) {
	p.t.Helper()
	p.Do("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Write types into an element.
func (p *Tab) Write(selector, text string) {
	p.t.Helper()
	p.Do("typing into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Press presses keys, of which each goes to whatever has the focus.
func (p *Tab) Press(keys string) {
	p.t.Helper()
	p.Do("pressing keys", chromedp.KeyEvent(keys))
}

// Back goes back in the history of the tab.
func (p *Tab) Back() {
	p.t.Helper()
	Asks[any](p, `window.history.back()`)
}

// Texts are those of all elements.
func (p *Tab) Texts(selector string) []string {
	p.t.Helper()
	return Asks[[]string](p, fmt.Sprintf("[...document.querySelectorAll(%q)].map((e) => e.textContent.trim())", selector))
}

// Picture writes what the tab shows into a file, for a person to look at.
func (p *Tab) Picture(directory, name string) {
	p.t.Helper()
	png := Learn(p, "taking a picture", chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join(directory, name+".png"), png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// Heard are the roles and names of what a screen reader tells of.
func (p *Tab) Heard() map[string][]string {
	p.t.Helper()
	all := map[string][]string{}
	for _, node := range Ordered(p, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{}).Nodes {
		if node.Ignored || node.Role == nil {
			continue
		}
		role, name := textOf(p, node.Role), textOf(p, node.Name)
		all[role] = append(all[role], name)
	}
	return all
}

func textOf(p *Tab, value *accessibility.Value) string {
	p.t.Helper()
	if value == nil || len(value.Value) == 0 {
		return ""
	}
	var text string
	if err := json.Unmarshal(value.Value, &text); err != nil {
		p.t.Fatal(err)
	}
	return text
}

// Accessible holds what is shown to what everybody needs who does not see it, sees it badly, or has no mouse.
func (p *Tab) Accessible() {
	p.t.Helper()
	heard := p.Heard()
	for _, landmark := range []string{"banner", "main", "navigation", "contentinfo"} {
		if len(heard[landmark]) == 0 {
			p.t.Errorf("there is no %s among %v", landmark, heard)
		}
	}
	for _, role := range []string{"link", "button", "textbox", "searchbox", "combobox", "image", "img", "navigation", "search", "region", "progressbar", "heading"} {
		for _, name := range heard[role] {
			if strings.TrimSpace(name) == "" {
				p.t.Errorf("a %s has no name", role)
			}
		}
	}
	for what, expression := range map[string]string{
		"headings of the first level": `document.querySelectorAll('h1').length === 1 ? [] : [document.querySelectorAll('h1').length]`,
		"IDs that are there twice":    `[...document.querySelectorAll('[id]')].map((e) => e.id).filter((id, i, all) => all.indexOf(id) !== i)`,
		"a width beyond the screen":   `document.documentElement.scrollWidth <= window.innerWidth ? [] : [document.documentElement.scrollWidth]`,
		"small things to hit":         smallTargets,
		"pale text":                   paleText,
	} {
		if wrong := Asks[[]any](p, expression); len(wrong) > 0 {
			p.t.Errorf("%s at %s: %v", what, Asks[string](p, "location.pathname"), wrong)
		}
	}
}

// smallTargets are the controls that are lower than 24 pixels (WCAG 2.2, 2.5.8), links in a line of text apart.
const smallTargets = `[...document.querySelectorAll('button, input, select, summary, nav a, a.card')]
	.filter((e) => e.checkVisibility()).filter((e) => e.getBoundingClientRect().height < 24).map((e) => e.outerHTML.slice(0, 80))`

// paleText are texts that stand out less than 4.5 to 1 from what is behind them (WCAG 2.2, 1.4.3).
const paleText = `(() => {
	const color = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
	const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
		.reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => {
		for (let at = e; at; at = at.parentElement) {
			const found = color(getComputedStyle(at).backgroundColor);
			if (found.length === 3 || found[3] === 1) return found;
		}
		return [255, 255, 255];
	};
	const pale = [];
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walk.nextNode()) {
		const e = walk.currentNode.parentElement;
		if (!walk.currentNode.textContent.trim() || !e.checkVisibility() || e.closest('.unseen, .skip, [aria-hidden=true], :disabled')) continue;
		const [a, b] = [light(color(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < 4.5) pale.push(walk.currentNode.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
	}
	return pale;
})()`

// Choose sets a value, as somebody does who clicks an option or clears a field.
func (p *Tab) Choose(selector, value string) {
	p.t.Helper()
	Asks[any](p, fmt.Sprintf(`(() => {
		const e = document.querySelector(%q);
		e.value = %q;
		for (const name of ['input', 'change']) e.dispatchEvent(new Event(name, { bubbles: true }));
	})()`, selector, value))
}

// Connect cuts the connection to the service, or mends it.
func (p *Tab) Connect(is bool) {
	p.t.Helper()
	Ordered(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: !is, DownloadThroughput: -1, UploadThroughput: -1}},
	})
}

// describe is what the page threw.
func describe(thrown *runtime.ExceptionDetails) string {
	text := thrown.Text
	if thrown.Exception != nil {
		text += " " + thrown.Exception.Description
	}
	return text
}
