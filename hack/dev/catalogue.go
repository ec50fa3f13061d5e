package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// catalogue is a list of bodies for POST /api/scores: works in the public domain.
//
//go:embed catalogue.json
var catalogue []byte

// client is for the service on this machine; nothing takes long there.
var client = &http.Client{Timeout: 10 * time.Second}

// seed fills an empty catalogue through the API, like anybody else, in the name of the teacher. It returns how many works it has
// added: 0 if there was anything, of whomever, which only the admin can see.
func seed(ctx context.Context, api string, as tokens) (added int, err error) {
	var works []json.RawMessage
	if err := json.Unmarshal(catalogue, &works); err != nil {
		return 0, fmt.Errorf("reading the catalogue: %w", err)
	}
	var page struct {
		Pagination struct {
			Total int `json:"total"`
		} `json:"pagination"`
	}
	if err := call(ctx, http.MethodGet, api+"/api/scores?limit=1", as.admin, nil, &page); err != nil {
		return 0, fmt.Errorf("looking into the catalogue: %w", err)
	}
	if page.Pagination.Total > 0 {
		return 0, nil
	}
	for i, work := range works {
		if err := call(ctx, http.MethodPost, api+"/api/scores", as.teacher, work, nil); err != nil {
			return i, fmt.Errorf("adding work %d of the catalogue: %w", i+1, err)
		}
	}
	return len(works), nil
}

// call sends a body, if there is one, and decodes the answer into result, if that is wanted.
func call(ctx context.Context, method, url, token string, body []byte, result any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s answered %s: %s", method, url, resp.Status, content)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(content, result)
}
