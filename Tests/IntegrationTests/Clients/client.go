// Asks the broker for a token as any Go service would, and prints it.
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func main() {
	style := map[string]oauth2.AuthStyle{"header": oauth2.AuthStyleInHeader, "params": oauth2.AuthStyleInParams}
	config := clientcredentials.Config{
		TokenURL: os.Args[1], ClientID: os.Args[2], ClientSecret: os.Args[3], AuthStyle: style[os.Args[4]],
		EndpointParams: url.Values{"audience": {os.Args[5]}},
	}
	token, err := config.Token(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(token.AccessToken)
}
