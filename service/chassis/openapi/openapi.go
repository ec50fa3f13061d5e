// Package openapi makes the OpenAPI 3.1 document of an API out of its route table, and serves it together with a page
// on which a person can read and try it. It owns how routes and Go types are told in the words of OpenAPI; what is told
// stands in the routes.
package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/swaggest/jsonschema-go"
	"github.com/swaggest/openapi-go"
	"github.com/swaggest/openapi-go/openapi31"

	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

// Info is what the document says of the API as a whole.
type Info struct {
	Title       string
	Description string
	// Version is the version of what runs.
	Version string
	// IdempotencyKeys says that the routes which take idempotency keys are given them (see httpapi.Route.TakesKey).
	IdempotencyKeys bool
}

const (
	jsonType   = "application/json"
	bearerAuth = "bearerAuth"
	components = "#/components/schemas/"
)

// Document returns the document of the routes as JSON. The same routes always yield the same bytes.
func Document(info Info, routes []httpapi.Route) ([]byte, error) {
	b := newBuilder(info)
	for _, route := range routes {
		if info.IdempotencyKeys && route.TakesKey() {
			route.Faults = append(slices.Clone(route.Faults), fault.Conflict, fault.Invalid)
		}
		if err := b.add(route); err != nil {
			return nil, fmt.Errorf("describing %s: %w", route.Pattern(), err)
		}
	}
	document, err := json.Marshal(b.spec())
	if err != nil {
		return nil, fmt.Errorf("encoding the document: %w", err)
	}
	return document, nil
}

// builder gathers operations and the schemas that they refer to.
type builder struct {
	info      Info
	reflector *openapi31.Reflector
	names     map[string]reflect.Type
}

func newBuilder(info Info) *builder {
	b := &builder{info: info, reflector: openapi31.NewReflector(), names: map[string]reflect.Type{}}
	spec := b.spec()
	spec.Openapi = "3.1.0"
	spec.Info = openapi31.Info{Title: info.Title, Version: info.Version, Description: &info.Description}
	// Relative to the document, this is the origin that it was read from.
	spec.Servers = []openapi31.Server{{URL: "/"}}
	spec.SetHTTPBearerTokenSecurity(bearerAuth, "JWT", "An access token.")
	spec.Security = []map[string][]string{{bearerAuth: {}}}
	b.reflector.DefaultOptions = append(b.reflector.DefaultOptions,
		jsonschema.InterceptDefName(b.definitionName),
		jsonschema.InterceptSchema(schemaOf(b.reflector)),
		jsonschema.InterceptProp(ruleOf),
	)
	return b
}

func (b *builder) spec() *openapi31.Spec { return b.reflector.SpecEns() }

func (b *builder) add(route httpapi.Route) error {
	// The mux tells an address that ends in a slash from all that begin with it by a mark, which the document needs not.
	oc, err := b.reflector.NewOperationContext(route.Method, strings.TrimSuffix(route.Path, "{$}"))
	if err != nil {
		return err
	}
	operation := oc.(openapi31.OperationExposer).Operation()
	if route.Params != nil {
		oc.AddReqStructure(route.Params)
	}
	oc.SetID(route.Name)
	oc.SetTags(route.Group)
	oc.SetSummary(route.Summary)
	if route.Description != "" {
		oc.SetDescription(route.Description)
	}
	b.answers(oc, route)
	operation.Security = securityOf(route.Access)
	operation.Parameters = b.headersOf(route)
	switch {
	case route.Consumes != nil:
		operation.RequestBody = rawBody(route.Consumes)
	case route.Request != nil:
		if operation.RequestBody, err = b.requestBody(route); err != nil {
			return err
		}
	}
	// The operation is copied, so nothing can be added to it later.
	return b.reflector.AddOperation(oc)
}

// securityOf overrides the document's rule that a token is needed. An empty requirement means that none is.
func securityOf(access httpapi.Access) []map[string][]string {
	switch access {
	case httpapi.Open:
		return []map[string][]string{{}}
	case httpapi.Anyone:
		return []map[string][]string{{}, {bearerAuth: {}}}
	}
	return nil
}

// answers describes what the route may answer, the faults with their codes.
func (b *builder) answers(oc openapi.OperationContext, route httpapi.Route) {
	for mediaType := range strings.SplitSeq(route.MediaType, ", ") {
		oc.AddRespStructure(route.Response, func(cu *openapi.ContentUnit) {
			cu.HTTPStatus, cu.ContentType = route.Status, mediaType
			if mediaType != "" {
				cu.Structure = nil
			}
			cu.Customize = func(cor openapi.ContentOrReference) { addHeaders(cor, route) }
		})
	}
	for status, body := range route.Others {
		oc.AddRespStructure(body, openapi.WithHTTPStatus(status))
	}
	if isConditional(route) {
		oc.AddRespStructure(nil, func(cu *openapi.ContentUnit) {
			cu.HTTPStatus, cu.Description = http.StatusNotModified, "The client has this version already."
		})
	}
	codes := map[int]string{}
	for _, code := range route.AllFaults() {
		status := httpapi.StatusOf(code)
		if codes[status] != "" {
			codes[status] += ", "
		}
		codes[status] += string(code)
	}
	for status, names := range codes {
		if _, taken := route.Others[status]; taken {
			continue
		}
		oc.AddRespStructure(httpapi.ErrorEnvelope{}, func(cu *openapi.ContentUnit) {
			cu.HTTPStatus, cu.Description = status, http.StatusText(status)+": "+names
			cu.Customize = func(cor openapi.ContentOrReference) { addErrorHeaders(cor, status) }
		})
	}
}

