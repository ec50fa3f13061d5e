package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mirubato/mirubato/service/scores/scorestest"
)

func TestC40LimitsHoldOverAllInstances(t *testing.T) {
	database := scorestest.URL(t)
	g := generations(t.TempDir())
	g.put(t, 1, "rateLimits: {tiers: [{tier: user, requests: 60, window: 1h}]}")
	var pods []*library
	for range 3 {
		pods = append(pods, run(t, database, func(c *Config) { c.SettingsDir = string(g) }))
	}
	token := "Bearer " + pods[0].token(t, alice)
	burst := func(requests int) int {
		t.Helper()
		var allowed atomic.Int64
		var clients sync.WaitGroup
		for i := range requests {
			clients.Go(func() {
				got := pods[i%3].send(t, http.MethodGet, pods[i%3].api+"/api/auth/me", "", "Authorization", token)
				switch {
				case got.status == http.StatusOK:
					allowed.Add(1)
				case got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "":
					t.Errorf("%d %s", got.status, got.body)
				}
				if got.header.Get("X-RateLimit-Limit") != "60" || got.header.Get("X-RateLimit-Remaining") == "" || got.header.Get("X-RateLimit-Reset") == "" {
					t.Errorf("%d with headers %v", got.status, got.header)
				}
			})
		}
		clients.Wait()
		return int(allowed.Load())
	}
	got, most := burst(300), 60
	for _, pod := range pods {
		if metrics := pod.send(t, http.MethodGet, pod.ops+"/metrics", "").body; !strings.Contains(metrics, "\nratelimit_fallbacks_total 0\n") {
			most = 4 * 60 // so busy is the machine that an instance gave up waiting and counted by itself, from 0
		}
		pod.send(t, http.MethodGet, pod.api+"/livez", "").is(t, 200, "")
	}
	if got < 60 || got > most {
		t.Errorf("%d of 60 let through", got)
	}

	g.put(t, 2, "rateLimits: {tiers: [{tier: user, requests: 75, window: 1h}]}")
	for i, pod := range pods {
		eventually(t, fmt.Sprintf("instance %d has the new limit", i), func() bool {
			return strings.Contains(pod.send(t, http.MethodGet, pod.ops+"/health", "").body, `"generation":2`)
		})
	}
	token = "Bearer " + pods[0].token(t, bob)
	if got := pods[0].send(t, http.MethodGet, pods[0].api+"/api/auth/me", "", "Authorization", token).header.Get("X-RateLimit-Limit"); got != "75" {
		t.Errorf("the limit is %s", got)
	}
}

func TestLoggingInIsLimitedByAddress(t *testing.T) {
	l := open(t, func(c *Config) {
		g := generations(t.TempDir())
		g.put(t, 1, "{}")
		c.SettingsDir = string(g)
	})
	for i := range 5 {
		l.as(t, nobody, http.MethodPost, "/api/auth/token", `{"email":"a@example.org","password":"wrong"}`,
			"X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i)).is(t, 401, "AUTHENTICATION_ERROR")
	}
	l.as(t, nobody, http.MethodPost, "/api/auth/token", `{"email":"b@example.org","password":"wrong"}`,
		"X-Forwarded-For", "198.51.100.9").is(t, 429, "RATE_LIMIT_EXCEEDED")
}
