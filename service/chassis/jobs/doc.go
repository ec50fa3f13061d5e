// Package jobs does work after the request that asked for it: once in effect, again if it failed, and by another process if the one
// that did it is gone. It owns the tables of the queue (river_*, job_workers) and tasks, which the migrations of the service bring,
// the routes that show them, and when periodic work is done. It knows no kind of work: a domain brings its kinds.
//
// A kind is registered before Run, and a job is asked for in the transaction that stores what it is about, so that there is never
// one without the other:
//
//	type analyse struct{ VersionID string `json:"versionId"` }
//
//	func (analyse) Kind() string { return "analyse" }
//
//	jobs.Register(queue, jobs.Kind[analyse]{
//		Work: func(ctx context.Context, j *jobs.Job[analyse]) (jobs.Outcome, error) {
//			found, err := examine(ctx, j.Args.VersionID) // may run more than once
//			if err != nil {
//				return jobs.Outcome{}, jobs.Refuse("The file is encrypted; upload it without a password", err)
//			}
//			return jobs.Outcome{Result: found, Commit: func(ctx context.Context) error {
//				return store(ctx, found) // happens once, with the end of the job
//			}}, nil
//		},
//	})
//	err := db.Atomically(ctx, func(ctx context.Context) error {
//		if err := insert(ctx, version); err != nil {
//			return err
//		}
//		task, err = queue.Enqueue(ctx, analyse{version.ID}, jobs.Order{Owner: caller.ID, About: path})
//		return err
//	})
//
// A job that fails is tried again, later each time, until its attempts are used up; then it is dead, and an admin may have it tried
// again. One whose failure is Refused is not tried again. The effects of a job belong into Outcome.Commit, whose transaction also
// ends the job: a process that is killed at any moment leaves a job that was done, or one that will be done, never one that was done
// by half or twice. What Work itself does it must bear to do again.
//
// Whoever asked for a job watches its Task at GET /api/tasks/{id}. Jobs without an Owner have none, such as the periodic ones.
package jobs
