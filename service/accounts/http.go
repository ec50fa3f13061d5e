package accounts

import (
	"context"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

const (
	group     = "Accounts"
	usersPath = "/api/admin/users"
)

// Routes are login, refresh, logout, me, the own password, and making, listing and changing users.
func Routes(a *Accounts) []httpapi.Route { return append(sessionRoutes(a), userRoutes(a)...) }

// sessionRoutes are what users do with their own sessions and passwords.
func sessionRoutes(a *Accounts) []httpapi.Route {
	return []httpapi.Route{
		{
			Method: http.MethodPost, Path: "/api/auth/token", Access: httpapi.Open,
			Class: httpapi.ClassAuth, Name: "login", Group: group, Summary: "Log in",
			Request: Credentials{}, Status: http.StatusOK, Response: httpapi.Envelope[Tokens]{},
			Faults:  []fault.Code{fault.Unauthenticated},
			Handler: httpapi.Handle(httpapi.DecodeJSON[Credentials], a.Login, httpapi.OK[Tokens]),
		},
		{
			Method: http.MethodPost, Path: "/api/auth/refresh", Access: httpapi.Open,
			Name: "refresh", Group: group, Summary: "Exchange a refresh token for new tokens",
			Description: "A refresh token is good for one use; a second use ends the session.",
			Request:     Refresh{}, Status: http.StatusOK, Response: httpapi.Envelope[Tokens]{},
			Faults:  []fault.Code{fault.Unauthenticated},
			Handler: httpapi.Handle(httpapi.DecodeJSON[Refresh], a.Refresh, httpapi.OK[Tokens]),
		},
		{
			Method: http.MethodPost, Path: "/api/auth/logout", Access: httpapi.Open,
			Name: "logout", Group: group, Summary: "End the session of a refresh token",
			Description: "Access tokens of the session stay good until they expire.",
			Request:     Refresh{}, Status: http.StatusNoContent,
			Handler: httpapi.Handle(httpapi.DecodeJSON[Refresh],
				func(ctx context.Context, r Refresh) (struct{}, error) { return struct{}{}, a.Logout(ctx, r) },
				func(struct{}) httpapi.Response { return httpapi.NoContent() }),
		},
		{
			Method: http.MethodGet, Path: "/api/auth/me", Access: httpapi.Callers,
			Name: "me", Group: group, Summary: "Who is calling", Status: http.StatusOK, Response: httpapi.Envelope[Me]{},
			Handler: httpapi.Handle(func(*http.Request) (struct{}, error) { return struct{}{}, nil },
				func(ctx context.Context, _ struct{}) (Me, error) { return a.Me(ctx, auth.FromContext(ctx)) },
				httpapi.OK[Me]),
		},
		{
			Method: http.MethodPut, Path: "/api/auth/password", Access: httpapi.Callers, Class: httpapi.ClassAuth,
			Name: "changePassword", Group: group, Summary: "Change the caller's password",
			Description: "All sessions end, and a new one begins. Access tokens that were handed out stay good until they expire.",
			Request:     PasswordChange{}, Sensitive: true, Status: http.StatusOK, Response: httpapi.Envelope[Tokens]{},
			Faults: []fault.Code{fault.NotFound, fault.Denied, fault.Conflict},
			Handler: httpapi.Handle(httpapi.DecodeJSON[PasswordChange],
				func(ctx context.Context, p PasswordChange) (Tokens, error) {
					return a.ChangePassword(ctx, auth.FromContext(ctx), p)
				}, httpapi.OK[Tokens]),
		},
	}
}

// userRoutes are what admins do with users.
func userRoutes(a *Accounts) []httpapi.Route {
	return []httpapi.Route{
		{
			Method: http.MethodPost, Path: usersPath, Access: httpapi.Admins,
			Name: "createUser", Group: group, Summary: "Make a user",
			Request: NewUser{}, Sensitive: true, Status: http.StatusCreated, Response: httpapi.Envelope[User]{},
			Faults: []fault.Code{fault.Conflict},
			Handler: httpapi.Handle(httpapi.DecodeJSON[NewUser],
				func(ctx context.Context, n NewUser) (User, error) { return a.Create(ctx, auth.FromContext(ctx), n) },
				func(u User) httpapi.Response {
					return httpapi.OKMessage(u, "Created successfully").WithStatus(http.StatusCreated)
				}),
		},
		{
			Method: http.MethodGet, Path: usersPath, Access: httpapi.Admins,
			Name: "listUsers", Group: group, Summary: "List users, the newest first",
			Params: userParams{}, Status: http.StatusOK, Response: httpapi.ListEnvelope[User]{},
			Handler: httpapi.Handle(decodeUserList, a.list, func(l userList) httpapi.Response {
				return httpapi.List(l.users, httpapi.Paginate(l.page, l.limit, l.total))
			}),
		},
		{
			Method: http.MethodPatch, Path: usersPath + "/{id}", Access: httpapi.Admins,
			Name: "updateUser", Group: group, Summary: "Change the role or the password of a user, disable or enable it",
			Description: "A disabled user cannot log in, and its sessions end; so they do with a new password. " +
				"Access tokens that were handed out stay good until they expire.",
			Params: idParams{}, Request: UserChange{}, Sensitive: true, Status: http.StatusOK, Response: httpapi.Envelope[User]{},
			Faults: []fault.Code{fault.NotFound, fault.Conflict},
			Handler: httpapi.Handle(decodeUserChange, func(ctx context.Context, c changeOf) (User, error) {
				return a.Change(ctx, auth.FromContext(ctx), c.id, c.change)
			}, httpapi.OK[User]),
		},
	}
}

// userParams describe what decodeUserList reads.
type userParams struct {
	httpapi.PageParams
	Email string `query:"email" maxLength:"254" description:"Only the user with this address, in any case."`
}

// userList is a page of users and where it lies.
type userList struct {
	email       string
	page, limit int
	users       []User
	total       int64
}

func decodeUserList(r *http.Request) (userList, error) {
	const longestEmail = 254
	q := httpapi.ReadQuery(r)
	l := userList{email: q.Text("email", longestEmail)}
	l.page, l.limit = q.Page()
	return l, q.Err()
}

func (a *Accounts) list(ctx context.Context, l userList) (userList, error) {
	var err error
	l.users, l.total, err = a.List(ctx, auth.FromContext(ctx), l.email, l.page, l.limit)
	return l, err
}

// idParams describe the path of a user.
type idParams struct {
	ID string `path:"id" format:"uuid" required:"true"`
}

// changeOf is a change and whose it is.
type changeOf struct {
	id     string
	change UserChange
}

func decodeUserChange(r *http.Request) (changeOf, error) {
	id, err := httpapi.PathUUID(r, "id")
	if err != nil {
		return changeOf{}, err
	}
	change, err := httpapi.DecodeJSON[UserChange](r)
	return changeOf{id: id, change: change}, err
}