func addHeaders(cor openapi.ContentOrReference, route httpapi.Route) {
	response := cor.(*openapi31.ResponseOrReference).Response
	switch {
	case route.Versioned && route.Status != http.StatusNoContent:
		addHeader(response, "ETag", "The version of the thing.")
	case isConditional(route):
		addHeader(response, "ETag", "Names the content.")
	}
	if route.Sharing != httpapi.Unshared {
		addHeader(response, "X-Cache", "HIT, MISS or STALE if a kept answer was looked for, else BYPASS.")
		addHeader(response, "Age", "How many seconds ago a kept answer was made.")
	}
	if route.Status == http.StatusCreated {
		addHeader(response, "Location", "The path of the new thing.")
	}
}

// isConditional reports whether the route answers 304 to a client that has what it asks for.
func isConditional(route httpapi.Route) bool {
	return route.IsRead() && (route.Versioned || route.Sharing != httpapi.Unshared)
}

func addErrorHeaders(cor openapi.ContentOrReference, status int) {
	response := cor.(*openapi31.ResponseOrReference).Response
	switch status {
	case httpapi.StatusOf(fault.Unauthenticated):
		addHeader(response, "WWW-Authenticate", "The challenge of RFC 6750.")
	case httpapi.StatusOf(fault.Unavailable), httpapi.StatusOf(fault.RateLimited):
		addHeader(response, "Retry-After", "After how many seconds to try again.")
	}
}

func addHeader(response *openapi31.Response, name, description string) {
	header := openapi31.Header{Description: &description, Schema: map[string]any{"type": "string"}}
	response.WithHeadersItem(name, openapi31.HeaderOrReference{Header: &header})
}

// headersOf are the request headers that follow from what the route says of itself.
func (b *builder) headersOf(route httpapi.Route) []openapi31.ParameterOrReference {
	var headers []openapi31.ParameterOrReference
	add := func(name, description string) {
		headers = append(headers, openapi31.ParameterOrReference{Parameter: &openapi31.Parameter{
			Name: name, In: openapi31.ParameterInHeader, Description: &description, Schema: map[string]any{"type": "string"},
		}})
	}
	switch {
	case isConditional(route):
		add("If-None-Match", "The ETag that the client has; if it is still the present one, the answer is 304.")
	case route.Versioned && route.Status != http.StatusCreated:
		add("If-Match", "The ETag that the client has read; if it is no longer the present one, the answer is 412.")
	}
	if b.info.IdempotencyKeys && route.TakesKey() {
		add(httpapi.IdempotencyKeyHeader, "A name for this request, unique among the caller's; sending it again within a day returns the first answer.")
	}
	return headers
}

// rawBody is a body that is no JSON; its schema has nothing to say.
func rawBody(mediaTypes []string) *openapi31.RequestBodyOrReference {
	required, content := true, map[string]openapi31.MediaType{}
	for _, mediaType := range mediaTypes {
		content[mediaType] = openapi31.MediaType{}
	}
	return &openapi31.RequestBodyOrReference{RequestBody: &openapi31.RequestBody{Required: &required, Content: content}}
}

// requestBody stands in the operation itself, since the same type is complete in one operation and partial in another.
func (b *builder) requestBody(route httpapi.Route) (*openapi31.RequestBodyOrReference, error) {
	schema, err := b.reflector.Reflect(route.Request, jsonschema.InlineRefs)
	if err != nil {
		return nil, err
	}
	applyRules(&schema, route.Rules)
	if route.Partial {
		schema.Required = nil
	}
	schema.AdditionalProperties = (&jsonschema.SchemaOrBool{}).WithTypeBoolean(false)
	simple, err := schema.ToSchemaOrBool().ToSimpleMap()
	if err != nil {
		return nil, err
	}
	required := true
	return &openapi31.RequestBodyOrReference{RequestBody: &openapi31.RequestBody{
		Required: &required, Content: map[string]openapi31.MediaType{jsonType: {Schema: simple}},
	}}, nil
}

// definitionName is the type's own name; of two types with the same name the later one also carries its package.
func (b *builder) definitionName(t reflect.Type, _ string) string {
	name := typeName(t)
	for n := 1; ; n++ {
		if taken, ok := b.names[name]; !ok || taken == t {
			b.names[name] = t
			return name
		}
		name = packageName(t) + typeName(t)
		if n > 1 {
			name += strconv.Itoa(n)
		}
	}
}
