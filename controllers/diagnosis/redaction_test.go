package diagnosis

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestCredentialsAreNotQuoted(t *testing.T) {
	const secret = "hunter2"
	for name, said := range map[string]string{
		"a connection URL":             `dial postgres://scores:hunter2@db:5432/scores: connection refused`,
		"a connection URL with a user": `parse "amqp://hunter2@queue/": refused`,
		"a connection string":          `cannot connect to host=db user=scores password=hunter2 dbname=scores`,
		"a quoted password":            `options {"password": "hunter2", "user": "scores"} are wrong`,
		"an environment variable":      `JWT_SECRET=hunter2 is too short`,
		"a bearer token":               `Authorization: Bearer hunter2 was refused`,
		"an API key in a query":        `GET /v1?api_key=hunter2&q=1 failed`,
		"a structured line":            `{"level":"error","msg":"connecting","error":"postgres://a:hunter2@db/x is away"}`,
	} {
		t.Run(name, func(t *testing.T) {
			got := Of([]corev1.Pod{pod(ended(1, "Error", said))})
			if got == nil || strings.Contains(got.Message, secret) || !strings.Contains(got.Message, "***") {
				t.Errorf("finding = %+v", got)
			}
		})
	}
}

func TestOtherWordsAreQuotedAsTheyAre(t *testing.T) {
	const said = `LOG_LEVEL: "loud" is none of debug, info, warn, error; see https://example.com/docs`
	if got := redact(said); got != said {
		t.Errorf("redact changed it to %q", got)
	}
}
