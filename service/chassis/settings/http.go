package settings

import (
	"context"
	"errors"
	"net/http"

	"github.com/mirubato/mirubato/api/contract"
	"github.com/mirubato/mirubato/api/settings"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// maxPush is the size of a token with the largest settings: base64 makes four bytes of three, and JSON two of a line break.
const maxPush = 3 * settings.MaxSize

// Routes take settings that are sent. They belong to the port of operations; the signature says who may.
func (l *Live) Routes() []httpapi.Route {
	return []httpapi.Route{{
		Method: http.MethodPut, Path: contract.SettingsPath, Access: httpapi.Open,
		Name: "putSettings", Group: "Operation", Summary: "Use settings before they are in the files",
		Consumes: []string{contract.SettingsPushMediaType}, MaxBody: maxPush,
		Status: http.StatusOK, Response: contract.SettingsReport{},
		Faults: []fault.Code{fault.Unauthenticated, fault.Conflict},
		Handler: l.oneAtATime(httpapi.Handle(
			func(r *http.Request) (string, error) {
				if _, err := httpapi.RequireMedia(r, contract.SettingsPushMediaType); err != nil {
					return "", err
				}
				body, err := httpapi.ReadBody(r)
				return string(body), err
			},
			func(_ context.Context, token string) (contract.SettingsReport, error) {
				err := l.Push(token)
				return l.Report(), faultOf(err)
			},
			func(r contract.SettingsReport) httpapi.Response { return httpapi.JSON(http.StatusOK, r) })),
	}}
}

// oneAtATime refuses a request while another one is served. Nobody but the operator has anything to send, and it sends one thing at a time; without
// this, anybody who reaches the port could fill the memory with what is large and not signed.
func (l *Live) oneAtATime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.receiving.TryLock() {
			httpapi.WriteError(r.Context(), w, fault.New(fault.Unavailable, "Other settings are being received"))
			return
		}
		defer l.receiving.Unlock()
		next.ServeHTTP(w, r)
	})
}

func faultOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrIncomplete):
		return fault.InvalidInput(httpapi.InvalidBody, fault.Detail{Code: "required", Message: err.Error()})
	case errors.Is(err, ErrOutdated):
		return fault.Wrap(fault.Conflict, "These settings are outdated: ask "+contract.HealthPath+" for the present nonce", err)
	}
	return fault.Wrap(fault.Unauthenticated, "A token by the key of the settings is required", err)
}
