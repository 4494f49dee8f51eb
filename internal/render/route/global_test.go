package route

import "testing"

func TestRaised(t *testing.T) {
	cases := map[string]struct{ id, have, want string }{
		"nothing there":              {"ingress-nginx", "", "4 72k"},
		"too small":                  {"ingress-nginx", "4 8k", "4 72k"},
		"more than enough":           {"ingress-nginx", "8 128k", "8 128k"},
		"enough in another unit":     {"ingress-nginx", "4 1M", "4 1M"},
		"nonsense":                   {"ingress-nginx", "many", "4 72k"},
		"the first line":             {"f5-nginx", "", "large_client_header_buffers 4 72k;"},
		"a line beside others":       {"f5-nginx", "map $x $y { }\n", "map $x $y { }\nlarge_client_header_buffers 4 72k;"},
		"a line that is too small":   {"f5-nginx", "a 1;\nlarge_client_header_buffers 4 64k;\nb 2;", "a 1;\nlarge_client_header_buffers 4 72k;\nb 2;"},
		"a line that suffices":       {"f5-nginx", "a 1;\n  large_client_header_buffers 4 128k;\n", "a 1;\n  large_client_header_buffers 4 128k;\n"},
		"a buffer":                   {"haproxytech", "tune.ssl.default-dh-param 2048", "tune.ssl.default-dh-param 2048\ntune.bufsize 131072"},
		"a buffer that suffices":     {"haproxy-ingress", "tune.bufsize 262144", "tune.bufsize 262144"},
		"a word that only begins so": {"haproxytech", "tune.bufsize.small 4096", "tune.bufsize.small 4096\ntune.bufsize 131072"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			i, found := ByID(c.id)
			if !found || i.Global == nil {
				t.Fatalf("%s has no key", c.id)
			}
			got := i.Global.Raised(c.have)
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if again := i.Global.Raised(got); again != got {
				t.Errorf("a second time it becomes %q", again)
			}
		})
	}
}
