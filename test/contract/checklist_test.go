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

// promises are what the API of the service promises, by the numbers that the names of its tests carry.
var promises = map[string]string{
	"C01": "liveness asks nothing",
	"C02": "readiness asks the database",
	"C03": "health of each dependency",
	"C04": "metrics",
	"C05": "the API's document",
	"C06": "unknown paths and methods",
	"C07": "create, read, update, delete, search, bulk update",
	"C10": "the envelope of one thing",
	"C11": "the envelope of a list",
	"C12": "accepted for later",
	"C13": "bulk changes and their limit",
	"C14": "errors tell nothing of the inside",
	"C15": "codes of errors",
	"C16": "details of errors",
	"C20": "pages",
	"C21": "fields of a score",
	"C22": "which part of a request is wrong",
	"C23": "IDs and slugs",
	"C30": "bearer tokens",
	"C31": "what a token must claim",
	"C32": "sessions",
	"C33": "roles",
	"C34": "what is foreign does not exist",
	"C40": "limits",
	"C41": "answers that tell the limits",
	"C42": "whom a limit counts, and without a database",
	"C50": "Cache-Control",
	"C51": "kept answers",
	"C52": "kept things and lists",
	"C53": "ETag and 304",
	"C54": "ends of what is kept",
	"C55": "private files are kept nowhere",
	"C60": "other origins",
	"C61": "requests can be followed",
	"C62": "idempotency keys",
	"C63": "configuration",
	"C64": "the order of steps",
	"C65": "times, which a benchmark measures",
	"C66": "the queue",
	"C70": "tables",
	"C71": "migrations",
}

var numbered = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)(C\d\d)[A-Z]`)

func TestEveryPromiseHasATest(t *testing.T) {
	kept := keptPromises(t)
	for number, what := range promises {
		if len(kept[number]) == 0 {
			t.Errorf("no test is named after %s: %s", number, what)
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
