package main

import (
	"net/http"
	"testing"
	"time"

	"github.com/mirubato/mirubato/service/chassis/objects/s3server"
)

func TestFilesInABucketThatGoesAwayAndComesBack(t *testing.T) {
	server := s3server.Start(t)
	l := open(t, func(c *Config) { c.Storage = server.URL() })
	id := l.score(t, alice, "public")
	first := l.uploaded(t, alice, id, upload{name: "a.xml", content: waltz("A")})
	path := "/api/scores/" + id + "/versions/" + first.ID + "/content"
	if r := l.as(t, alice, http.MethodGet, path, "", "Range", "bytes=5-9"); r.status != http.StatusPartialContent || r.body != waltz("A")[5:10] {
		t.Errorf("a part: %d %q", r.status, r.body)
	}

	server.Stop()
	for name, r := range map[string]reply{
		"a download": l.as(t, alice, http.MethodGet, path, ""),
		"an upload":  l.upload(t, alice, id, upload{name: "b.xml", content: waltz("B")}),
	} {
		if got := decoded[accepted](t, r); r.status != http.StatusServiceUnavailable || got.Code != "SERVICE_ERROR" || r.header.Get("Retry-After") == "" {
			t.Errorf("%s while the storage is away: %d %v %s", name, r.status, r.header, r.body)
		}
	}
	if r := l.as(t, alice, http.MethodGet, "/api/scores/"+id, ""); r.status != http.StatusOK {
		t.Errorf("what needs no storage: %d %s", r.status, r.body)
	}

	server.Restart(t, "", "")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		r := l.upload(t, alice, id, upload{name: "b.xml", content: waltz("B")})
		if r.status == http.StatusAccepted {
			l.awaitTask(t, alice, decoded[accepted](t, r).TaskID, "completed")
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after its return: %d %s", r.status, r.body)
		}
	}
	if n := filesIn(t, server.Dir()); n != 2 {
		t.Errorf("%d objects are stored, want two", n)
	}
}
