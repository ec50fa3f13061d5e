package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-cmp/cmp"
)

// compared are the fields in which the answers must not differ; the service has more.
var compared = []string{"ownerId", "title", "composer", "tags", "status", "visibility", "version", "createdAt", "updatedAt"}

// agree says whether a contender answers like the first one, the service itself, and does what it is told.
func (w *world) agree(ctx context.Context, c *contender) error {
	for _, path := range []string{"/api/scores/" + w.hot[3], "/api/scores?limit=20"} {
		if err := w.same(ctx, c, path); err != nil {
			return err
		}
	}
	path, err := w.readsWhatItWrote(ctx, c)
	if err != nil {
		return err
	}
	return w.refusesForged(ctx, c, path)
}

// heard is how long the service may take to hear of what others have written, who do not notify it: it looks once a second.
const heard = 3 * time.Second

// same says whether a contender answers like the service, once that has heard of what the contenders before have written.
func (w *world) same(ctx context.Context, c *contender, path string) error {
	const again = 100 * time.Millisecond
	for deadline := time.Now().Add(heard); ; time.Sleep(again) {
		want, err := w.read(ctx, w.contenders[0], path)
		if err != nil {
			return err
		}
		got, err := w.read(ctx, c, path)
		if err != nil {
			return err
		}
		diff := cmp.Diff(want, got)
		if diff == "" {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is answered in another way (-want +got):\n%s", path, diff)
		}
	}
}

// readsWhatItWrote makes and changes a score and returns its path. A cache must not show what was before.
func (w *world) readsWhatItWrote(ctx context.Context, c *contender) (string, error) {
	made, err := w.write(ctx, c, http.MethodPost, "/api/scores", `{"title":"Bench made","visibility":"public"}`, http.StatusCreated)
	if err != nil {
		return "", err
	}
	path := "/api/scores/" + made.ID
	for _, title := range []string{"Bench made", "Bench changed", "Bench changed again"} {
		if title != "Bench made" {
			if _, err := w.write(ctx, c, http.MethodPut, path, `{"title":"`+title+`"}`, http.StatusOK); err != nil {
				return "", err
			}
		}
		read, err := w.write(ctx, c, http.MethodGet, path, "", http.StatusOK)
		if err != nil || read.Title != title {
			return "", fmt.Errorf("read %q after writing %q, %w", read.Title, title, err)
		}
	}
	return path, nil
}

// written is what is looked at of an answer to a write.
type written struct{ ID, Title string }

func (w *world) write(ctx context.Context, c *contender, method, path, body string, want int) (written, error) {
	status, text, err := w.ask(ctx, c, method, path, body)
	if err != nil || status != want {
		return written{}, fmt.Errorf("%s %s: %d %s, %w", method, path, status, text, err)
	}
	var envelope struct{ Data written }
	err = json.Unmarshal(text, &envelope)
	return envelope.Data, err
}

// refusesForged says whether a token that does not hold is refused. Without any, a public score may be shown.
func (w *world) refusesForged(ctx context.Context, c *contender, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addr+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.token+"x")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("a forged token: %d", res.StatusCode)
	}
	return nil
}

// read returns the compared fields of what is at the path, one map a score, and the total of a list.
func (w *world) read(ctx context.Context, c *contender, path string) ([]any, error) {
	status, body, err := w.ask(ctx, c, http.MethodGet, path, "")
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("%s of %s: %d %s, %w", path, c.name, status, body, err)
	}
	var envelope struct {
		Success    bool
		Data       any
		Pagination struct{ Total int64 }
	}
	if err := json.Unmarshal(body, &envelope); err != nil || !envelope.Success {
		return nil, fmt.Errorf("%s of %s: no envelope: %s, %w", path, c.name, body, err)
	}
	items, ok := envelope.Data.([]any)
	if !ok {
		items = []any{envelope.Data}
	}
	found := []any{envelope.Pagination.Total}
	for _, item := range items {
		fields, ok := item.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s of %s: %v is no score", path, c.name, item)
		}
		kept := map[string]any{"id": fields["id"]}
		for _, name := range compared {
			kept[name] = milliseconds(fields[name])
		}
		found = append(found, kept)
	}
	return found, nil
}

// milliseconds cuts times to what JavaScript keeps of them.
func milliseconds(value any) any {
	text, _ := value.(string)
	if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at.UTC().Truncate(time.Millisecond)
	}
	return value
}
