// Package lint judges migration files before they run: whether the release before can go on running on the result (compatibility),
// whether anybody has to wait for a table (locks), and whether the file can be applied and applied again (runner).
//
// It owns the rules, the knowledge of which locks PostgreSQL takes for a statement and which tables it rewrites, and the model of a
// schema that the rules look things up in. The model is filled from the files before, or from a database. Nothing is executed:
// statements are parsed by PostgreSQL's own grammar. How files are cut into statements belongs to package migrate, the shape
// of the report to package contract.
//
// The parser is C. Only mirubato-migrate may link this package.
package lint
