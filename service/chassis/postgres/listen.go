package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/lib/pq"
)

// Listen calls woken once it listens on the channel, with no text, and for each notification on it, with the notification's, until ctx ends or the
// connection is lost; it returns why. What is notified while nobody listens is lost. The connection is one of its own, beside the pool. It has to
// lead to PostgreSQL itself: a pooler that shares connections between transactions passes no notifications on.
// Once another URL is in force the connection is ended as if it were lost.
func (db *DB) Listen(ctx context.Context, channel string, woken func(text string)) error {
	_, changed := db.connector.rotation.present()
	address, err := db.connector.listenerURL()
	if err != nil {
		return err
	}
	notices := make(chan *pq.Notification, 32)
	conn, err := pq.NewListenerConn(address, notices)
	if err != nil {
		return fmt.Errorf("connecting to listen: %w", err)
	}
	// The connection ends its reading only once nobody keeps it from handing over what it has read.
	defer func() {
		_ = conn.Close()
		for range notices { // until it is closed
		}
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if _, err := conn.Listen(channel); err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	listens := make(chan struct{})
	defer close(listens)
	go func() {
		select {
		case <-changed:
			_ = conn.Close()
		case <-listens:
		}
	}()
	woken("")
	for n := range notices {
		woken(n.Extra)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return fmt.Errorf("listening: %w", errors.Join(errors.New("the connection was lost"), conn.Err()))
}

// listenerURL is the URL with the parameters that connections of the pool have by other ways.
func (c *connector) listenerURL() (string, error) {
	led, _ := c.rotation.present()
	if led == nil {
		var err error
		if led, err = c.current(); err != nil {
			return "", err
		}
	}
	text := led.url
	if !strings.Contains(text, "://") {
		// It has the other form, of words, of which the later one counts.
		return "connect_timeout=" + strconv.Itoa(int(connectTimeout.Seconds())) + " " + text, nil
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return "", errors.New("the database URL cannot be understood") // the error would quote the password
	}
	query := parsed.Query()
	for name, value := range map[string]string{
		"connect_timeout": strconv.Itoa(int(connectTimeout.Seconds())), "application_name": c.cfg.ApplicationName,
	} {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	parsed.RawQuery = query.Encode()
	return parsed.String(), nil
}
