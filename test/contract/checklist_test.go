package contract_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promises are what the API of the service promises, by the numbers that the names of its tests carry. One whose reason
// is given belongs to what the service does not have.
var promises = map[string]struct{ what, without string }{
	"C01": {what: "liveness asks nothing"},
	"C02": {what: "readiness asks the database"},
	"C03": {what: "health of each dependency"},
	"C04": {what: "metrics"},
	"C05": {what: "the API's document"},
	"C06": {what: "unknown paths and methods"},
	"C07": {what: "create, read, update, delete, search, bulk update"},
	"C10": {what: "the envelope of one thing"},
	"C11": {what: "the envelope of a list"},
	"C12": {what: "accepted for later", without: "nothing is done later: there are no tasks"},
	"C13": {what: "bulk changes and their limit"},
	"C14": {what: "errors tell nothing of the inside"},
	"C15": {what: "codes of errors"},
	"C16": {what: "details of errors"},
	"C20": {what: "pages"},
	"C21": {what: "fields of a score"},
	"C22": {what: "which part of a request is wrong"},
	"C23": {what: "IDs and slugs"},
	"C30": {what: "bearer tokens"},
	"C31": {what: "what a token must claim"},
	"C32": {what: "sessions"},
	"C33": {what: "roles"},
	"C34": {what: "what is foreign does not exist"},
	"C40": {what: "limits"},
	"C41": {what: "answers that tell the limits"},
	"C42": {what: "whom a limit counts, and without a database"},
	"C50": {what: "Cache-Control"},
	"C51": {what: "kept answers"},
	"C52": {what: "kept things and lists"},
	"C53": {what: "ETag and 304"},
	"C54": {what: "ends of what is kept"},
	"C55": {what: "private files are kept nowhere", without: "there are no files"},
	"C60": {what: "other origins"},
	"C61": {what: "requests can be followed"},
	"C62": {what: "idempotency keys"},
	"C63": {what: "configuration"},
	"C64": {what: "the order of steps"},
	"C65": {what: "times, which a benchmark measures"},
	"C66": {what: "the queue", without: "there is no queue"},
	"C70": {what: "tables"},
	"C71": {what: "migrations"},
}

var numbered = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)(C\d\d)[A-Z]`)

func TestEveryPromiseHasATest(t *testing.T) {
	kept := keptPromises(t)
	for number, promise := range promises {
		switch tests := kept[number]; {
		case promise.without == "" && len(tests) == 0:
			t.Errorf("no test is named after %s: %s", number, promise.what)
		case promise.without != "" && len(tests) > 0:
			t.Errorf("%s has tests (%v), so it is no longer true that %s", number, tests, promise.without)
		}
	}
	for number, tests := range kept {
		if _, ok := promises[number]; !ok {
			t.Errorf("%v are named after %s, which nobody promised", tests, number)
		}
	}
}

// keptPromises returns the names of the tests of the service by the number that they carry.
func keptPromises(t *testing.T) map[string][]string {
	t.Helper()
	kept := map[string][]string{}
	for _, root := range []string{"../../service", "../../cmd/scores"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, declared := range file.Decls {
				if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil {
					if found := numbered.FindStringSubmatch(f.Name.Name); found != nil {
						kept[found[1]] = append(kept[found[1]], f.Name.Name)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return kept
}
