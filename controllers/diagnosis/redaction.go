package diagnosis

import "regexp"

// What a program says when it ends is quoted in the status, where many may read it. These forms are the ones in which
// programs that fail to connect are known to give their credentials away.
var (
	// userinfo is the part of a URL before the @ (RFC 3986 section 3.2.1).
	userinfo = regexp.MustCompile(`(://)[^/\s@]+@`)
	// assignment is a secret given by name, as in connection strings and environment variables.
	assignment = regexp.MustCompile(`(?i)((?:password|passwd|pwd|secret|token|api[-_]?key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&]+)`)
	// bearer is a token of RFC 6750.
	bearer = regexp.MustCompile(`(?i)(bearer\s+)[A-Za-z0-9._~+/=-]+`)
)

// redact takes credentials out of a text that is to be quoted.
func redact(text string) string {
	text = userinfo.ReplaceAllString(text, "$1***@")
	text = bearer.ReplaceAllString(text, "$1***")
	return assignment.ReplaceAllString(text, "$1***")
}
