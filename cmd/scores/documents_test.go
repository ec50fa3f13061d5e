package main

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/scores/scorestest"
	"github.com/mirubato/mirubato/test/documents"
)

// visitor is somebody who types one command of the documents after the other.
type visitor struct {
	service *instance
	// variables are those that the documents use, files what earlier commands wrote.
	variables map[string]string
	files     map[string][]byte
}

// TestDocumentedRequests sends every request to the API that the documents show. Each is answered as one that is right: with success or,
// since nobody reads the score's version first, with the word that it is another one.
func TestDocumentedRequests(t *testing.T) {
	commands, err := documents.Commands("../..")
	if err != nil {
		t.Fatal(err)
	}
	music, err := os.ReadFile("../../service/scores/musicxml/testdata/bwv-775-capella.xml")
	if err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(scorestest.URL(t))
	cfg.Storage = t.TempDir()
	service := startService(t, cfg)
	_, _, header := service.call(t, "POST", service.api+"/api/scores", `{"title": "A"}`)
	r := visitor{
		service: service,
		variables: map[string]string{
			"API": service.api, "TOKEN_ALICE": service.token, "TOKEN": tokenOf(t, cfg, auth.RoleAdmin), "ID": path.Base(header.Get("Location")),
		},
		files: map[string][]byte{"waltz.musicxml": music},
	}
	sent := 0
	for _, c := range commands {
		if !c.Begins("curl") {
			continue
		}
		call, err := c.Curl()
		if err != nil {
			t.Errorf("%s: %v", c, err)
		} else if strings.HasPrefix(call.URL, "$API/") {
			sent++
			r.send(t, c, call)
		}
	}
	if sent == 0 {
		t.Error("the documents have no request")
	}
}

func tokenOf(t *testing.T, cfg Config, role auth.Role) string {
	t.Helper()
	var out bytes.Buffer
	if err := printToken(&out, cfg, auth.Identity{ID: "somebody", Role: role}, time.Hour); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

func (r *visitor) send(t *testing.T, c documents.Command, call documents.Call) {
	t.Helper()
	expand := func(text string) string {
		return os.Expand(text, func(name string) string { return r.variables[name] })
	}
	call.Body = expand(call.Body)
	body, mediaType := r.body(t, call)
	request, err := http.NewRequestWithContext(t.Context(), call.Method, expand(call.URL), strings.NewReader(body))
	if err != nil {
		t.Errorf("%s: %v", c, err)
		return
	}
	if _, err := url.ParseQuery(request.URL.RawQuery); err != nil {
		t.Errorf("%s: %v", c, err)
	}
	request.Header.Set("Content-Type", mediaType)
	for name, texts := range call.Header {
		request.Header.Set(name, expand(texts[0]))
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Errorf("%s: %v", c, err)
		return
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || !slices.Contains([]int{200, 201, 202, 412}, response.StatusCode) {
		t.Errorf("%s: answered %d, %v: %s", c, response.StatusCode, err, answer)
	}
	if call.Output != "" {
		r.files[call.Output] = answer
	}
	var later struct {
		TaskID string `json:"taskId"`
	}
	if json.Unmarshal(answer, &later) == nil && later.TaskID != "" {
		r.variables["TASK"] = later.TaskID
	}
}

// body is what is sent, and what curl says of it if nothing else is said.
func (r *visitor) body(t *testing.T, call documents.Call) (string, string) {
	t.Helper()
	field, name, isForm := strings.Cut(call.Form, "=@")
	switch {
	case isForm:
		var form bytes.Buffer
		writer := multipart.NewWriter(&form)
		part, err := writer.CreateFormFile(field, name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write(r.file(t, name)); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		return form.String(), writer.FormDataContentType()
	case call.BodyFile != "":
		return string(r.file(t, call.BodyFile)), "application/x-www-form-urlencoded"
	}
	return call.Body, "application/x-www-form-urlencoded"
}

func (r *visitor) file(t *testing.T, name string) []byte {
	t.Helper()
	content, found := r.files[name]
	if !found {
		t.Errorf("no command before has written %s", name)
	}
	return content
}
