// What a team would write in an afternoon: a token broker on net/http and golang.org/x/oauth2.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

type broker struct {
	mutex   sync.RWMutex
	sources map[string]oauth2.TokenSource
}

func (b *broker) source(audience string) oauth2.TokenSource {
	b.mutex.RLock()
	source := b.sources[audience]
	b.mutex.RUnlock()
	if source != nil {
		return source
	}
	configuration := clientcredentials.Config{
		ClientID:       os.Getenv("AUTH0_CLIENT_ID"),
		ClientSecret:   os.Getenv("AUTH0_CLIENT_SECRET"),
		TokenURL:       os.Getenv("AUTH0_DOMAIN") + "/oauth/token",
		EndpointParams: url.Values{"audience": {audience}},
		AuthStyle:      oauth2.AuthStyleInParams,
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.sources[audience] == nil {
		b.sources[audience] = configuration.TokenSource(context.Background())
	}
	return b.sources[audience]
}

func (b *broker) token(writer http.ResponseWriter, request *http.Request) {
	audience, err := url.PathUnescape(strings.TrimPrefix(request.URL.EscapedPath(), "/token/"))
	if err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	token, err := b.source(audience).Token()
	if err != nil {
		http.Error(writer, "no token", http.StatusBadGateway)
		return
	}
	header := writer.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	json.NewEncoder(writer).Encode(map[string]any{
		"access_token": token.AccessToken,
		"token_type":   "Bearer",
		"expires_in":   int(time.Until(token.Expiry).Seconds()),
		"refresh_in":   int(time.Until(token.Expiry).Seconds()),
	})
}

func main() {
	broker := &broker{sources: map[string]oauth2.TokenSource{}}
	handle := func(writer http.ResponseWriter, request *http.Request) {
		if strings.HasPrefix(request.URL.Path, "/token/") {
			broker.token(writer, request)
		} else if request.URL.Path != "/healthz" {
			http.NotFound(writer, request)
		}
	}
	log.Fatal(http.ListenAndServe(os.Getenv("BROKER_LISTEN"), http.HandlerFunc(handle)))
}
