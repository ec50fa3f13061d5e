package scores

import (
	"context"
	"net/http"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/httpapi"
)

func listScores(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath, Access: httpapi.Anyone,
		Name: "listScores", Group: group, Summary: "List scores",
		Description: "The caller's own scores and everybody's public ones; an admin's list holds all. " +
			"A client either turns pages, or follows nextCursor, which shows nothing twice while scores are added.",
		Params: listParams{}, Status: http.StatusOK, Response: CardList{}, Sharing: httpapi.AmongAnonymous,
		Handler: httpapi.Handle(decodeList,
			func(ctx context.Context, w wanted) (CardList, error) { return list(ctx, s, w) },
			func(l CardList) httpapi.Response { return httpapi.JSON(http.StatusOK, l).Shared() }),
	}
}

func searchScores(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath + "/search", Access: httpapi.Anyone,
		Name: "searchScores", Group: group, Summary: "Find scores by words",
		Description: "Among the scores that the caller may list, those in which each word begins a word of the title, composer, " +
			"opus, tags or description; case and accents do not count. The best match comes first.",
		Params: searchParams{}, Status: http.StatusOK, Response: httpapi.Envelope[[]Card]{}, Sharing: httpapi.AmongAnonymous,
		Handler: httpapi.Handle(decodeSearch,
			func(ctx context.Context, q SearchQuery) ([]Card, error) {
				return s.Search(ctx, auth.FromContext(ctx), q)
			}, respondCards),
	}
}

func recentScores(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath + "/recent", Access: httpapi.Anyone,
		Name: "recentScores", Group: group, Summary: "Show the newest scores that the caller may list",
		Params: shortParams{}, Status: http.StatusOK, Response: httpapi.Envelope[[]Card]{}, Sharing: httpapi.AmongAnonymous,
		Handler: httpapi.Handle(decodeShort,
			func(ctx context.Context, limit int) ([]Card, error) {
				return s.Recent(ctx, auth.FromContext(ctx), limit)
			},
			respondCards),
	}
}

func popularScores(s Service) httpapi.Route {
	return httpapi.Route{
		Method: http.MethodGet, Path: basePath + "/popular", Access: httpapi.Anyone,
		Name: "popularScores", Group: group, Summary: "Show the public scores with most favorites and reads",
		Params: shortParams{}, Status: http.StatusOK, Response: httpapi.Envelope[[]Card]{}, Sharing: httpapi.AmongAll,
		Handler: httpapi.Handle(decodeShort, s.Popular, respondCards),
	}
}

func respondCards(found []Card) httpapi.Response {
	if found == nil {
		found = []Card{}
	}
	return httpapi.OK(found).Shared()
}

// CardList is the body of an answer that carries a part of a list. Clients in Go may decode into it.
type CardList struct {
	Success    bool       `json:"success"`
	Data       []Card     `json:"data"`
	Pagination Pagination `json:"pagination"`
}

// Pagination says which part of a list an answer holds. The part that a cursor leads to has no page number and no totals.
type Pagination struct {
	// Page counts from 1.
	Page int `json:"page,omitempty"`
	// Limit is the greatest number of cards in an answer.
	Limit int `json:"limit"`
	// Total is the number of cards in the list.
	Total *int64 `json:"total,omitempty"`
	// TotalPages is 0 for an empty list.
	TotalPages *int64 `json:"totalPages,omitempty"`
	HasNext    bool   `json:"hasNext"`
	HasPrev    bool   `json:"hasPrev"`
	// NextCursor leads to what follows; it is absent at the end of the list.
	NextCursor string `json:"nextCursor,omitempty"`
}

// wanted is a list query and how the client goes through the list.
type wanted struct {
	query ListQuery
	// after is where to go on, nil for a page by its number.
	after *Position
}

func list(ctx context.Context, s Service, w wanted) (CardList, error) {
	caller := auth.FromContext(ctx)
	if w.after != nil {
		stretch, err := s.Walk(ctx, caller, w.query, w.after)
		p := Pagination{Limit: w.query.Limit, HasNext: stretch.Next != nil, HasPrev: true}
		if p.HasNext {
			p.NextCursor = newCursor(w.query, *stretch.Next)
		}
		return cardList(stretch.Cards, p), err
	}
	page, err := s.List(ctx, caller, w.query)
	if err != nil {
		return CardList{}, err
	}
	counted := httpapi.Paginate(w.query.Page, w.query.Limit, page.Total)
	p := Pagination{
		Page: counted.Page, Limit: counted.Limit, Total: &counted.Total, TotalPages: &counted.TotalPages,
		HasNext: counted.HasNext, HasPrev: counted.HasPrev,
	}
	if n := len(page.Cards); p.HasNext && n > 0 {
		p.NextCursor = newCursor(w.query, positionOf(page.Cards[n-1], w.query.Sort))
	}
	return cardList(page.Cards, p), nil
}

func cardList(cards []Card, p Pagination) CardList {
	if cards == nil {
		cards = []Card{}
	}
	return CardList{Success: true, Data: cards, Pagination: p}
}

