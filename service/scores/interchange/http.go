package interchange

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

const (
	group = "Export and import"

	// The types of the two formats, and another one that JSON Lines goes by.
	jsonlType      = "application/x-ndjson"
	otherJSONLType = "application/jsonl"
	csvType        = "text/csv"
)

const (
	// longestExport bounds an export however slowly its client reads, since it holds a connection to the database.
	longestExport = 10 * time.Minute
	// chunkPatience is how long a client may take to read a part of an export. The database waits a little longer for the next
	// statement.
	chunkPatience = 8 * time.Second
)

// CountHeader tells how many scores an export holds, so that a client can tell a complete one also behind a proxy that hides how
// the connection ended.
const CountHeader = "X-Total-Count"

// Routes are the export and the import. Later may be nil, or have no storage; then every file is done while its client waits.
func Routes(s *Service, later *Later) []httpapi.Route {
	return []httpapi.Route{
		{
			Method: http.MethodGet, Path: "/api/scores/export", Access: httpapi.Callers, Class: httpapi.ClassUpload,
			Name: "exportScores", Group: group, Summary: "Take all of the caller's scores out as a file",
			Description: "The scores are as they were at one moment, the oldest first, and their number stands in " + CountHeader +
				". An answer that breaks off is not complete.",
			Params: exportParams{}, Status: http.StatusOK, MediaType: jsonlType + ", " + csvType,
			Handler: exporter{service: s, longest: longestExport, patience: chunkPatience},
		},
		importRoute(s, later),
	}
}

type exportParams struct {
	Format Format `query:"format" enum:"jsonl,csv" default:"jsonl" description:"JSON Lines, or CSV with a byte order mark for spreadsheets."`
}

// exporter answers with an export while it is read from the database.
type exporter struct {
	service           *Service
	longest, patience time.Duration
}

// ServeHTTP implements http.Handler.
func (e exporter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := httpapi.ReadQuery(r)
	format := Format(q.OneOf("format", string(JSONL), string(JSONL), string(CSV)))
	if err := q.Err(); err != nil {
		httpapi.WriteError(r.Context(), w, err)
		return
	}
	ctx, cancel := httpapi.Outlast(r.Context(), e.longest)
	defer cancel()
	to := &download{w: w, control: http.NewResponseController(w), format: format, patience: e.patience}
	err := e.service.Export(ctx, auth.FromContext(ctx), format, to)
	switch {
	case err == nil:
	case !to.begun:
		httpapi.WriteError(r.Context(), w, err)
	default:
		httpapi.RecordOf(r.Context()).Fault = fault.Of(err)
		// The end of the connection instead of the end of the body is how a client learns that this is not all.
		panic(http.ErrAbortHandler)
	}
}

// download is the answer that an export goes to.
type download struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	format   Format
	patience time.Duration
	begun    bool
}

// Begin implements Destination.
func (d *download) Begin(total int64) error {
	mediaType := jsonlType
	if d.format == CSV {
		mediaType = csvType + "; charset=utf-8; header=present"
	}
	h := d.w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", `attachment; filename="scores.`+string(d.format)+`"`)
	h.Set(CountHeader, strconv.FormatInt(total, 10))
	d.begun = true
	return d.extend()
}

// Write implements io.Writer.
func (d *download) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	return n, d.lost(err)
}

// Flush implements Destination.
func (d *download) Flush() error {
	if err := d.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return d.lost(err)
	}
	return d.extend()
}

// extend gives the client time for the next part. Not every http.ResponseWriter is a server's.
func (d *download) extend() error {
	if err := d.control.SetWriteDeadline(time.Now().Add(d.patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return d.lost(err)
	}
	return nil
}

// lost is the fault of a client that is gone, or as good as that.
func (*download) lost(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Canceled, "The client stopped reading the export", err)
}
