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

// Routes are login, refresh, logout, me, and making users.
func Routes(a *Accounts) []httpapi.Route {
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
	}
}
