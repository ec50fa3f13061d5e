// Package pgserver runs a private PostgreSQL server, from the programs of an installed PostgreSQL, for tests, for
// development and for copies of a database that are looked at once: its own data directory, its own password, its own free port on
// the loopback interface or only a Unix socket.
//
// It owns that server's whole life: finding the programs, making the data directory, starting, taking over what a
// killed run left behind, stopping. It does not install PostgreSQL, does not touch servers that run on the machine
// already, and is no way to run a database in production.
//
// In tests, TestMain hands over to Run and each test asks for its own Database:
//
//	func TestMain(m *testing.M) { os.Exit(pgserver.Run(m)) }
//
//	func TestScores(t *testing.T) {
//		db, err := sql.Open("postgres", pgserver.Database(t))
//		...
//	}
//
// A database that takes long to fill, such as one with a schema, is filled once and copied by Filled.
package pgserver
