package jobs

import (
	"context"
	"net/http"
	"strconv"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// tasksPath is where tasks live.
const tasksPath = "/api/tasks/"

// PathOf is where whoever asked for a job can watch its task.
func PathOf(t Task) string { return tasksPath + t.ID }

// Routes let callers watch their tasks.
func (q *Queue) Routes() []httpapi.Route {
	return []httpapi.Route{{
		Method: http.MethodGet, Path: tasksPath + "{id}", Access: httpapi.Callers,
		Name: "getTask", Group: "Tasks", Summary: "See how far something is that was accepted for later",
		Description: "Tasks that have ended are kept for 30 days.",
		Params:      taskParams{}, Status: http.StatusOK, Response: httpapi.Envelope[Task]{},
		Faults: []fault.Code{fault.NotFound},
		Handler: httpapi.Handle(
			func(r *http.Request) (string, error) { return httpapi.PathUUID(r, "id") },
			func(ctx context.Context, id string) (Task, error) { return q.Task(ctx, auth.FromContext(ctx), id) },
			func(t Task) httpapi.Response { return httpapi.OK(t).WithHeader("Cache-Control", "no-store") }),
	}}
}

type taskParams struct {
	ID string `path:"id" format:"uuid" required:"true"`
}

// rowParams describe the parameters of a route to one job.
type rowParams struct {
	ID int64 `path:"id" minimum:"1" required:"true"`
}

// listParams describe the parameters of the list of jobs.
type listParams struct {
	httpapi.PageParams
	Standing string `query:"standing" enum:"waiting,working,done,refused,dead" default:"dead"`
}

// wantedRows is a page of the jobs of a standing.
type wantedRows struct {
	standing    Standing
	page, limit int
}

// foundRows is what there is of it.
type foundRows struct {
	wantedRows
	rows  []Row
	total int64
}

// Routes let admins look after jobs.
func (a *Administration) Routes() []httpapi.Route {
	const group, path = "Administration", "/api/admin/jobs"
	change := func(name, summary string, act func(context.Context, auth.Identity, int64) (Row, error)) httpapi.Route {
		return httpapi.Route{
			Method: http.MethodPost, Path: path + "/{id}/" + name, Access: httpapi.Admins,
			Name: name + "Job", Group: group, Summary: summary,
			Params: rowParams{}, Status: http.StatusOK, Response: httpapi.Envelope[Row]{},
			Faults: []fault.Code{fault.NotFound, fault.Conflict},
			Handler: httpapi.Handle(decodeRow,
				func(ctx context.Context, id int64) (Row, error) { return act(ctx, auth.FromContext(ctx), id) },
				httpapi.OK[Row]),
		}
	}
	return []httpapi.Route{
		{
			Method: http.MethodGet, Path: path, Access: httpapi.Admins,
			Name: "listJobs", Group: group, Summary: "List the jobs of the queue, the newest first",
			Params: listParams{}, Status: http.StatusOK, Response: httpapi.ListEnvelope[Row]{},
			Handler: httpapi.Handle(decodeRows,
				func(ctx context.Context, w wantedRows) (foundRows, error) {
					rows, total, err := a.List(ctx, w.standing, w.page, w.limit)
					return foundRows{wantedRows: w, rows: rows, total: total}, err
				},
				func(f foundRows) httpapi.Response {
					return httpapi.List(f.rows, httpapi.Paginate(f.page, f.limit, f.total))
				}),
		},
		change("retry", "Have a job tried again that was refused or is dead", a.Retry),
		change("cancel", "Keep a job from being tried again", a.Cancel),
	}
}

func decodeRow(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, fault.InvalidInput("Invalid route parameters",
			fault.Detail{Field: "id", Code: "number", Message: "must be the number of a job"})
	}
	return id, nil
}

func decodeRows(r *http.Request) (wantedRows, error) {
	q := httpapi.ReadQuery(r)
	var w wantedRows
	w.page, w.limit = q.Page()
	w.standing = Standing(q.OneOf("standing", string(Dead),
		string(Waiting), string(Working), string(Done), string(Refused), string(Dead)))
	return w, q.Err()
}