// filterParams describe the parameters that readFilters reads.
type filterParams struct {
	Owner       string `query:"owner" minLength:"1" maxLength:"128" description:"The ID of an owner, or me."`
	Status      string `query:"status" enum:"active,inactive,archived"`
	Visibility  string `query:"visibility" enum:"private,unlisted,public"`
	Composer    string `query:"composer" minLength:"1" maxLength:"255" description:"The whole name, in any case."`
	Instrument  string `query:"instrument" enum:"piano,guitar,both" description:"Piano and guitar also find what is for both."`
	Difficulty  string `query:"difficulty" enum:"beginner,intermediate,advanced"`
	StylePeriod string `query:"stylePeriod" enum:"medieval,renaissance,baroque,classical,romantic,modern,contemporary"`
	Category    string `query:"category" format:"uuid" description:"The ID of a category; those below it count."`
	Tag         string `query:"tag" minLength:"1" maxLength:"64" description:"One of the tags, in the same case."`
	From        string `query:"from" format:"date-time" description:"Created then or later."`
	To          string `query:"to" format:"date-time" description:"Created before."`
}

// listParams describe the parameters that decodeList reads.
type listParams struct {
	httpapi.PageParams
	Cursor string `query:"cursor" minLength:"1" maxLength:"4096" description:"The nextCursor of an answer, instead of page; sort, order and filters stay the same."`
	Sort   string `query:"sort" enum:"createdAt,updatedAt,title,composer,difficultyLevel" description:"The newest come first if left out. Scores that lack the value come last."`
	Order  string `query:"order" enum:"asc,desc" description:"Ascending if left out while sort is given."`
	filterParams
}

// searchParams describe the parameters that decodeSearch reads.
type searchParams struct {
	Q string `query:"q" required:"true" minLength:"1" maxLength:"200" description:"Words, each the beginning of one."`
	shortParams
	filterParams
}

// shortParams describe the parameter that readShort reads.
type shortParams struct {
	Limit int `query:"limit" minimum:"1" maximum:"50" default:"10"`
}

func decodeList(r *http.Request) (wanted, error) {
	q := httpapi.ReadQuery(r)
	l := readFilters(q)
	l.Page, l.Limit = q.Page()
	sort := q.OneOf("sort", "", string(ByCreatedAt), string(ByUpdatedAt), string(ByTitle), string(ByComposer),
		string(ByDifficultyLevel))
	order := q.OneOf("order", "", "asc", "desc")
	l.Sort, l.Descending = Sort(sort), order == "desc"
	if sort == "" {
		// Without a wish the newest come first.
		l.Sort, l.Descending = ByCreatedAt, order != "asc"
	}
	token := q.Text("cursor", maxCursor)
	if err := q.Err(); err != nil {
		return wanted{}, err
	}
	w := wanted{query: l}
	if token != "" {
		c, err := parseCursor(token)
		if err != nil || c.Sort != l.Sort || c.Descending != l.Descending || r.URL.Query().Has("page") {
			return wanted{}, badCursor()
		}
		w.after = &Position{ID: c.ID, Value: c.Value}
	}
	return w, resolve(r, &w.query)
}

func decodeSearch(r *http.Request) (SearchQuery, error) {
	q := httpapi.ReadQuery(r)
	s := SearchQuery{Text: q.Text("q", MaxSearchText), ListQuery: readFilters(q)}
	s.Limit = readShort(q)
	if err := q.Err(); err != nil {
		return SearchQuery{}, err
	}
	if s.Text == "" {
		return SearchQuery{}, fault.InvalidInput("Invalid query parameters",
			fault.Detail{Field: "q", Code: "required", Message: "is required"})
	}
	return s, resolve(r, &s.ListQuery)
}

func decodeShort(r *http.Request) (int, error) {
	q := httpapi.ReadQuery(r)
	limit := readShort(q)
	return limit, q.Err()
}

func readShort(q *httpapi.Query) int { return q.Int("limit", DefaultShortList, 1, MaxShortList) }

func readFilters(q *httpapi.Query) ListQuery {
	l := ListQuery{
		OwnerID:    q.Text("owner", auth.MaxSubject),
		Status:     Status(q.OneOf("status", "", string(Active), string(Inactive), string(Archived))),
		Visibility: Visibility(q.OneOf("visibility", "", string(Private), string(Unlisted), string(Public))),
		Composer:   q.Text("composer", 255),
		Instrument: Instrument(q.OneOf("instrument", "", string(Piano), string(Guitar), string(Both))),
		Difficulty: Difficulty(q.OneOf("difficulty", "", string(Beginner), string(Intermediate), string(Advanced))),
		StylePeriod: q.OneOf("stylePeriod", "", "medieval", "renaissance", "baroque", "classical", "romantic", "modern",
			"contemporary"),
		CategoryID: q.Text("category", 36),
		Tag:        q.Text("tag", 64),
	}
	l.From, l.To = q.Period("from", "to")
	return l
}

// Me is what a caller writes instead of its own ID.
const Me = "me"

// resolve puts the filters that are IDs into normal form.
func resolve(r *http.Request, l *ListQuery) error {
	if l.CategoryID != "" {
		id, ok := httpapi.ParseUUID(l.CategoryID)
		if !ok {
			return fault.InvalidInput("Invalid query parameters",
				fault.Detail{Field: "category", Code: "uuid", Message: "must be a UUID"})
		}
		l.CategoryID = id
	}
	if l.OwnerID != Me {
		return nil
	}
	caller := auth.FromContext(r.Context())
	if caller.IsAnonymous() {
		return fault.New(fault.Unauthenticated, "Listing your own scores needs an access token")
	}
	l.OwnerID = caller.ID
	return nil
}
