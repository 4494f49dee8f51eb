package raconfig

import (
	"net/url"
	"testing"
)

func TestProxyFor(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://env.example.com:1")
	t.Setenv("HTTP_PROXY", "")
	t.Setenv("NO_PROXY", "")
	set := &Proxy{HTTPS: "http://secure.example.com:3128", HTTP: "http://plain.example.com:3128", NoProxy: []string{".svc", "intern.example.com", "192.0.2.0/24"}}
	for _, c := range []struct {
		proxy     *Proxy
		url, want string
	}{
		{set, "https://hook.example.com/scep", "http://secure.example.com:3128"},
		{set, "http://crl.example.com/ca.crl", "http://plain.example.com:3128"},
		{set, "https://hook.pki.svc", ""},
		{set, "https://intern.example.com:8443", ""},
		{set, "https://a.intern.example.com", ""},
		{set, "https://192.0.2.7", ""},
		{set, "https://127.0.0.1", ""},
		{&Proxy{HTTPS: "http://secure.example.com:3128"}, "http://crl.example.com", ""},
		{&Proxy{}, "https://hook.example.com", ""},
		{nil, "https://hook.example.com", "http://env.example.com:1"},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.proxy.For(u)
		if err != nil || got == nil && c.want != "" || got != nil && got.String() != c.want {
			t.Errorf("%s: %v, %v; want %q", c.url, got, err, c.want)
		}
	}
}
