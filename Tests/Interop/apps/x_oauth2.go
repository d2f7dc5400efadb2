// Prints a token, had by golang.org/x/oauth2 as a service would have it. Arguments: URL, caller, key, audience.
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"

	"golang.org/x/oauth2/clientcredentials"
)

func token(broker, caller, key, audience string) (string, error) {
	config := clientcredentials.Config{
		ClientID:     caller,
		ClientSecret: key,
		TokenURL:     broker + "/oauth/token/" + url.PathEscape(audience),
	}
	token, err := config.Token(context.Background())
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

func main() {
	token, err := token(os.Args[1], os.Args[2], os.Args[3], os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(token)
}
