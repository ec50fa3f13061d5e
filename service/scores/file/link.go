package file

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/mirubato/mirubato/service/chassis/auth"
	"github.com/mirubato/mirubato/service/chassis/fault"
	"github.com/mirubato/mirubato/service/chassis/objects"
	"github.com/mirubato/mirubato/service/scores"
)

// How long a link holds.
const (
	DefaultLinkLife = 5 * time.Minute
	maxLinkLife     = time.Hour
)

// linkPurpose keeps signatures of links apart from others by the same secret.
const linkPurpose = "file link"

// Link lets whoever has it read one version for a while.
type Link struct {
	// URL is the path and query on this server.
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// LinkFields are what a caller says of a link.
type LinkFields struct {
	// Seconds is how long it holds; absent is five minutes.
	Seconds *int `json:"seconds,omitempty" validate:"omitnil,min=1,max=3600" minimum:"1" maximum:"3600" default:"300"`
}

func (l LinkFields) life() (time.Duration, error) {
	if l.Seconds == nil {
		return DefaultLinkLife, nil
	}
	if *l.Seconds < 1 || *l.Seconds > int(maxLinkLife/time.Second) {
		return 0, fault.InvalidInput("Validation failed",
			fault.Detail{Field: "seconds", Code: "range", Message: "must be a whole number from 1 to 3600"})
	}
	return time.Duration(*l.Seconds) * time.Second, nil
}

// Grant is what a link says.
type Grant struct {
	Expires   int64
	Signature []byte
}

// message is what is signed: which version may be read until when. Who signed does not matter any more.
func (g Grant) message(scoreID, id string) []byte {
	return fmt.Appendf(nil, "%s %s %d", scoreID, id, g.Expires)
}

// grantOf reads a grant from a query; nil if it has none.
func grantOf(query url.Values) (*Grant, error) {
	if !query.Has(signatureParam) && !query.Has(expiresParam) {
		return nil, nil
	}
	expires, err := strconv.ParseInt(query.Get(expiresParam), 10, 64)
	signature, serr := base64.RawURLEncoding.DecodeString(query.Get(signatureParam))
	if err != nil || serr != nil {
		return nil, invalidLink()
	}
	return &Grant{Expires: expires, Signature: signature}, nil
}

const (
	expiresParam   = "expires"
	signatureParam = "signature"
)

func invalidLink() error {
	return fault.New(fault.Denied, "The link does not hold, or no longer; ask for a new one")
}

// Link returns a link to a version of a score that the caller may read. Faults: NotFound, Invalid.
func (f *Files) Link(ctx context.Context, caller auth.Identity, scoreID, id string, l LinkFields) (Link, error) {
	life, err := l.life()
	if err != nil {
		return Link{}, err
	}
	v, _, err := f.readable(ctx, caller, scoreID, id)
	if err != nil {
		return Link{}, err
	}
	expires := f.cfg.Now().Add(life).UTC().Truncate(time.Second)
	g := Grant{Expires: expires.Unix()}
	query := url.Values{
		expiresParam:   {strconv.FormatInt(g.Expires, 10)},
		signatureParam: {base64.RawURLEncoding.EncodeToString(f.cfg.Signer.Sign(linkPurpose, g.message(scoreID, id)))},
	}
	return Link{URL: pathOf(v) + "/content?" + query.Encode(), ExpiresAt: expires}, nil
}

// Opened is a version that is being read.
type Opened struct {
	Version
	Content objects.Object
	// Public says that everybody may read it.
	Public bool
}

// Open opens a version for a caller who may read its score, or who has a link, with grant not nil. The caller closes the content.
// Faults: NotFound, Denied for a link that does not hold, Unavailable.
func (f *Files) Open(ctx context.Context, caller auth.Identity, scoreID, id string, g *Grant) (Opened, error) {
	var v Version
	var s scores.Score
	var err error
	if g == nil {
		v, s, err = f.readable(ctx, caller, scoreID, id)
	} else {
		if f.cfg.Now().Unix() >= g.Expires || !f.cfg.Signer.Signed(linkPurpose, g.message(scoreID, id), g.Signature) {
			return Opened{}, invalidLink()
		}
		v, err = f.find(ctx, scoreID, id)
	}
	if err != nil {
		return Opened{}, err
	}
	if err := f.requireStorage(); err != nil {
		return Opened{}, err
	}
	content, err := f.cfg.Storage.Read(ctx, v.Sum)
	return Opened{Version: v, Content: content, Public: s.Visibility == scores.Public}, err
}
